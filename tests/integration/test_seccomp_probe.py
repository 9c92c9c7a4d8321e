"""The default seccomp profile, proved by making the calls in a container of the real runtimes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pyd_guest.runtime import capabilities, seccomp_filters
from pyd_guest.runtime.oci_spec import Seccomp
from support import spec_container
from support.spec_container import Call, Runner

pytestmark = [
    pytest.mark.needs("root", "crun", "runc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the probe is x86-64 code"),
]

EPERM, ESRCH, EBADF, EFAULT, EINVAL, ENOSYS, EAFNOSUPPORT = -1, -3, -9, -14, -22, -38, -97
_NEWUSER, _NEWNS, _NEWNET, _SIGCHLD, _CLONE_THREAD = 0x10000000, 0x20000, 0x40000000, 17, 0x10000
_MINUS_ONE = (1 << 64) - 1

# name: (call, answer). A call with nonsense arguments that gets past the filter shows the kernel's
# own complaint instead of EPERM.
BLOCKED: dict[str, tuple[Call, int]] = {
    "clone user namespace": ((56, _NEWUSER | _SIGCHLD), EPERM),
    "clone mount namespace": ((56, _NEWNS | _SIGCHLD), EPERM),
    "clone network namespace": ((56, _NEWNET | _SIGCHLD), EPERM),
    "clone3": ((435, 0, 64), ENOSYS),
    "socket AF_ALG": ((41, 38, 5, 0), EPERM),
    "socket AF_VSOCK": ((41, 40, 1, 0), EPERM),
    "socket AF_ALG above 32 bits": ((41, 1 << 32 | 38, 5, 0), EPERM),
    "socket AF_VSOCK above 32 bits": ((41, 1 << 32 | 40, 1, 0), EPERM),
    "personality READ_IMPLIES_EXEC": ((135, 0x400000), EPERM),
    "keyctl": ((250, 0, 0), EPERM),
    "add_key": ((248, 0, 0), EPERM),
    "mount": ((165, 0, 0, 0, 0, 0), EPERM),
    "umount2": ((166, 0, 0), EPERM),
    "pivot_root": ((155, 0, 0), EPERM),
    "fsopen": ((430, 0, 0), EPERM),
    "open_tree": ((428, 0, 0, 0), EPERM),
    "move_mount": ((429, 0, 0, 0, 0), EPERM),
    "setns": ((308, _MINUS_ONE, 0), EPERM),
    "unshare": ((272, _NEWUSER), EPERM),
    "bpf": ((321, 0, 0, 0), EPERM),
    "perf_event_open": ((298, 0, 0, 0, 0, 0), EPERM),
    "io_uring_setup": ((425, 0, 0), EPERM),
    "userfaultfd": ((323, 0), EPERM),
    "open_by_handle_at": ((304, 0, 0, 0), EPERM),
    "pidfd_getfd": ((438, 0, 0, 0), EPERM),
    "kcmp": ((312, 0, 0, 0, 0, 0), EPERM),
    "mbind": ((237, 0, 0, 0, 0, 0), EPERM),
    "init_module": ((175, 0, 0, 0), EPERM),
    "kexec_load": ((246, 0, 0, 0, 0), EPERM),
    "iopl": ((172, 3), EPERM),
    "quotactl": ((179, 0, 0, 0, 0), EPERM),
}
FREE: dict[str, tuple[Call, int]] = {
    "clone without namespaces": ((56, _CLONE_THREAD), EINVAL),
    "socket families 45 and 63": ((41, 63, 1, 0), EAFNOSUPPORT),
    "personality query": ((135, 0xFFFFFFFF), 0),
    "personality PER_LINUX32": ((135, 8), 0),
    "ptrace": ((101, 16, 0x7FFFFFFF), ESRCH),
    "chroot": ((161, 0), EFAULT),
    "vmsplice": ((278, 0xFFFFFFFF, 0, 0, 0), EBADF),
    "cachestat": ((451, 0xFFFFFFFF, 0, 0, 0), EBADF),
    "fchmodat2": ((452, 0, 0, 0, 0), EFAULT),
}
# libseccomp 2.5.4 has no name for these; only the program made by pyd knows their numbers
NEW: dict[str, tuple[Call, int]] = {
    "statmount": ((457, 0, 0, 0, 0), EFAULT),
    "getxattrat": ((464, 0, 0, 0, 0, 0, 0), EINVAL),
    "mseal": ((462, 1, 1, 1), EINVAL),
    "nobody's number": ((500,), ENOSYS),
    "nobody's number, high": ((4000,), ENOSYS),
}


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spec_container.make_rootfs(tmp_path_factory.mktemp("seccomp") / "root")


def _probe(
    rootfs: Path,
    work: Path,
    runtime: str,
    seccomp: Seccomp | None,
    table: dict[str, tuple[Call, int]],
    *,
    by_int80: bool = False,
) -> dict[str, int]:
    calls = [call for call, _ in table.values()]
    spec_container.install_probe(rootfs, calls, by_int80=by_int80)
    spec = replace(spec_container.default_input(rootfs, ("/probe",)), seccomp=seccomp)
    done = Runner(work, runtime).run(spec)
    assert done.returncode == 0, done.stderr
    return dict(zip(table, spec_container.probe_results(done.stdout), strict=True))


def _answers(table: dict[str, tuple[Call, int]]) -> dict[str, int]:
    return {name: answer for name, (_, answer) in table.items()}


def _filter(work: Path, form: str) -> tuple[str, Seccomp]:
    runtime, _, kind = form.partition("+")
    ready = seccomp_filters.Filters.open(work / "cache").default(
        capabilities.DEFAULT, runtime=runtime
    )
    return runtime, ready if kind == "bpf" else Seccomp(json=ready.json)


@pytest.mark.parametrize("form", ["crun+bpf", "crun+json", "runc+json"])
def test_default_profile_answers_alike_in_every_form(
    rootfs: Path, tmp_path: Path, form: str
) -> None:
    runtime, seccomp = _filter(tmp_path, form)
    table = {**BLOCKED, **FREE}
    assert _probe(rootfs, tmp_path, runtime, seccomp, table) == _answers(table)


def test_calls_newer_than_libseccomp_work_and_unknown_ones_are_enosys(
    rootfs: Path, tmp_path: Path
) -> None:
    runtime, seccomp = _filter(tmp_path, "crun+bpf")
    assert seccomp.bpf
    found = _probe(rootfs, tmp_path, runtime, seccomp, NEW)
    wanted = _answers(NEW)
    # an older kernel may lack a call; the filter must not be what stops it
    assert all(answer in (wanted[name], ENOSYS) for name, answer in found.items()), found


def test_the_blocked_calls_are_stopped_by_the_filter_and_not_by_the_kernel(
    rootfs: Path, tmp_path: Path
) -> None:
    """Without a filter most of them reach the kernel, so the tests above prove something."""
    # those that would succeed and change the probe itself are left out
    table = {
        name: entry for name, entry in BLOCKED.items() if not name.startswith(("clone", "unshare"))
    }
    found = _probe(rootfs, tmp_path, "crun", None, table)
    reached = [name for name, answer in found.items() if answer not in (EPERM, ENOSYS)]
    assert {"keyctl", "mount", "bpf", "mbind", "setns", "pidfd_getfd"} <= set(reached)


@pytest.mark.parametrize("form", ["crun+bpf", "runc+json"])
def test_D14_socket_families_by_the_32_bit_path(rootfs: Path, tmp_path: Path, form: str) -> None:  # noqa: N802
    runtime, seccomp = _filter(tmp_path, form)
    table: dict[str, tuple[Call, int]] = {
        "getpid": ((20,), 1),
        "socket AF_VSOCK": ((359, 40, 1, 0), EPERM),
        "socket AF_ALG": ((359, 38, 5, 0), EPERM),
    }
    spec_container.install_probe(rootfs, [(20,)], by_int80=True)
    probe = spec_container.default_input(rootfs, ("/probe",))
    if Runner(tmp_path, "crun").run(probe).returncode != 0:
        return  # a kernel without the 32-bit path has nothing to close
    found = _probe(rootfs, tmp_path, runtime, seccomp, table, by_int80=True)
    assert found == _answers(table)


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_granted_capability_opens_its_calls(rootfs: Path, tmp_path: Path, runtime: str) -> None:
    caps = (*capabilities.DEFAULT, "CAP_SYS_ADMIN", "CAP_SYS_NICE")
    seccomp = seccomp_filters.Filters.open(tmp_path / "cache").default(caps, runtime=runtime)
    table: dict[str, tuple[Call, int]] = {
        "mount": ((165, 0, 0, 0, 0, 0), EFAULT),
        "mbind": ((237, 0, 0, 0, 0, 0), 0),
        "clone3": ((435, 0, 64), EFAULT),
        "open_tree": ((428, 0, 0, 0), EFAULT),
        "keyctl": ((250, 0, 0), EPERM),
        "socket AF_VSOCK": ((41, 40, 1, 0), EPERM),
    }
    spec_container.install_probe(rootfs, [call for call, _ in table.values()])
    base = spec_container.default_input(rootfs, ("/probe",))
    spec = replace(base, seccomp=seccomp, process=replace(base.process, capabilities=caps))
    done = Runner(tmp_path, runtime).run(spec)
    assert done.returncode == 0, done.stderr
    assert dict(zip(table, spec_container.probe_results(done.stdout), strict=True)) == _answers(
        table
    )


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_D8_custom_profile_is_obeyed(rootfs: Path, tmp_path: Path, runtime: str) -> None:  # noqa: N802
    filters = seccomp_filters.Filters.open(tmp_path / "cache")
    text = (
        '{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1,"syscalls":['
        '{"names":["getpriority"],"action":"SCMP_ACT_ERRNO","errnoRet":5},'
        '{"name":"getrusage","action":"SCMP_ACT_ERRNO"},'
        '{"names":["getsid"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_SYS_ADMIN"]}}]}'
    )
    seccomp = filters.choose(text, capabilities.DEFAULT, privileged=False, runtime=runtime)
    table: dict[str, tuple[Call, int]] = {
        "getpriority": ((140, 0, 0), -5),
        "getrusage": ((98, 0, 0), EPERM),
        "getpid": ((39,), 1),
    }
    assert _probe(rootfs, tmp_path, runtime, seccomp, table) == _answers(table)
