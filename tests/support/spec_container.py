"""Run one container straight through crun or runc, from a RuntimeInput and a busybox root."""

import json
import os
import shutil
import struct
import subprocess
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from pyd_guest.runtime import capabilities, devices, host, oci_spec
from pyd_guest.runtime.oci_spec import Namespaces, Process, RuntimeInput
from pyd_guest.runtime.resources import Resources
from pyd_guest.runtime.users import User

PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
GROUP = "root:x:0:\nalice:x:1000:\naudio:x:29:alice\nvideo:x:44:root,alice\n"


def make_rootfs(path: Path) -> Path:
    """Make a root with busybox, accounts and what the engine's own layer holds."""
    for name in ("bin", "dev/pts", "dev/shm", "proc", "sys", "etc", "tmp", "sbin", "home/alice"):
        (path / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for applet in ("sh", "cat", "ls", "id", "grep", "sleep", "env", "stat", "mknod", "hostname"):
        (path / "bin" / applet).symlink_to("busybox")
    (path / "etc/passwd").write_text(PASSWD)
    (path / "etc/group").write_text(GROUP)
    for name in ("hosts", "hostname", "resolv.conf"):
        (path / "etc" / name).touch()
    return path


def default_input(rootfs: Path, argv: tuple[str, ...], user: User | None = None) -> RuntimeInput:
    """Describe Docker's default container, with a network namespace of its own."""
    facts = host.detect()
    who = user or User()
    return RuntimeInput(
        rootfs=str(rootfs),
        process=Process(
            argv=argv,
            env=oci_spec.environment((), hostname="probe", terminal=False, user=who),
            cwd="/",
            user=who,
            capabilities=capabilities.grant((), (), privileged=False, within=facts.capabilities),
            oom_score_adj=0,
        ),
        hostname="probe",
        cgroups_path=f"/pyd-test-{uuid.uuid4().hex[:12]}/c",
        cgroup_version=facts.cgroup_version,
        namespaces=Namespaces(),
        resources=Resources(),
        devices=devices.collect((), (), privileged=False),
    )


@dataclass
class Runner:
    """Runs bundles below ``work`` with one runtime; every container is deleted afterwards."""

    work: Path
    runtime: str

    def run(self, spec: RuntimeInput) -> subprocess.CompletedProcess[bytes]:
        """Run the container to its end and return its output and status."""
        name = uuid.uuid4().hex
        bundle = self.work / f"bundle-{name}"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(oci_spec.build(spec)))
        root = self.work / f"{self.runtime}-state"
        command = [self.runtime, "--root", str(root)]
        try:
            return subprocess.run(
                [*_HIDE_UNIFIED, *command, "run", "-b", str(bundle), name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=False,
            )
        finally:
            subprocess.run(
                [*_HIDE_UNIFIED, *command, "delete", "--force", name],
                capture_output=True,
                timeout=30,
                check=False,
            )
            _remove_cgroups(Path(spec.cgroups_path).parts[1])

    def run_and_exec(
        self, spec: RuntimeInput, process: dict[str, object]
    ) -> subprocess.CompletedProcess[bytes]:
        """Exec a process document in a container that sleeps."""
        name = uuid.uuid4().hex
        bundle = self.work / f"bundle-{name}"
        bundle.mkdir()
        sleeping = replace(spec, process=replace(spec.process, argv=("sleep", "60")))
        (bundle / "config.json").write_text(json.dumps(oci_spec.build(sleeping)))
        (bundle / "process.json").write_text(json.dumps(process))
        root = self.work / f"{self.runtime}-state"
        command = [*_HIDE_UNIFIED, self.runtime, "--root", str(root)]
        try:
            for arguments in (
                ["run", "--detach", "-b", str(bundle), name],
                ["exec", "--process", str(bundle / "process.json"), name],
            ):
                with (bundle / "out").open("wb") as out:
                    done = subprocess.run(
                        [*command, *arguments],
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        timeout=30,
                        check=False,
                    )
                done.stdout = (bundle / "out").read_bytes()
                if done.returncode != 0:
                    break
            return done
        finally:
            subprocess.run(
                [*command, "delete", "--force", name], capture_output=True, timeout=30, check=False
            )
            _remove_cgroups(Path(spec.cgroups_path).parts[1])

    def output(self, spec: RuntimeInput, *argv: str) -> str:
        """Run ``argv`` in the container; the test fails when it does not succeed."""
        done = self.run(replace(spec, process=replace(spec.process, argv=argv)))
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


# crun refuses a machine where cgroup v2 lies beside v1 and carries a controller
_HIDE_UNIFIED = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
    "sh",
]


def _remove_cgroups(parent: str) -> None:
    for controller in Path("/sys/fs/cgroup").iterdir():
        directory = controller / parent
        if directory.is_dir():
            for child in directory.iterdir():
                if child.is_dir():
                    child.rmdir()
            directory.rmdir()


Call = tuple[int, ...]  # number and up to six arguments
_BASE = 0x400000
_HEADER_BYTES = 64 + 56
_ENTRY_BYTES = 64


def probe_program(calls: list[Call], *, by_int80: bool = False) -> bytes:
    """Return a static x86-64 ELF that makes each call and writes the table of results.

    An entry is eight words: how (0 syscall, 1 int 0x80, 2 end), number or result, six arguments.
    """
    how = 1 if by_int80 else 0
    rows = [struct.pack("<Qq6Q", how, call[0], *(*call[1:], *[0] * 6)[:6]) for call in calls]
    table = b"".join(rows)
    body = bytes.fromhex(
        "498b442408 498b7c2410 498b742418 498b542420 4d8b542428 4d8b442430 4d8b4c2438"
        "49833c2401 7406 7717 0f05 eb08 4889fb 4889f1 cd80 4989442408 4983c440 ebbd"
        "b801000000 bf01000000"
    )
    code_bytes = 10 + len(body) + 10 + 5 + 2 + 5 + 2 + 2
    table_at = _BASE + _HEADER_BYTES + code_bytes
    code = b"\x49\xbc" + struct.pack("<Q", table_at) + body
    code += b"\x48\xbe" + struct.pack("<Q", table_at) + b"\xba" + struct.pack("<I", len(table))
    code += bytes.fromhex("0f05 b83c000000 31ff 0f05")
    assert len(code) == code_bytes
    content = code + table + struct.pack("<Q", 2) + bytes(_ENTRY_BYTES)
    size = _HEADER_BYTES + len(content)
    header = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 2, 62, 1, _BASE + _HEADER_BYTES, 64, 0, 0, 64, 56, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + content


def probe_results(output: bytes) -> list[int]:
    """Read what the program wrote: minus errno, or what the call returned."""
    assert output
    assert len(output) % _ENTRY_BYTES == 0
    return [
        struct.unpack_from("<q", output, offset + 8)[0]
        for offset in range(0, len(output), _ENTRY_BYTES)
    ]


def install_probe(rootfs: Path, calls: list[Call], *, by_int80: bool = False) -> None:
    """Put the program at /probe of a root."""
    path = rootfs / "probe"
    path.write_bytes(probe_program(calls, by_int80=by_int80))
    os.chmod(path, 0o755)  # noqa: PTH101
