"""Where the engine listens: ``unix:///path`` or ``tcp://host:port``, as DOCKER_HOST has it."""

from pyd_host.paths import LOCAL_SOCKET

DEFAULT_PORT = 2375
_HINT = "use unix:///path/to/socket or tcp://host:port"


class Address:
    """One engine's address: a socket path, or a host and port."""

    __slots__ = ("host", "path", "port", "text")

    def __init__(self, text: str, *, path: str = "", host: str = "", port: int = 0) -> None:
        self.text = text
        self.path = path
        self.host = host
        self.port = port


def parse_address(text: str) -> Address:
    """Read an address that a user typed. Raises InvalidRequestError or UnsupportedError."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
    if scheme == "unix":
        path = rest or LOCAL_SOCKET
        if not path.startswith("/"):
            raise _invalid(f"invalid engine address {text!r}: not an absolute path")
        return Address(f"unix://{path}", path=path)
    if scheme in {"tcp", "http"}:
        host, port = _host_and_port(text, rest.partition("/")[0])
        return Address(f"tcp://{rest}", host=host, port=port)
    if scheme in {"ssh", "npipe", "fd", "https"}:
        from pyd_api.errors import UnsupportedError

        raise UnsupportedError(
            f"{scheme}:// engine addresses are not supported yet: {text}", hint=_HINT
        )
    raise _invalid(f"unable to parse engine address {text!r}")


def _invalid(message: str) -> Exception:
    # the error tree imports typing, which a command that succeeds need not pay for
    from pyd_api.errors import InvalidRequestError

    return InvalidRequestError(message, hint=_HINT)


def _host_and_port(text: str, rest: str) -> tuple[str, int]:
    host, colon, port = rest.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = rest, str(DEFAULT_PORT)
    if not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise _invalid(f"invalid engine address {text!r}: bad port {port!r}")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def default_address() -> Address:
    """Return the local daemon's socket."""
    return Address(f"unix://{LOCAL_SOCKET}", path=LOCAL_SOCKET)
