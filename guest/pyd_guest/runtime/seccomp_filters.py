"""Ready filters: the default profile compiled once per set of capabilities.

The one for Docker's default capabilities, which nearly every container has, outlives the daemon::

    CACHE-DIR/default.bpf      "pyd-seccomp 1 <key> <sha256 of program>", newline, program

The key is the hash of profile, architecture and libseccomp's version, so the file is never out of
date; one that is damaged is made again. The program starts with calls that libseccomp has no name
for yet, and answers ENOSYS for numbers that nobody knows, as runc's filters do.
"""

import base64
import hashlib
import json
import os
import struct
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pyd_guest.runtime import libseccomp, seccomp
from pyd_guest.runtime import seccomp_profile as profile
from pyd_guest.runtime.capabilities import DEFAULT
from pyd_guest.runtime.libseccomp import ALLOW, ERRNO, Libseccomp, Rule
from pyd_guest.runtime.oci_spec import Seccomp

_FORMAT = "pyd-seccomp 1"
_KEPT = tuple(sorted(profile.BY_CAPABILITY.keys() & set(DEFAULT)))
_READY_MAX = 64  # sets of capabilities held in memory; users may ask for thousands
_ARCHITECTURE_NAMES = {"x86_64": ("x86_64", "x86", "x32"), "aarch64": ("aarch64", "arm")}
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jt, jf, k
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP, _EQUAL, _GREATER, _AT_LEAST = 0x05, 0x15, 0x25, 0x35
_RETURN = 0x06
_PRIVATE_NUMBERS = 0x0F0000  # ARM's own calls and the x32 bit lie above; others stay far below
_INSTRUCTIONS_MAX = 4096  # BPF_MAXINSNS


class Filters:
    """Gives each container its filter, in the form its runtime takes; thread-safe."""

    def __init__(
        self, cache_dir: Path, *, machine: str | None = None, library: Libseccomp | None = None
    ) -> None:
        self._cache_dir = cache_dir
        self._machine = machine or os.uname().machine
        self._library = library
        self._lock = threading.Lock()
        self._ready: dict[tuple[str, ...], Seccomp] = {}

    @classmethod
    def open(cls, cache_dir: Path) -> "Filters":
        """Use this machine's libseccomp if there is one."""
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(cache_dir, library=libseccomp.load())

    def choose(
        self, wanted: str | None, capabilities: Collection[str], *, privileged: bool, runtime: str
    ) -> Seccomp | None:
        """Return the filter for ``wanted``: None, ``unconfined``, ``builtin`` or a profile's text.

        A privileged container has none unless one was named (checklist D8).
        """
        if wanted == "unconfined" or (wanted is None and privileged):
            return None
        if wanted is None or wanted == "builtin":
            return self.default(capabilities, runtime=runtime)
        document = seccomp.decode(wanted)
        return Seccomp(json=seccomp.custom_profile(document, capabilities, self._machine))

    def default(self, capabilities: Collection[str], *, runtime: str) -> Seccomp:
        """Return the default profile: BPF for crun where it can be made, else JSON."""
        # capabilities that open no call must not make a cache entry of their own
        relevant = tuple(sorted(profile.BY_CAPABILITY.keys() & set(capabilities)))
        key = (runtime, *relevant)
        with self._lock:
            if key not in self._ready:
                if len(self._ready) >= _READY_MAX:
                    del self._ready[next(iter(self._ready))]
                self._ready[key] = self._make(relevant, runtime)
            return self._ready[key]

    def _make(self, capabilities: tuple[str, ...], runtime: str) -> Seccomp:
        document = seccomp.default_profile(capabilities, self._machine)
        known = self._machine in _ARCHITECTURE_NAMES
        if runtime != "crun" or self._library is None or not known:
            return Seccomp(json=document)
        kept = self._cache_dir / "default.bpf" if capabilities == _KEPT else None
        key = self._key(document, self._library)
        program = _read(kept, key) if kept else None
        if program is None:
            try:
                program = compile_default(self._library, capabilities, self._machine)
            except OSError:  # an odd library; the runtime's own compiler is the way out
                return Seccomp(json=document)
            if kept:
                _write(kept, key, program)
        return Seccomp(json=document, bpf=base64.b64encode(program).decode("ascii"))

    def _key(self, document: seccomp.Json, library: Libseccomp) -> str:
        parts = [_FORMAT, self._machine, library.version, json.dumps(document, sort_keys=True)]
        parts.append(json.dumps([profile.NUMBERS, profile.NEWEST_NUMBER]))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compile_default(library: Libseccomp, capabilities: Collection[str], machine: str) -> bytes:
    """Return the default profile as a BPF program. Raises OSError if the library refuses."""
    free = seccomp.free_calls(capabilities, machine)
    rules = [Rule(name, ALLOW) for name in free]
    for name, conditions in seccomp.conditional_calls(capabilities).items():
        rules += [Rule(name, ALLOW, (condition.mask, condition.value)) for condition in conditions]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append(Rule("clone3", ERRNO | seccomp.ENOSYS))
    main = library.compile(ERRNO | seccomp.EPERM, _ARCHITECTURE_NAMES[machine], rules)
    missing = [
        profile.NUMBERS[name]
        for name in free
        if name in profile.NUMBERS and not library.knows(name)
    ]
    program = prologue(missing) + main
    if len(program) > _INSTRUCTIONS_MAX * _INSTRUCTION.size:
        raise OSError(7, os.strerror(7), "seccomp filter")
    return program


def prologue(allowed: list[int]) -> bytes:
    """Return instructions that settle new calls by number and pass every other one on.

    ::

        load number
        number >= 0x0f0000      → main filter
        number >  newest known  → ENOSYS
        number is in allowed    → ALLOW
        jump to main filter; return ALLOW; return ENOSYS
    """
    count = len(allowed)
    to_main = count + 4  # from the instruction after the first comparison
    lines = [
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, to_main, 0, _PRIVATE_NUMBERS),
        (_GREATER, count + 2, 0, profile.NEWEST_NUMBER),
    ]
    lines += [(_EQUAL, count - index, 0, number) for index, number in enumerate(allowed)]
    lines += [(_JUMP, 0, 0, 2), (_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, ERRNO | seccomp.ENOSYS)]
    return b"".join(_INSTRUCTION.pack(*line) for line in lines)


def _head(key: str, program: bytes) -> bytes:
    return f"{_FORMAT} {key} {hashlib.sha256(program).hexdigest()}".encode()


def _read(path: Path, key: str) -> bytes | None:
    """Return a kept program, None when there is none, or an old or damaged one."""
    try:
        head, _, program = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return program if program and head == _head(key, program) else None


def _write(path: Path, key: str, program: bytes) -> None:
    """Keep a program; a full or read-only disk costs the next daemon the time to make it again."""
    part = path.with_suffix(".part")  # one daemon per root, and the caller holds the lock
    try:
        part.write_bytes(_head(key, program) + b"\n" + program)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
