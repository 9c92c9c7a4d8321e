"""Paths of /proc and /sys that a container may not read, or may not write.

Lists: Docker's current defaults (advisories GHSA-jq35-85cj-fj4p and GHSA-6fw5-f8r9-fgfm added the
newer ones). A path that the kernel does not have is skipped by the runtime.
"""

import functools
from pathlib import Path

_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@functools.cache
def masked(cpu_root: Path = Path("/sys/devices/system/cpu")) -> tuple[str, ...]:
    """Return the masked paths of this machine; each CPU's throttling counters are among them."""
    throttles = (str(path) for path in sorted(cpu_root.glob("cpu[0-9]*/thermal_throttle")))
    return (*_MASKED, *throttles)
