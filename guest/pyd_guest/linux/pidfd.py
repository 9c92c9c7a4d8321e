"""Processes by descriptor and start time, so that a recycled pid is never mistaken (pidfd_open(2)).

proc_pid_stat(5): field 22, ``starttime``, is in clock ticks since boot; pid and start time together
name one process until the next reboot.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for as long as the machine is up."""

    pid: int
    start_ticks: int


def identify(pid: int) -> ProcessIdentity:
    """Name the process that has ``pid`` now; raise ProcessLookupError when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(3, "no such process", str(pid)) from error
    after_name = stat[stat.rindex(b")") + 2 :].split()  # the name may hold blanks and brackets
    return ProcessIdentity(pid, int(after_name[19]))


def open_process(identity: ProcessIdentity) -> int:
    """Return a pidfd, which the caller closes; ProcessLookupError if that process is gone."""
    descriptor = os.pidfd_open(identity.pid)
    try:
        if identify(identity.pid) != identity:
            raise ProcessLookupError(3, "no such process", str(identity.pid))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def send_signal(identity: ProcessIdentity, number: int) -> None:
    """Signal exactly that process; raise ProcessLookupError if it is gone."""
    descriptor = open_process(identity)
    try:
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def is_alive(identity: ProcessIdentity) -> bool:
    """Tell whether that process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{identity.pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == identity.start_ticks
