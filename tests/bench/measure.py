"""Time programs, weigh processes."""

import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# Between two measurements: without it the kernel's grace periods of one hide in the next.
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Times:
    """What was measured, in milliseconds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    @property
    def p95(self) -> float:
        """The value that 95 of 100 stay below, by nearest rank."""
        ranked = sorted(self.values)
        return ranked[max(0, -(-95 * len(ranked) // 100) - 1)]


def once_ms(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a program that has to succeed and return how long it took from spawn to reap."""
    begin = time.perf_counter()
    done = subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    elapsed = (time.perf_counter() - begin) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.returncode}: {done.stderr.decode(errors='replace')}")
    return elapsed


def alternate(
    programs: Mapping[str, Callable[[], float]], *, rounds: int, warm_up: int = 3
) -> dict[str, Times]:
    """Measure A B A B …, so that what else the machine does falls on all of them alike."""
    values: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(-warm_up, rounds):
        for name, program in programs.items():
            time.sleep(PAUSE_S)
            elapsed = program()
            if turn >= 0:
                values[name].append(elapsed)
    return {name: Times(tuple(measured)) for name, measured in values.items()}


def memory_mib(pids: Iterable[int]) -> tuple[float, float]:
    """Return PSS and RSS of the processes together, in MiB.

    PSS shares out what several processes map, and a Python program that measures another one maps
    the same interpreter: RSS beside it is the upper bound.
    """
    total = {"Pss:": 0, "Rss:": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            words = line.split()
            if words[0] in total:
                total[words[0]] += int(words[1])
    return total["Pss:"] / 1024, total["Rss:"] / 1024


def tree(pid: int) -> list[int]:
    """Return ``pid`` and its living children, which for a daemon are its helpers."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(word) for path in children for word in path.read_text().split()]
    return [pid, *(grandchild for child in found for grandchild in tree(child))]


def command_line(pid: int) -> str:
    """Return a process's command line, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
