"""A real engine, without the API, in a process of the test's own that may be killed at any step.

Namespaces and cgroups are a sandbox's. ``/proc/self`` shows what the whole process sees, so the
engine lives in a fork that enters the sandbox as a whole::

    test ──fork──▶ child: enters the sandbox, opens the engine, acts, may die
         ◀─ the child's failure, as text; its status
"""

import ctypes
import functools
import os
import re
import select
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from pyd_guest.daemon import compose
from pyd_guest.daemon.config import Config
from pyd_guest.engine.containers import Containers
from pyd_guest.engine.execs import Execs
from pyd_guest.engine.model import Container
from pyd_guest.engine.parts import Parts
from pyd_guest.linux.libc import LIBC, check
from support import inventory, sandbox
from support.sandbox import Sandbox

IMAGE = "pyd.local/base"
KILLED = -signal.SIGKILL
# What a container keeps from its first start on, until it is removed.
_OF_A_START = re.compile(r"data[^/]*/(containers/[^/]+/.+|snapshots/active/[^/]+/work/.+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A sandbox and the directory of an engine in it."""

    box: Sandbox
    root: Path

    def config(self, name: str = "", **changes: Any) -> Config:
        """Configure an engine; ``name`` tells apart those that live side by side."""
        return replace(
            Config(
                data_root=self.root / f"data{name}",
                exec_root=self.root / f"exec{name}",
                bridge=f"pyd{name or 0}",
            ),
            **changes,
        )

    def look(self) -> inventory.Inventory:
        """Take stock, from outside or as the engine's process; that itself does not count."""
        box = self.box
        if not box.tops[0].exists():  # inside, the subtrees are the roots
            box = replace(box, tops=tuple(top.parent for top in box.tops))
        found = inventory.take(box, self.root, daemon=os.getpid())
        files = frozenset(name for name in found.files if not _OF_A_START.fullmatch(name))
        return replace(found, files=files)

    def assert_clean(self, before: inventory.Inventory) -> None:
        """Fail if anything was left since ``before``."""
        left = inventory.settled(self.look, before)
        assert not left, "left behind (+) or lost (-):\n" + "\n".join(left)

    def run(self, act: Callable[[], None]) -> int:
        """Let a child in the sandbox act; return its status, and raise what failed there."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(reader)
                self._enter()
                act()
                status = 0
            except BaseException:  # noqa: BLE001 - told to the parent
                with open(writer, "w", encoding="utf-8", closefd=False) as report:
                    report.write(traceback.format_exc())
            finally:
                os._exit(status)
        os.close(writer)
        with open(reader, encoding="utf-8") as report:
            try:
                said = report.read()
            except BaseException:
                os.kill(child, signal.SIGKILL)
                raise
            finally:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if said:
            raise AssertionError(f"in the engine's process:\n{said}")
        return status

    def _enter(self) -> None:
        for top in self.box.tops:
            (top / "daemon" / "cgroup.procs").write_text(str(os.getpid()))
        kinds = ("net", "cgroup", "mnt")
        holders = [os.open(f"/proc/{self.box.holder}/ns/{kind}", os.O_RDONLY) for kind in kinds]
        for descriptor in holders:
            check(LIBC.setns(ctypes.c_int(descriptor), ctypes.c_int(0)))
            os.close(descriptor)


@contextmanager
def place() -> Iterator[Place]:
    """Make a place where an engine has run once, so that nothing is made for the first time."""
    root = Path(tempfile.mkdtemp(prefix="pyd-own-", dir=sandbox.scratch_base()))
    try:
        with sandbox.opened() as box:
            own = Place(box, root)
            own.run(functools.partial(_warm_up, own))
            yield own
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _warm_up(own: Place) -> None:
    with compose.engine(own.config()) as engine:
        made = engine.containers.create("warm", body("true"), platform=None)
        end = engine.containers.wait(made.id, "next-exit")
        engine.containers.start(made.id)
        assert end.result(20).status_code == 0
        engine.containers.remove(made.id, force=True, volumes=False, link=False)


def body(*argv: str, **host_config: object) -> Mapping[str, object]:
    """Return the request for a container of the base image."""
    return {"Image": IMAGE, "Cmd": list(argv), "HostConfig": host_config}


def sleeper(**host_config: object) -> Mapping[str, object]:
    """Return the request for a container that runs until it is killed."""
    return body("sleep", "600", **host_config)


def over(parts: Parts) -> tuple[Containers, Execs]:
    """Return the verbs over changed parts."""
    return Containers(parts), Execs(parts)


def known(engine: compose.Engine, ref: str) -> Container:
    """Return the engine's own object of a container."""
    return engine.parts.index.get(ref)


class Failing:
    """Stands in for a part of the engine; one method acts otherwise, the rest is passed on."""

    def __init__(self, real: Any, method: str, act: Callable[..., Any]) -> None:
        self._real = real
        self._method = method
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return self._act if name == self._method else getattr(self._real, name)


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that fails."""

    def act(*_: object, **__: object) -> None:
        raise error

    return act


def after(real: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """Return a function that does its work and then fails."""

    def act(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise error

    return act


def dying(*_: object, **__: object) -> None:
    """Die as a daemon that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does its work, after which the process dies."""

    def act(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        dying()

    return act


def swapped(parts: Parts, name: str, method: str, make: Callable[[Any], Any]) -> Parts:
    """Return parts of which one has one method replaced by ``make(the real one)``."""
    real = getattr(parts, name)
    stand_in: Any = Failing(real, method, make(getattr(real, method)))
    changes: dict[str, Any] = {name: stand_in}
    return replace(parts, **changes)


def bridge_address(number: int) -> IPv4Interface:
    """Return an address for the bridge of a second engine."""
    return IPv4Interface(f"10.{100 + number}.0.1/24")


def readable(descriptor: int, timeout_s: float = 10.0) -> None:
    """Wait for a descriptor, say a pidfd, and fail if nothing comes."""
    assert select.select([descriptor], [], [], timeout_s)[0]
