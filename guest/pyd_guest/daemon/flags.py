"""The flags of ``pyd daemon``, named as dockerd names them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pyd_api.errors import InvalidRequestError
from pyd_guest.daemon.config import LOG_LEVELS, RUNTIMES, Config, Value, from_settings

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the command line asks for."""

    config: Config
    validate_only: bool


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequestError(message, hint="see 'pyd daemon --help'")


def parse(arguments: Sequence[str]) -> Invocation:
    """Read the command line (without the words ``pyd daemon``) and the configuration file.

    Raises InvalidRequestError; ``--help`` prints and raises SystemExit.
    """
    options = vars(_parser().parse_args(arguments))
    file, validate = options.pop("config_file"), options.pop("validate")
    flags: dict[str, Value] = {key: value for key, value in options.items() if value is not None}
    return Invocation(from_settings(flags, Path(file) if file else None), validate)


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"invalid boolean value {text!r}")


def _parser() -> _Parser:
    parser = _Parser(
        prog="pyd daemon",
        description="Run the container engine.",
        allow_abbrev=False,
    )

    def text(*names: str, key: str, metavar: str, help: str) -> None:  # noqa: A002
        parser.add_argument(*names, dest=key, metavar=metavar, help=help, default=None)

    def switch(*names: str, key: str, help: str) -> None:  # noqa: A002
        parser.add_argument(
            *names, dest=key, nargs="?", const=True, type=_boolean, metavar="BOOL", help=help
        )

    parser.add_argument(
        "-H",
        "--host",
        dest="hosts",
        action="append",
        metavar="URL",
        help="listen on unix:///path, tcp://address:port or fd:// (repeatable; "
        "without one: EXEC-ROOT/pyd.sock)",
    )
    text(
        "-G",
        "--group",
        key="group",
        metavar="GROUP",
        help="group of the unix socket (pyd or docker, where there is one)",
    )
    text(
        "--data-root",
        key="data-root",
        metavar="DIR",
        help="images, containers and state (/var/lib/pyd)",
    )
    text(
        "--exec-root", key="exec-root", metavar="DIR", help="what is gone after a reboot (/run/pyd)"
    )
    text(
        "-p",
        "--pidfile",
        key="pidfile",
        metavar="FILE",
        help="where to write the daemon's pid (EXEC-ROOT/pyd.pid)",
    )
    text(
        "--config-file",
        key="config_file",
        metavar="FILE",
        help="JSON file with these settings (/etc/pyd/daemon.json)",
    )
    text(
        "-b", "--bridge", key="bridge", metavar="NAME", help="bridge of the default network (pyd0)"
    )
    text("--bip", key="bip", metavar="CIDR", help="address of that bridge, 172.17.0.1/16 say")
    text(
        "--runtime",
        "--default-runtime",
        key="default-runtime",
        metavar="NAME",
        help=f"OCI runtime: {' or '.join(RUNTIMES)}; without one, what works here",
    )
    text(
        "-l",
        "--log-level",
        key="log-level",
        metavar="LEVEL",
        help=f"{', '.join(LOG_LEVELS)} (info)",
    )
    switch("-D", "--debug", key="debug", help="the same as --log-level debug")
    switch("--tls", key="tls", help="false: allow tcp:// beyond the loopback without TLS")
    switch("--tlsverify", key="tlsverify", help="not supported yet")
    for name in ("tlscacert", "tlscert", "tlskey"):
        text(f"--{name}", key=name, metavar="FILE", help="not supported yet")
    parser.add_argument("--validate", action="store_true", help="check the settings and exit")
    return parser
