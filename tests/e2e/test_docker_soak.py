"""Two hundred lives later the machine and the daemon are as before."""

import threading
from pathlib import Path

import pytest

from support.engine import Engine

pytestmark = [pytest.mark.needs("root", "docker", "conmon"), pytest.mark.timeout(600)]
CYCLES = 200
CLIENTS = 3


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def _cycle(engine: Engine, number: int) -> None:
    name = f"soak-{number}"
    match number % 5:
        case 0:
            assert engine.out("run", "--rm", engine.image, "echo", str(number)) == str(number)
        case 1:
            engine.docker("run", "--name", name, engine.image, "sh", "-c", "exit 3", check=False)
            assert engine.out("wait", name) == "3"
            engine.out("rm", name)
        case 2:
            flags = ["-d", "--name", name, "-p", f"{20000 + number}:80"]
            engine.out("run", *flags, engine.image, "sleep", "600")
            engine.out("exec", name, "true")
            engine.out("rm", "-f", name)
        case 3:
            words = ["run", "--rm", "-i", "--network", "none", engine.image, "wc", "-c"]
            assert engine.out(*words, stdin="abc") == "3"
        case _:
            done = engine.docker("run", "--rm", engine.image, "no-such-program", check=False)
            assert done.returncode == 127


def test_nothing_adds_up(engine: Engine) -> None:
    if engine.foreign:
        return
    assert engine.process is not None
    pid = engine.process.pid
    failures: list[BaseException] = []

    def work(first: int, last: int) -> None:
        try:
            for number in range(first, last):
                _cycle(engine, number)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    def run(first: int, last: int) -> None:
        share = -(-(last - first) // CLIENTS)
        starts = range(first, last, share)
        threads = [threading.Thread(target=work, args=(s, min(s + share, last))) for s in starts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]

    run(0, 40)  # caches and pools fill up
    clean = engine.settled_inventory()
    descriptors, resident = _descriptors(pid), _resident_kib(pid)
    run(40, 40 + CYCLES)
    engine.assert_clean(clean)
    assert _descriptors(pid) <= descriptors + 5
    assert _resident_kib(pid) <= resident + 12_000
