"""The limits of a create request: memory, CPU, pids, block IO, ulimits.

Ranges are dockerd's; a number that no machine can have is refused before anything is sized by it
(checklist D10).
"""

from collections.abc import Mapping

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine.parse_process import text
from pyd_guest.runtime import ulimits
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.resources import Resources, Rlimit, Throttle, ThrottleKind

_MEMORY_MIN_BYTES = 6 << 20
CPUSET_MAX = 8192
_CPU_QUOTA_MIN_US = 1000
_CPU_PERIOD_MAX_US = 1_000_000
_THROTTLES: dict[str, ThrottleKind] = {
    "BlkioDeviceReadBps": "throttleReadBpsDevice",
    "BlkioDeviceWriteBps": "throttleWriteBpsDevice",
    "BlkioDeviceReadIOps": "throttleReadIOPSDevice",
    "BlkioDeviceWriteIOps": "throttleWriteIOPSDevice",
}


def parse(host: Mapping[str, object], facts: HostFacts) -> tuple[Resources, list[str]]:
    """Return the limits and warnings about those the machine cannot keep."""
    _check_memory(host)
    _check_cpu(host, facts)
    warnings: list[str] = []
    if host["OomKillDisable"] and not host["Memory"]:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set,"
            " this can result in the system running out of resources."
        )
    if host["CpuPercent"]:
        warnings.append("linux does not support CPU percent. Percent discarded.")
    weight = _number(host["BlkioWeight"])
    if weight and not facts.blkio_weight and facts.cgroup_version == 1:
        warnings.append(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted."
            " Weight discarded."
        )
        weight = 0
    if weight and not 10 <= weight <= 1000:
        raise InvalidRequestError("Range of blkio weight is from 10 to 1000")
    if host["BlkioWeightDevice"]:
        if facts.blkio_weight or facts.cgroup_version > 1:
            raise UnsupportedError(
                "weights of block devices are not supported yet: HostConfig.BlkioWeightDevice"
            )
        warnings.append(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted."
            " Weight-device discarded."
        )
    swappiness = host["MemorySwappiness"]
    pids = host["PidsLimit"]
    return (
        Resources(
            memory=_number(host["Memory"]),
            memory_swap=_number(host["MemorySwap"]),
            memory_reservation=_number(host["MemoryReservation"]),
            memory_swappiness=swappiness if isinstance(swappiness, int) else None,
            oom_kill_disable=bool(host["OomKillDisable"]),
            cpu_shares=_number(host["CpuShares"]),
            cpu_period=_number(host["CpuPeriod"]),
            cpu_quota=_number(host["CpuQuota"]),
            nano_cpus=_number(host["NanoCpus"]),
            cpuset_cpus=str(host["CpusetCpus"]),
            cpuset_mems=str(host["CpusetMems"]),
            pids_limit=pids if isinstance(pids, int) and pids > 0 else None,
            blkio_weight=weight,
            throttles=tuple(_throttles(host)),
            rlimits=tuple(_ulimits(host["Ulimits"])),
        ),
        warnings,
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _check_memory(host: Mapping[str, object]) -> None:
    memory, swap = _number(host["Memory"]), _number(host["MemorySwap"])
    reservation = _number(host["MemoryReservation"])
    if memory and memory < _MEMORY_MIN_BYTES:
        raise InvalidRequestError("Minimum memory limit allowed is 6MB")
    if not memory and swap > 0:
        raise InvalidRequestError(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if memory and 0 < swap < memory:
        raise InvalidRequestError(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if swap < -1:
        raise InvalidRequestError(f"invalid memory swap limit ({swap}): only -1 means unlimited")
    if reservation and reservation < _MEMORY_MIN_BYTES:
        raise InvalidRequestError("Minimum memory reservation allowed is 6MB")
    if memory and reservation > memory:
        raise InvalidRequestError(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    swappiness = host["MemorySwappiness"]
    if isinstance(swappiness, int) and not 0 <= swappiness <= 100:
        raise InvalidRequestError(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )
    if host.get("KernelMemoryTCP"):
        raise UnsupportedError("HostConfig.KernelMemoryTCP is not supported")


def _check_cpu(host: Mapping[str, object], facts: HostFacts) -> None:
    nano, period, quota = (_number(host[name]) for name in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    if nano and period:
        raise InvalidRequestError(
            "Conflicting options: Nano CPUs and CPU Period cannot both be set"
        )
    if nano and quota:
        raise InvalidRequestError("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    cpus = len(facts.cpus)
    if nano and not 10_000_000 <= nano <= cpus * 1_000_000_000:
        raise InvalidRequestError(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )
    if (shares := _number(host["CpuShares"])) < 0:
        raise InvalidRequestError(
            f"invalid CPU shares ({shares}): value must be a positive integer"
        )
    if period and not _CPU_QUOTA_MIN_US <= period <= _CPU_PERIOD_MAX_US:
        raise InvalidRequestError(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < _CPU_QUOTA_MIN_US:
        raise InvalidRequestError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    runtime, realtime_period = (
        _number(host["CpuRealtimeRuntime"]),
        _number(host["CpuRealtimePeriod"]),
    )
    if runtime and realtime_period and runtime > realtime_period:
        raise InvalidRequestError(
            "cpu real-time runtime cannot be higher than cpu real-time period"
        )
    if runtime or realtime_period:
        raise UnsupportedError("CPU real-time limits are not supported: HostConfig.CpuRealtime*")
    _check_cpuset(str(host["CpusetCpus"]), facts.cpus, "cpus", "CPUs")
    _check_cpuset(str(host["CpusetMems"]), facts.memory_nodes, "mems", "memory nodes")


def _check_cpuset(text: str, available: frozenset[int], kind: str, words: str) -> None:
    if not text:
        return
    wanted: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = _cpu_number(first, text, kind), _cpu_number(last if dash else first, text, kind)
        if low > high:
            raise InvalidRequestError(
                f"Invalid value {text[:100]} for cpuset {kind}: invalid format: {part[:100]}"
            )
        wanted.update(range(low, high + 1))
    if not wanted <= available:
        have = _spell(available)
        raise InvalidRequestError(
            f"Requested {words} are not available - requested {text[:100]}, available: {have}"
        )


def _cpu_number(digits: str, text: str, kind: str) -> int:
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidRequestError(
            f"Invalid value {text[:100]} for cpuset {kind}: invalid format: {text[:100]}"
        )
    if len(digits) > 10 or int(digits) > CPUSET_MAX:
        raise InvalidRequestError(
            f"Invalid value {text[:100]} for cpuset {kind}: value of out range,"
            f" maximum is {CPUSET_MAX}"
        )
    return int(digits)


def _spell(numbers: frozenset[int]) -> str:
    """Write a set of numbers as the kernel does: ``0-1,4``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _throttles(host: Mapping[str, object]) -> list[Throttle]:
    result = []
    for name, kind in _THROTTLES.items():
        given = host[name]
        for entry in given if isinstance(given, list) else ():
            path = text(entry["Path"], "device path")
            if not path.startswith("/") or ".." in path.split("/"):
                raise InvalidRequestError(f"invalid device path: {path[:100]!r}")
            result.append(Throttle(kind, path, entry["Rate"]))
    return result


def _ulimits(given: object) -> list[Rlimit]:
    result = {}
    for entry in given if isinstance(given, list) else ():
        limit = ulimits.check(entry["Name"], entry["Soft"], entry["Hard"])
        result[limit.name] = limit  # the last one counts
    return list(result.values())
