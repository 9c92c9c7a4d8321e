"""The default profile as data, custom profiles, and compiled filters."""

import base64
import ctypes
import os
import struct
from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import capabilities, libseccomp, seccomp, seccomp_filters
from pyd_guest.runtime import seccomp_profile as profile
from pyd_guest.runtime.libseccomp import ALLOW, ERRNO, Libseccomp

ALLOWED, DENIED, NO_SUCH = ALLOW, ERRNO | 1, ERRNO | 38
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7


def run(program: bytes, number: int, *arguments: int, arch: int = X86_64) -> int:
    """Interpret a seccomp program (classic BPF) on one call and return its answer."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(*arguments, *[0] * 6)[:6])
    lines = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x06:
                return int(value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x25:
                at += if_true if accumulator > value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case _:
                raise AssertionError(hex(code))


@pytest.fixture(scope="module")
def library() -> Libseccomp:
    found = libseccomp.load()
    assert found is not None, "libseccomp2 is a package that crun and runc need"
    return found


@pytest.fixture(scope="module")
def program(library: Libseccomp) -> bytes:
    return seccomp_filters.compile_default(library, capabilities.DEFAULT, "x86_64")


def test_no_call_is_free_twice_and_none_that_needs_a_capability() -> None:
    names = [name for group in profile.FREE.values() for name in group.split()]
    assert len(names) == len(set(names)) == 364
    gated = {name for group in profile.BY_CAPABILITY.values() for name in group.split()}
    assert gated & set(names) == {"process_vm_readv", "process_vm_writev", "ptrace"}


def test_calls_that_must_not_be_free() -> None:
    free = set(seccomp.free_calls(capabilities.DEFAULT, "x86_64"))
    closed = (
        "add_key keyctl request_key pivot_root swapon swapoff kexec_load kexec_file_load"
        " io_uring_setup io_uring_enter io_uring_register userfaultfd nfsservctl uselib ustat"
        " clone clone3 socket personality mount umount umount2 unshare setns bpf reboot"
        " init_module move_pages migrate_pages get_kernel_syms vm86 vm86old _sysctl"
    )
    assert not free & set(closed.split())
    assert "chroot" in free  # by CAP_SYS_CHROOT, which is in the default set


@pytest.mark.parametrize(
    ("number", "arguments", "answer"),
    [
        (39, (), ALLOWED),  # getpid
        (56, (0x11,), ALLOWED),  # clone
        (56, (0x10000011,), DENIED),
        (56, (0x02000000,), DENIED),  # CLONE_NEWCGROUP
        (56, (1 << 32 | 0x11,), ALLOWED),
        (435, (), NO_SUCH),  # clone3
        (41, (2,), ALLOWED),
        (41, (16,), ALLOWED),
        (41, (37,), ALLOWED),
        (41, (38,), DENIED),
        (41, (39,), ALLOWED),
        (41, (40,), DENIED),
        (41, (41,), ALLOWED),
        (41, (45,), ALLOWED),
        (41, (1 << 32 | 38,), DENIED),
        (41, (1 << 32 | 40,), DENIED),
        (41, (1 << 63 | 40,), DENIED),
        (135, (0,), ALLOWED),
        (135, (8,), ALLOWED),
        (135, (0x20008,), ALLOWED),
        (135, (0xFFFFFFFF,), ALLOWED),
        (135, (0x40000,), DENIED),
        (165, (), DENIED),  # mount
        (101, (), ALLOWED),  # ptrace
        (250, (), DENIED),  # keyctl
        (158, (), ALLOWED),  # arch_prctl
        (452, (), ALLOWED),  # fchmodat2
        (462, (), ALLOWED),  # mseal
        (461, (), DENIED),  # lsm_list_modules
        (profile.NEWEST_NUMBER, (), DENIED),
        (profile.NEWEST_NUMBER + 1, (), NO_SUCH),
        (2000, (), NO_SUCH),
        (0xFFFFFFFF, (), DENIED),
    ],
)
def test_default_program(
    program: bytes, number: int, arguments: tuple[int, ...], answer: int
) -> None:
    if os.uname().machine != "x86_64":
        return
    assert run(program, number, *arguments) == answer


def test_the_other_doors_of_the_kernel(program: bytes) -> None:
    if os.uname().machine != "x86_64":
        return
    assert run(program, 20, arch=I386) == ALLOWED  # getpid
    assert run(program, 359, 2, arch=I386) == ALLOWED  # socket
    assert run(program, 359, 40, arch=I386) == DENIED
    assert run(program, 21, arch=I386) == DENIED  # mount
    assert run(program, 2000, arch=I386) == NO_SUCH
    assert run(program, 0x40000000 | 39) == ALLOWED  # x32 getpid
    assert run(program, 0x40000000 | 165) == DENIED
    assert run(program, 39, arch=AARCH64) not in (ALLOWED, DENIED)  # kills


def test_every_family_alike(program: bytes) -> None:
    if os.uname().machine != "x86_64":
        return
    answers = {family: run(program, 41, family) for family in range(64)}
    assert {family for family, answer in answers.items() if answer != ALLOWED} == {38, 40}


@pytest.mark.parametrize("allowed", [[], [451], list(range(443, 467))])
def test_prologue_passes_on_what_it_does_not_know(allowed: list[int]) -> None:
    main = struct.pack("=HBBI", 0x06, 0, 0, 7)
    program = seccomp_filters.prologue(allowed) + main
    for number in (0, 39, 430, 0x0F0001, 0x40000000 | 451, 0xFFFFFFFF):
        assert run(program, number) == 7
    for number in range(440, profile.NEWEST_NUMBER + 1):
        assert run(program, number) == (ALLOWED if number in allowed else 7)
    assert run(program, profile.NEWEST_NUMBER + 1) == NO_SUCH
    assert run(program, 0x0EFFFF) == NO_SUCH


def test_a_capability_opens_its_calls(library: Libseccomp) -> None:
    if os.uname().machine != "x86_64":
        return
    program = seccomp_filters.compile_default(library, ["CAP_SYS_ADMIN"], "x86_64")
    assert run(program, 165) == ALLOWED
    assert run(program, 56, 0x10000011) == ALLOWED
    assert run(program, 435) == ALLOWED
    assert run(program, 41, 40) == DENIED
    assert run(program, 161) == DENIED  # chroot


def test_json_form() -> None:
    document = seccomp.default_profile(capabilities.DEFAULT, "x86_64")
    assert document["defaultAction"] == "SCMP_ACT_ERRNO"
    assert document["defaultErrnoRet"] == 1
    assert document["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    arm = seccomp.default_profile((), "aarch64")
    assert arm["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    syscalls = arm["syscalls"]
    assert isinstance(syscalls, list)
    assert "arch_prctl" not in syscalls[0]["names"]
    assert "set_tls" in syscalls[0]["names"]
    assert {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38} in syscalls
    admin = seccomp.default_profile(["CAP_SYS_ADMIN"], "x86_64")["syscalls"]
    assert isinstance(admin, list)
    assert "clone3" in admin[0]["names"]


class CountingLibrary(Libseccomp):
    def __init__(self) -> None:
        super().__init__(ctypes.CDLL("libseccomp.so.2"))
        self.compiled = 0

    def compile(self, *args: object, **kwargs: object) -> bytes:
        self.compiled += 1
        return super().compile(*args, **kwargs)  # type: ignore[arg-type]


def test_filters_are_made_once_and_kept(tmp_path: Path) -> None:
    library = CountingLibrary()
    first = seccomp_filters.Filters(tmp_path, library=library)
    made = first.default(capabilities.DEFAULT, runtime="crun")
    assert made.bpf
    assert first.default((*capabilities.DEFAULT, "CAP_NET_ADMIN"), runtime="crun") is made
    again = seccomp_filters.Filters(tmp_path, library=library)
    assert again.default(capabilities.DEFAULT, runtime="crun") == made
    assert library.compiled == 1
    assert again.default(("CAP_SYS_ADMIN",), runtime="crun").bpf != made.bpf
    assert library.compiled == 2
    assert [path.name for path in tmp_path.iterdir()] == ["default.bpf"]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    library = CountingLibrary()
    filters = seccomp_filters.Filters(tmp_path, library=library)
    good = filters.default(capabilities.DEFAULT, runtime="crun")
    file = tmp_path / "default.bpf"
    head, _, program = file.read_bytes().partition(b"\n")
    words = head.split()
    old = b" ".join([*words[:2], b"0" * 64, words[3]])
    file.write_bytes(old + b"\n" + program)
    again = seccomp_filters.Filters(tmp_path, library=library)
    assert again.default(capabilities.DEFAULT, runtime="crun") == good
    assert library.compiled == 2
    assert file.read_bytes().startswith(head)


def test_memory_is_bounded(tmp_path: Path) -> None:
    filters = seccomp_filters.Filters(tmp_path, library=None)
    for number in range(200):
        chosen = [name for bit, name in enumerate(profile.BY_CAPABILITY) if number >> bit & 1]
        filters.default(chosen, runtime="runc")
    assert len(filters._ready) == 64


@pytest.mark.parametrize(
    "damage", [b"", b"x", b"pyd-seccomp 1 00\n\x06\x00\x00\x00\x00\x00\xff\x7f"]
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: bytes) -> None:
    library = CountingLibrary()
    filters = seccomp_filters.Filters(tmp_path, library=library)
    good = filters.default(capabilities.DEFAULT, runtime="crun")
    (file,) = tmp_path.iterdir()
    for content in (damage, file.read_bytes()[:-8]):
        file.write_bytes(content)
        filters = seccomp_filters.Filters(tmp_path, library=library)
        assert filters.default(capabilities.DEFAULT, runtime="crun") == good
    assert library.compiled == 3


def test_no_place_to_keep_it_is_no_failure(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    filters = seccomp_filters.Filters(gone, library=CountingLibrary())
    assert filters.default(capabilities.DEFAULT, runtime="crun").bpf
    assert not gone.exists()


def test_json_where_bpf_cannot_be(tmp_path: Path) -> None:
    without = seccomp_filters.Filters(tmp_path, library=None)
    assert without.default((), runtime="crun").bpf is None
    assert without.default((), runtime="crun").json
    with_library = seccomp_filters.Filters(tmp_path, library=CountingLibrary())
    assert with_library.default((), runtime="runc").bpf is None
    odd = seccomp_filters.Filters(tmp_path, library=CountingLibrary(), machine="vax")
    assert odd.default((), runtime="crun").bpf is None


def test_D8_which_filter_a_container_gets(tmp_path: Path) -> None:  # noqa: N802
    filters = seccomp_filters.Filters(tmp_path, library=None)

    def choose(wanted: str | None, *, privileged: bool = False) -> object:
        return filters.choose(wanted, (), privileged=privileged, runtime="runc")

    default = filters.default((), runtime="runc")
    assert choose(None) == choose("builtin") == default
    assert choose("unconfined") is None
    assert choose(None, privileged=True) is None
    assert choose("builtin", privileged=True) == default
    assert choose("unconfined", privileged=True) is None
    with pytest.raises(InvalidRequestError):
        choose("{")


BROKEN: list[object] = [
    [],
    {},
    {"defaultAction": "ALLOW"},
    {"defaultAction": 5},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [5]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ALLOW"}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"]}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "a", "action": "SCMP_ACT_ALLOW"}]},
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"name": "a", "names": ["a"], "action": "SCMP_ACT_ALLOW"}],
    },
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 9}]}],
    },
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0}]}],
    },
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": -1}],
    },
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": []}],
    },
    {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": True},
    {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86"]},
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86"],
        "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
    },
    {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"},
    {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["NOPE"]},
]


@pytest.mark.parametrize("document", BROKEN)
def test_D8_broken_profiles_are_refused(document: object) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError, match="Decoding seccomp profile failed: "):
        seccomp.check_profile(document)


def test_custom_profile_is_filtered_for_the_container() -> None:
    def rule(name: str, **more: object) -> dict[str, object]:
        return {"names": [name], "action": "SCMP_ACT_ALLOW", **more}

    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 5,
        "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        ],
        "syscalls": [
            rule("always"),
            rule("with_cap", includes={"caps": ["CAP_KILL"]}),
            rule("with_other_cap", includes={"caps": ["CAP_SYS_ADMIN"]}),
            rule("without_cap", excludes={"caps": ["CAP_KILL"]}),
            rule("here", includes={"arches": ["amd64"]}),
            rule("elsewhere", includes={"arches": ["arm64"]}),
            rule("not_here", excludes={"arches": ["amd64"]}),
            rule("new", includes={"minKernel": "4.8"}),
            rule("future", includes={"minKernel": "99.0"}),
            rule("args", args=[{"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}], comment="x"),
        ],
    }
    result = seccomp.custom_profile(document, ("CAP_KILL",), "x86_64")
    syscalls = result["syscalls"]
    assert isinstance(syscalls, list)
    assert [entry["names"][0] for entry in syscalls] == [
        "always",
        "with_cap",
        "here",
        "new",
        "args",
    ]
    assert syscalls[-1]["args"] == [{"index": 1, "op": "SCMP_CMP_EQ", "value": 2, "valueTwo": 0}]
    assert result["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert result["defaultErrnoRet"] == 5


def test_an_errno_beside_allow_is_dropped_for_crun() -> None:
    document = {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}
    assert "defaultErrnoRet" not in seccomp.custom_profile(document, (), "x86_64")


def test_the_annotation_is_base64_of_whole_instructions(tmp_path: Path) -> None:
    made = seccomp_filters.Filters(tmp_path, library=CountingLibrary()).default((), runtime="crun")
    assert made.bpf is not None
    assert len(base64.b64decode(made.bpf, validate=True)) % 8 == 0
