"""Limits of a container as cgroup settings (OCI runtime-spec, linux.resources and process.rlimits).

One document serves both cgroup layouts: the runtime converts shares to weights and the like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Json = dict[str, object]

_CPU_PERIOD_US = 100_000
_RLIM_INFINITY = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Rlimit:
    """One ``--ulimit``; -1 is no limit."""

    name: str
    soft: int
    hard: int

    def to_oci(self) -> Json:
        """Return the limit as the specification writes it."""
        return {
            "type": f"RLIMIT_{self.name.upper()}",
            "hard": _RLIM_INFINITY if self.hard < 0 else self.hard,
            "soft": _RLIM_INFINITY if self.soft < 0 else self.soft,
        }


ThrottleKind: TypeAlias = Literal[
    "throttleReadBpsDevice",
    "throttleWriteBpsDevice",
    "throttleReadIOPSDevice",
    "throttleWriteIOPSDevice",
]


@dataclass(frozen=True, slots=True)
class Throttle:
    """One block device and its rate in bytes or operations per second."""

    kind: ThrottleKind
    path: str
    rate: int


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits in API units; zero, empty or None is "not set"."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    nano_cpus: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0
    throttles: tuple[Throttle, ...] = ()
    rlimits: tuple[Rlimit, ...] = ()

    def to_oci(
        self,
        device_rules: Sequence[Json],
        *,
        cgroup_version: int,
        block_devices: Mapping[str, tuple[int, int]],
    ) -> Json:
        """Return ``linux.resources``; ``device_rules`` come first to last as given.

        ``block_devices`` has the numbers of each path that ``throttles`` name.
        """
        result: Json = {"devices": [dict(rule) for rule in device_rules]}
        if memory := self._memory(cgroup_version):
            result["memory"] = memory
        if cpu := self._cpu():
            result["cpu"] = cpu
        if self.pids_limit is not None:
            result["pids"] = {"limit": self.pids_limit}
        if block_io := self._block_io(block_devices):
            result["blockIO"] = block_io
        return result

    def _block_io(self, block_devices: Mapping[str, tuple[int, int]]) -> Json:
        block_io: Json = {"weight": self.blkio_weight} if self.blkio_weight else {}
        limits: dict[str, list[Json]] = {}
        for throttle in self.throttles:
            major, minor = block_devices[throttle.path]
            limits.setdefault(throttle.kind, []).append(
                {"major": major, "minor": minor, "rate": throttle.rate}
            )
        return {**block_io, **limits}

    def _memory(self, cgroup_version: int) -> Json:
        memory: Json = {}
        if self.memory:
            memory["limit"] = self.memory
        if self.memory_swap:
            memory["swap"] = self.memory_swap
        if self.memory_reservation:
            memory["reservation"] = self.memory_reservation
        if cgroup_version == 1:  # v2 has neither, and crun refuses them there
            if self.memory_swappiness is not None:
                memory["swappiness"] = self.memory_swappiness
            if self.oom_kill_disable:
                memory["disableOOMKiller"] = True
        return memory

    def _cpu(self) -> Json:
        cpu: Json = {}
        if self.cpu_shares:
            cpu["shares"] = self.cpu_shares
        if self.nano_cpus:
            cpu["quota"] = self.nano_cpus * _CPU_PERIOD_US // 1_000_000_000
            cpu["period"] = _CPU_PERIOD_US
        if self.cpu_quota:
            cpu["quota"] = self.cpu_quota
        if self.cpu_period:
            cpu["period"] = self.cpu_period
        if self.cpuset_cpus:
            cpu["cpus"] = self.cpuset_cpus
        if self.cpuset_mems:
            cpu["mems"] = self.cpuset_mems
        return cpu
