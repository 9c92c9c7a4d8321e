"""Compile a seccomp filter to BPF with libseccomp, called through ctypes (seccomp_init(3) and kin).

The library is optional: without it the runtime compiles the JSON form itself.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
_SONAME = "libseccomp.so.2"
_UNKNOWN = -1  # __NR_SCMP_ERROR
_OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE
_BINARY_TREE = 2
_MASKED_EQ = 7


class _Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class _Version(ctypes.Structure):
    """struct scmp_version."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


@dataclass(frozen=True, slots=True)
class Rule:
    """One call and what it answers; with (mask, value), only if its first argument matches."""

    name: str
    action: int
    condition: tuple[int, int] | None = None


class Libseccomp:
    """The library, with the calls that compiling needs."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.seccomp_version.restype = ctypes.POINTER(_Version)
        library.seccomp_init.restype = ctypes.c_void_p
        library.seccomp_init.argtypes = [ctypes.c_uint32]
        library.seccomp_release.argtypes = [ctypes.c_void_p]
        library.seccomp_release.restype = None
        library.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
        library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
        library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
        library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
        library.seccomp_rule_add_array.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.POINTER(_Compare),
        ]
        library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._library = library

    @property
    def version(self) -> str:
        """The library's own version; what names it knows depends on it."""
        version = self._library.seccomp_version().contents
        return f"{version.major}.{version.minor}.{version.micro}"

    def knows(self, name: str) -> bool:
        """Whether the library has a number for a call."""
        return bool(self._library.seccomp_syscall_resolve_name(name.encode()) != _UNKNOWN)

    def compile(
        self, default_action: int, architectures: Iterable[str], rules: Sequence[Rule]
    ) -> bytes:
        """Return the program (struct sock_filter, native order); unknown names are left out.

        ``architectures`` are names such as ``x86_64``; the machine's own is always there.
        """
        with self._filter(default_action) as context:
            for name in architectures:
                token = self._library.seccomp_arch_resolve_name(name.encode())
                _check(self._library.seccomp_arch_add(context, token), name, ok=(17,))
            # a tree instead of a list; old libraries go on without
            self._library.seccomp_attr_set(context, _OPTIMIZE, _BINARY_TREE)
            for rule in rules:
                self._add(context, rule)
            return self._export(context)

    @contextmanager
    def _filter(self, default_action: int) -> Iterator[int]:
        context = self._library.seccomp_init(default_action)
        if not context:
            raise OSError(12, os.strerror(12), "seccomp_init")
        try:
            yield context
        finally:
            self._library.seccomp_release(context)

    def _add(self, context: int, rule: Rule) -> None:
        number = self._library.seccomp_syscall_resolve_name(rule.name.encode())
        if number == _UNKNOWN:
            return
        compares = (_Compare * 1)()
        count = 0
        if rule.condition is not None:
            count = 1
            compares[0] = _Compare(0, _MASKED_EQ, *rule.condition)
        _check(
            self._library.seccomp_rule_add_array(context, rule.action, number, count, compares),
            rule.name,
        )

    def _export(self, context: int) -> bytes:
        descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        with open(descriptor, "rb") as file:
            _check(self._library.seccomp_export_bpf(context, descriptor), "seccomp_export_bpf")
            file.seek(0)
            return file.read()


def _check(result: int, what: str, *, ok: tuple[int, ...] = ()) -> None:
    if result < 0 and -result not in ok:
        raise OSError(-result, os.strerror(-result), what)


def load() -> Libseccomp | None:
    """Open the library; None when the machine has none."""
    try:
        return Libseccomp(ctypes.CDLL(_SONAME))
    except OSError:
        return None
