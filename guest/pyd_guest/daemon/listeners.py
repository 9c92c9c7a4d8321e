"""The sockets the API is served on.

``unix:///path``
    0660 root and a group, from the moment it has its name: the socket is made under a name that
    nobody knows, gets its owner, listens, and is then linked to its place. A link fails where
    something is in the way, so nothing is followed or clobbered; only a socket without a listener
    is removed.
``tcp://address:port``
    Without TLS on the loopback only, unless ``--tls=false`` says otherwise: who reaches the API
    is root.
``fd://``
    The sockets of systemd's socket activation (sd_listen_fds(3)).
"""

import errno
import grp
import ipaddress
import logging
import os
import secrets
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyd_api.errors import ConflictError, InternalError, InvalidRequestError

_log = logging.getLogger(__name__)

BACKLOG: Final = 1024
TCP_PORT: Final = 2375
_MODE: Final = 0o660
_GROUPS: Final = ("pyd", "docker")
_SYSTEMD_FIRST_FD: Final = 3
_PATH_MAX: Final = 107  # sun_path, with its terminator


@dataclass(frozen=True, slots=True)
class UnixHost:
    """``unix://`` and an absolute path."""

    path: Path


@dataclass(frozen=True, slots=True)
class TcpHost:
    """``tcp://`` with an address and a port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class SystemdHost:
    """``fd://``."""


Host = UnixHost | TcpHost | SystemdHost


def parse_host(text: str) -> Host:
    """Read one ``-H`` value; raise InvalidRequestError that names it."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise InvalidRequestError(f"invalid bind address {text!r}: unix://, tcp:// or fd:// needed")
    match scheme:
        case "unix":
            path = Path(rest)
            if not path.is_absolute() or ".." in path.parts or "\0" in rest:
                raise InvalidRequestError(f"invalid bind address {text!r}: path is not absolute")
            if len(os.fsencode(path)) > _PATH_MAX:
                raise InvalidRequestError(f"invalid bind address {text!r}: path is too long")
            return UnixHost(path)
        case "tcp":
            return _parse_tcp(text, rest)
        case "fd" if rest in ("", "*"):
            return SystemdHost()
        case _:
            raise InvalidRequestError(f"invalid bind address {text!r}: unknown protocol {scheme!r}")


def _parse_tcp(text: str, rest: str) -> TcpHost:
    rest = rest.rstrip("/")
    address, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        address, port = rest, str(TCP_PORT)
    address = address.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if address == "localhost":
        address = "127.0.0.1"
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise InvalidRequestError(f"invalid bind address {text!r}: not an IP address") from error
    if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise InvalidRequestError(f"invalid bind address {text!r}: invalid port {port!r}")
    return TcpHost(address, int(port))


@contextmanager
def listening(
    hosts: Sequence[str],
    *,
    group: str | None,
    insecure_tcp: bool,
    environment: Mapping[str, str],
) -> Iterator[list[socket.socket]]:
    """Listen on every one of ``hosts``, or on none; unix sockets lose their name at the end.

    The sockets belong to the block: whoever serves may close them earlier.
    """
    parsed = [parse_host(host) for host in hosts]
    for host in parsed:
        if isinstance(host, TcpHost):
            _check_exposure(host, insecure_tcp=insecure_tcp)
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for host in parsed:
            match host:
                case UnixHost(path):
                    sockets.append(stack.enter_context(_unix(path, group)))
                case TcpHost():
                    sockets.append(stack.enter_context(_tcp(host)))
                case SystemdHost():
                    sockets += map(stack.enter_context, _inherited(environment))
        yield sockets


# unix


@contextmanager
def _unix(path: Path, group: str | None) -> Iterator[socket.socket]:
    gid = _group_id(group)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        with _private_name(sock, path.parent) as name:
            _set_owner(name, gid)
            sock.listen(BACKLOG)
            mine = os.lstat(name)
            _remove_stale(path)
            try:
                os.link(name, path, follow_symlinks=False)
            except FileExistsError as error:
                raise ConflictError(f"cannot listen on {path}: it has just been taken") from error
        try:
            yield sock
        finally:
            with suppress(FileNotFoundError):
                now = os.lstat(path)
                if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino):
                    path.unlink()


@contextmanager
def _private_name(sock: socket.socket, directory: Path) -> Iterator[Path]:
    """Bind ``sock`` to a short-lived name that only root may use."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    name = f".{secrets.token_hex(4)}"
    address = str(directory / name)
    if len(os.fsencode(address)) > _PATH_MAX:
        address = f"/proc/self/fd/{fd}/{name}"
    try:
        os.fchmod(sock.fileno(), 0o600)  # bind(2) takes the mode from the socket
        try:
            sock.bind(address)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise InternalError(f"cannot listen in {directory}: {reason}") from error
        try:
            yield directory / name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=fd)
    finally:
        os.close(fd)


def _set_owner(path: Path, gid: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        handle = Path(f"/proc/self/fd/{fd}")
        if gid != os.fstat(fd).st_gid:
            os.chown(handle, -1, gid)
        handle.chmod(_MODE)
    finally:
        os.close(fd)


def _group_id(group: str | None) -> int:
    """Return the group of the socket: the one asked for, or the first usual one, or ours."""
    if group is not None:
        if group.isascii() and group.isdigit():
            return int(group)
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError as error:
            raise InvalidRequestError(f"group {group} not found") from error
    for name in _GROUPS:
        with suppress(KeyError):
            return grp.getgrnam(name).gr_gid
    return os.getegid()


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; anything else in the way is an error."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConflictError(f"cannot listen on {path}: the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result not in (errno.ECONNREFUSED, errno.ENOENT):
        raise ConflictError(f"cannot listen on {path}: another daemon listens there")
    path.unlink(missing_ok=True)


# tcp


def _check_exposure(host: TcpHost, *, insecure_tcp: bool) -> None:
    where = f"tcp://{host.address}:{host.port}"
    if ipaddress.ip_address(host.address).is_loopback:
        _log.warning("%s: every local user can be root through this socket", where)
    elif insecure_tcp:
        _log.warning("%s: EVERYBODY WHO REACHES THIS PORT IS ROOT ON THIS MACHINE", where)
    else:
        raise InvalidRequestError(
            f"refusing to listen on {where} without TLS client verification",
            hint="use a unix socket over SSH, or --tls=false if the network is trusted entirely",
        )


def _tcp(host: TcpHost) -> socket.socket:
    v6 = ":" in host.address
    sock = socket.socket(
        socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host.address, host.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno or 0).lower()
        raise ConflictError(f"listen tcp {host.address}:{host.port}: bind: {reason}") from error
    return sock


# systemd


def _inherited(environment: Mapping[str, str]) -> list[socket.socket]:
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or count == "0":
        raise InvalidRequestError("no sockets found via socket activation: fd:// needs systemd")
    sockets = []
    for fd in range(_SYSTEMD_FIRST_FD, _SYSTEMD_FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sockets.append(socket.socket(fileno=fd))
    return sockets
