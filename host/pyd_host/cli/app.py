"""``pyd``: find the command, run it, turn errors into words and an exit status.

What is printed on failure follows Docker's layout: the message on standard error, a blank line,
where to look next. Only the module of the command in use is imported.
"""

import os
import sys

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.commands import NOUNS, Entry, find_entry, load
from pyd_host.cli.errors import CommandError, ExitStatusError, PlainError, UsageError
from pyd_host.cli.flags import Flag, Values, parse
from pyd_host.client.address import default_address, parse_address
from pyd_host.client.engine import Engine

_INTERRUPTED = 130
_SIGPIPE_STATUS = 141
GLOBAL_FLAGS = (
    Flag("context", "c", "string", "Use a named engine (not supported yet)"),
    Flag("debug", "D", "bool", "Show a traceback when pyd itself fails"),
    Flag("help", "", "bool", "Show this text", hidden=True),
    Flag("host", "H", "list", "Talk to the engine at this address"),
    Flag("tls", "", "bool", "Speak TLS (not supported yet)"),
    Flag("tlsverify", "", "bool", "Speak TLS and check the engine (not supported yet)"),
    Flag("version", "v", "bool", "Show the version and leave"),
)
HELP_FLAG = Flag("help", "", "bool", "Show this text", hidden=True)


def main() -> int:
    """Run the command line of this process: the console script's entry point."""
    _prepare_streams()
    status = run(sys.argv[1:])
    if sys.argv[1:2] != ["daemon"]:
        sys.stderr.flush()
        os._exit(status)  # nothing is left to tidy up; taking the interpreter down costs 2 ms
    return status


def run(words: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        status = _dispatch(words)
    except ExitStatusError as error:
        status = error.status
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        status = _drop_output(_SIGPIPE_STATUS)
    except Exception as error:  # the last resort: words instead of a traceback
        if "PYD_DEBUG" in os.environ:
            raise
        _flush()
        status = _report(error)
    return _flush() or status


def _dispatch(words: list[str]) -> int:
    try:
        values, rest = parse(GLOBAL_FLAGS, words, interspersed=False)
    except UsageError as error:
        return _usage_error(error, "pyd", "[OPTIONS] COMMAND [ARG...]")
    if values.flag("debug"):
        os.environ["PYD_DEBUG"] = "1"
    if values.flag("version"):
        from pyd_host.cli.system.version import short_version

        sys.stdout.write(short_version() + "\n")
        return 0
    if not rest or values.flag("help") or rest == ["help"]:
        from pyd_host.cli.usage import overview

        sys.stdout.write(overview(GLOBAL_FLAGS))
        return 0
    if rest[0] == "help":
        rest = [*rest[1:], "--help"]
    noun, word, arguments = "", rest[0], rest[1:]
    if word in NOUNS:
        if not arguments or arguments[0] in {"--help", "-h"}:
            from pyd_host.cli.usage import noun_overview

            sys.stdout.write(noun_overview(word))
            return 0
        noun, word, arguments = word, arguments[0], arguments[1:]
    entry = find_entry(noun, word)
    if entry is None:
        return _unknown(noun, word)
    return _run(f"pyd {noun} {word}" if noun else f"pyd {word}", entry, arguments, values)


def _run(name: str, entry: Entry, arguments: list[str], settings: Values) -> int:
    command = load(entry)
    if not isinstance(command, Command):
        raise TypeError(f"{name} is not a command")
    if command.raw:
        return command.run(Invocation(name, settings, arguments, lambda: _engine(settings)))
    flags = (*command.flags, HELP_FLAG)
    try:
        values, rest = parse(flags, arguments, interspersed=command.interspersed)
        wants_help = values.flag("help")
        if not wants_help:
            command.check(name, rest)
    except UsageError as error:
        if not error.prefixed and _only_h(arguments, command):
            wants_help = True
        else:
            return _usage_error(error, name, command.usage)
    if wants_help:
        from pyd_host.cli.usage import command_help

        sys.stdout.write(command_help(name, entry[2], command))
        return 0
    call = Invocation(name, values, rest, lambda: _engine(settings))
    try:
        return command.run(call)
    except UsageError as error:
        return _usage_error(error, name, command.usage)
    finally:
        call.close()


def _only_h(arguments: list[str], command: Command) -> bool:
    return "-h" in arguments and all(flag.short != "h" for flag in command.flags)


def _engine(settings: Values) -> Engine:
    """Choose the engine: -H, then DOCKER_HOST, then the local daemon."""
    context = settings.text("context") or os.environ.get("DOCKER_CONTEXT", "")
    hosts = settings.texts("host")
    if context not in {"", "default"} and not (hosts and not settings.text("context")):
        raise CommandError(
            f"contexts are not supported yet: {context!r}",
            hint="choose the engine with -H or DOCKER_HOST",
        )
    if settings.flag("tls") or settings.flag("tlsverify") or os.environ.get("DOCKER_TLS_VERIFY"):
        raise CommandError(
            "TLS connections to an engine are not supported yet",
            hint="use a unix socket, or unset DOCKER_TLS_VERIFY",
        )
    if len(hosts) > 1:
        raise CommandError("specify only one -H")
    chosen = hosts[0] if hosts else os.environ.get("DOCKER_HOST", "")
    return Engine(parse_address(chosen) if chosen else default_address())


def _usage_error(error: UsageError, name: str, usage: str) -> int:
    prefix = "pyd: " if error.prefixed else ""
    sys.stderr.write(
        f"{prefix}{error.message}\n\nUsage:  {name} {usage}\n\n"
        f"{error.verb} '{name} --help' for more information\n"
    )
    return error.status


def _unknown(noun: str, word: str) -> int:
    from pyd_host.cli.usage import unknown

    sys.stderr.write(unknown(noun, word))
    return 1


def _report(error: Exception) -> int:
    """Print an error; return the exit status."""
    from pyd_api.errors import PydError

    if isinstance(error, PlainError | PydError):
        sys.stderr.write(f"{error.message}\n")
    elif isinstance(error, CommandError):
        sys.stderr.write(f"pyd: {error.message}\n")
    elif isinstance(error, OSError):
        sys.stderr.write(f"pyd: {error}\n")
    else:
        sys.stderr.write(f"pyd: internal error: {type(error).__name__}: {error}\n")
        sys.stderr.write("\nRun it again with PYD_DEBUG=1 in the environment for a traceback\n")
        return 1
    if error_hint := getattr(error, "hint", None):
        sys.stderr.write(f"\n{error_hint}\n")
    return error.status if isinstance(error, CommandError) else 1


def _prepare_streams() -> None:
    """Open what the caller has closed, and write what Docker writes: UTF-8 and bare newlines."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # or the next socket would pass for standard input
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None or sys.stderr is None or sys.stdin is None:
        sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
        sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")


def _flush() -> int:
    """Write what is still buffered; return the exit status of a failure, 0 otherwise."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _drop_output(_SIGPIPE_STATUS)
    except OSError as error:
        _drop_output(1)
        return _report(error)
    return 0


def _drop_output(status: int) -> int:
    """Send what is still buffered nowhere: a reader that has left is told nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return status
