import logging
import os
import socket
from pathlib import Path

import pytest

from pyd_guest.daemon.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_messages(tmp_path: Path, abstract: bool) -> None:
    name = f"@pyd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if abstract else name)
        ear.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready()
        assert ear.recv(1000).decode() == f"READY=1\nMAINPID={os.getpid()}"
        notifier.reloading()
        assert ear.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        notifier.status("three\nwords here")
        assert ear.recv(1000) == b"STATUS=three words here"
        notifier.stopping()
        assert ear.recv(1000) == b"STOPPING=1"


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready()
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready()
    assert "cannot notify" in caplog.text
