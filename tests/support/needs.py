"""What a test may need from the machine, each probed once.

``@pytest.mark.needs("root", "skopeo")``: a name without a probe of its own is a program in PATH.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def extend_path() -> None:
    """Let tests find the programs that `make setup` unpacked because they were not installed."""
    unpacked = str(REPOSITORY / ".cache" / "bin")
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # A plain user's PATH lacks the folders of nft and runc.
    wanted = [unpacked, "/usr/local/sbin", "/usr/sbin", "/sbin"]
    os.environ["PATH"] = os.pathsep.join([*path, *(entry for entry in wanted if entry not in path)])


CURRENT_CLIENT = 28  # the stock client whose words pyd's own commands have


@functools.cache
def client_major() -> int:
    """Return the major version of the stock client, 0 where there is none."""
    extend_path()
    try:
        said = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"version (\d+)", said.stdout)
    return int(found[1]) if found else 0


def _root() -> str | None:
    if os.geteuid() != 0:
        return "not root"
    trial = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False)
    return None if trial.returncode == 0 else "root without the right to make namespaces"


def _kvm() -> str | None:
    return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no usable /dev/kvm"


def _ipv6() -> str | None:
    return None if Path("/proc/net/if_inet6").exists() else "the kernel has no IPv6"


_PROBES: dict[str, Callable[[], str | None]] = {"root": _root, "kvm": _kvm, "ipv6": _ipv6}


@functools.cache
def lacks(what: str) -> str | None:
    """Return why the machine does not have ``what``, or None if it does."""
    probe = _PROBES.get(what)
    if probe is not None:
        return probe()
    return None if shutil.which(what) else f"no program {what} in PATH"
