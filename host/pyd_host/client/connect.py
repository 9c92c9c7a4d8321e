"""Dial an engine: the one place that knows which sockets a platform has."""

import socket
import sys

from pyd_host.client.address import Address

_TIMEOUT_S = 30.0


def dial(address: Address) -> socket.socket:
    """Return a connected blocking socket. Raises UnavailableError; the caller closes it."""
    try:
        if address.path:
            return _dial_unix(address.path)
        connection = socket.create_connection((address.host, address.port), timeout=_TIMEOUT_S)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except PermissionError as error:
        raise _unavailable(
            f"permission denied while trying to connect to the pyd daemon socket at {address.text}",
            "become root, or have yourself added to the socket's group",
        ) from error
    except OSError as error:
        raise _unavailable(
            f"Cannot connect to the pyd daemon at {address.text}. Is the pyd daemon running?",
            "start it with 'pyd daemon', or name another engine with -H or DOCKER_HOST",
        ) from error
    return connection


def _unavailable(message: str, hint: str) -> Exception:
    from pyd_api.errors import UnavailableError

    return UnavailableError(message, hint=hint)


if sys.platform == "win32":

    def _dial_unix(path: str) -> socket.socket:
        raise _unavailable(
            f"unix sockets are not supported on Windows yet: {path}", "use -H tcp://host:port"
        )

else:

    def _dial_unix(path: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection
