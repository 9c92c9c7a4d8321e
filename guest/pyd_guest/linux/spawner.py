"""Child processes, started from one thread that may live in a mount namespace of its own.

crun refuses machines where a cgroup2 hierarchy with controllers lies beside v1 hierarchies.
There the thread unshares its mount namespace and takes that one mount away, for itself and its
children only. The other mounts keep their propagation, so a root file system that the daemon
mounts later appears here too, as long as it lies on a shared mount.

CLONE_NEWNS in a thread needs CLONE_FS first (unshare(2)); both stay with the thread, and children
inherit from the thread that starts them.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyd_guest.linux.libc import LIBC, check
from pyd_guest.linux.mount import MS_PRIVATE, MS_REC, set_propagation, unmount

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind."""

    status: int
    stdout: bytes
    stderr: bytes


class Spawner:
    """Starts programs; safe to use from any thread."""

    def __init__(self, *, hide: Path | None = None) -> None:
        """Take ``hide``, a mount point, out of the children's sight."""
        self._hide = hide
        self._thread = ThreadPoolExecutor(1, "spawner", initializer=self._enter)
        self._thread.submit(os.getpid).result()  # a failing initializer is reported here

    def _enter(self) -> None:
        if self._hide is None:
            return
        check(LIBC.unshare(CLONE_FS | CLONE_NEWNS), "mount namespace of the spawner")
        set_propagation(self._hide.parent, MS_REC | MS_PRIVATE)
        unmount(self._hide, detach=True)

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> int:
        """Start a program that forks itself into the background; return its exit status then."""

        def run() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # vfork: no preexec_fn, no descriptor but pass_fds
                argv,
                cwd=cwd,
                env=dict(environment),
                pass_fds=tuple(pass_fds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        return self._thread.submit(run).result().wait()

    def run(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> Finished:
        """Run a program to its end; raise TimeoutError, with the program killed, past the limit."""

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                argv,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

        process = self._thread.submit(start).result()
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise TimeoutError(f"{argv[0]} did not end within {timeout_s:g} s") from error
        return Finished(process.returncode, stdout, stderr)

    def close(self) -> None:
        """End the thread; children go on."""
        self._thread.shutdown()
