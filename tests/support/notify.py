"""The waiting half of sd_notify(3): start a program and return when it says READY=1."""

import os
import select
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class NotReadyError(AssertionError):
    """The program ended, or said nothing in time."""


def start_and_wait(
    argv: Sequence[str | Path],
    *,
    notify: Path,
    log: Path,
    environment: Mapping[str, str],
    timeout_s: float = 30.0,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` with its output in ``log``; the caller ends the process.

    Raises NotReadyError with the end of the log, after ending the process.
    """
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, log.open("ab") as output:
        listener.bind(str(notify))
        begin = output.tell()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={**environment, "NOTIFY_SOCKET": str(notify)},
        )
        end = time.monotonic() + timeout_s
        handle = os.pidfd_open(process.pid)
        try:
            while (left := end - time.monotonic()) > 0:
                ready, _, _ = select.select([listener.fileno(), handle], [], [], left)
                if listener.fileno() in ready:
                    if b"READY=1" in listener.recv(4096).splitlines():
                        return process
                elif handle in ready:
                    break
        finally:
            os.close(handle)
            notify.unlink(missing_ok=True)
    process.kill()
    status = process.wait()
    tail = log.read_bytes()[begin:].decode(errors="replace")[-4000:]
    raise NotReadyError(f"{argv[-1]} not ready (status {status}):\n{tail}")
