import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyd_api.errors import ConflictError, InvalidRequestError, PydError
from pyd_guest.daemon import listeners
from pyd_guest.daemon.listeners import SystemdHost, TcpHost, UnixHost, listening, parse_host


@contextmanager
def listen(
    *hosts: str,
    group: str | None = None,
    insecure_tcp: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[list[socket.socket]]:
    with listening(
        hosts, group=group, insecure_tcp=insecure_tcp, environment=environment or {}
    ) as sockets:
        try:
            yield sockets
        finally:
            for sock in sockets:
                sock.close()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("unix:///run/x.sock", UnixHost(Path("/run/x.sock"))),
        ("tcp://127.0.0.1:2375", TcpHost("127.0.0.1", 2375)),
        ("tcp://10.0.0.1", TcpHost("10.0.0.1", 2375)),
        ("tcp://[::1]:99/", TcpHost("::1", 99)),
        ("tcp://[::1]", TcpHost("::1", 2375)),
        ("tcp://localhost:1", TcpHost("127.0.0.1", 1)),
        ("tcp://:1", TcpHost("127.0.0.1", 1)),
        ("fd://", SystemdHost()),
    ],
)
def test_hosts(text: str, host: object) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    ["", "x", "/run/x.sock", "unix://x", "unix:///a/../b", "unix://", "unix:///" + "a" * 200,
     "tcp://example.com:1", "tcp://1.2.3.4:x", "tcp://1.2.3.4:70000", "tcp://1.2.3:1",
     "npipe:////x", "http://1.2.3.4", "fd://7"],
)  # fmt: skip
def test_bad_hosts_are_named(text: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_host(text)
    assert repr(text) in raised.value.message


def test_e12_the_socket_is_private_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.sock"
    with listen(f"unix://{path}") as (sock,):
        mode = path.lstat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660
        assert [entry.name for entry in path.parent.iterdir()] == ["x.sock"]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            sock.accept()[0].close()
    assert list(path.parent.iterdir()) == []


def test_e12_the_mode_is_right_whatever_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    link = os.link

    def spy(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        link(source, target, follow_symlinks=follow_symlinks)
        seen.append(stat.S_IMODE(target.lstat().st_mode))

    monkeypatch.setattr(os, "link", spy)
    with listen(f"unix://{tmp_path / 'x.sock'}"):
        assert seen == [0o660]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling", "fifo"])
def test_e12_what_is_in_the_way_stays(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "x.sock", tmp_path / "other"
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "link":
            other.write_text("precious")
            path.symlink_to(other)
        case "dangling":
            path.symlink_to(other)
        case "fifo":
            os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(ConflictError, match="not a socket"), listen(f"unix://{path}"):
        pass
    assert path.lstat() == before
    assert other.exists() == (kind == "link")


def test_e12_a_live_owner_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listen(f"unix://{path}") as (sock,):
        with pytest.raises(ConflictError, match="another daemon"), listen(f"unix://{path}"):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert sock.fileno() >= 0
    assert not path.exists()


def test_e12_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    with listen(f"unix://{path}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_e12_only_one_of_many_wins(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    won, done, barrier = [], threading.Event(), threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        try:
            with listen(f"unix://{path}"):
                won.append(1)
                done.wait(10)
        except ConflictError:
            pass

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads[:-1]:
        thread.join(0.3)
    done.set()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_socket_of_somebody_else_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listen(f"unix://{path}"), socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))
    assert path.exists()


def test_e12_a_missing_group_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    refused = pytest.raises(InvalidRequestError, match="group nosuchgroup not found")
    with refused, listen(f"unix://{path}", group="nosuchgroup"):
        pass
    assert list(tmp_path.iterdir()) == []


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("step", ["bind", "_set_owner", "listen", "_remove_stale", "link"])
def test_a_failed_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    class Failing(socket.socket):
        pass

    if step in ("bind", "listen"):
        setattr(Failing, step, fail)
        monkeypatch.setattr(socket, "socket", Failing)
    else:
        monkeypatch.setattr(os if step == "link" else listeners, step, fail)
    before = descriptors()
    with pytest.raises((OSError, PydError)), listen(f"unix://{tmp_path / 'x.sock'}"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_e10_tcp_is_for_the_loopback(caplog: pytest.LogCaptureFixture) -> None:
    with listen("tcp://127.0.0.1:0", "tcp://[::1]:0") as sockets:
        assert len(sockets) == 2
    assert "every local user" in caplog.text
    for host in ("tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://10.1.2.3:0"):
        with pytest.raises(InvalidRequestError, match="without TLS"), listen(host):
            pass
    with listen("tcp://0.0.0.0:0", insecure_tcp=True):
        assert "EVERYBODY" in caplog.text


def test_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listen("tcp://127.0.0.1:0") as (taken,):
        port = taken.getsockname()[1]
        refused = pytest.raises(ConflictError, match="address already in use")
        with refused, listen(f"unix://{path}", f"tcp://127.0.0.1:{port}"):
            pass
    assert not path.exists()


def test_systemd_without_systemd() -> None:
    for environment in ({}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}):
        refused = pytest.raises(InvalidRequestError, match="socket activation")
        with refused, listen("fd://", environment=environment):
            pass
