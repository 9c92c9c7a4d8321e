"""CapAdd and CapDrop as dockerd 28.5 was seen to apply them."""

from pathlib import Path

import pytest

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import capabilities
from pyd_guest.runtime.capabilities import DEFAULT, KNOWN

HERE = tuple(name for name in KNOWN if name != "CAP_SYS_RESOURCE")


def grant(add: list[str], drop: list[str], *, privileged: bool = False) -> tuple[str, ...]:
    return capabilities.grant(
        capabilities.normalise(add, "CapAdd", HERE),
        capabilities.normalise(drop, "CapDrop", HERE),
        privileged=privileged,
        within=HERE,
    )


def test_default_is_the_mask_that_docker_shows() -> None:
    assert sum(1 << KNOWN.index(name) for name in DEFAULT) == 0xA80425FB
    assert KNOWN.index("CAP_CHECKPOINT_RESTORE") == 40


def test_D7_spellings() -> None:  # noqa: N802
    given = ["ALL", "all", "cap_net_admin", "NET_ADMIN", "Sys_Time"]
    assert capabilities.normalise(given, "CapAdd", HERE) == (
        "ALL",
        "ALL",
        "CAP_NET_ADMIN",
        "CAP_NET_ADMIN",
        "CAP_SYS_TIME",
    )


@pytest.mark.parametrize("name", ["foo", "", "CAP_", "CAP_ALL", "KILL,CHOWN", "cap-kill"])
def test_D7_unknown_names(name: str) -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError, match="invalid CapDrop: unknown capability: "):
        capabilities.normalise([name], "CapDrop", KNOWN)


def test_D7_a_capability_that_the_machine_lacks() -> None:  # noqa: N802
    with pytest.raises(InvalidRequestError) as caught:
        capabilities.normalise(["sys_resource"], "CapAdd", HERE)
    assert caught.value.message == (
        "invalid CapAdd: capability not supported by your kernel or not available"
        ' in the current environment: "CAP_SYS_RESOURCE"'
    )


def test_D7_a_default_that_the_machine_lacks_is_left_out() -> None:  # noqa: N802
    few = ("CAP_KILL", "CAP_CHOWN")
    assert capabilities.grant((), (), privileged=False, within=few) == ("CAP_CHOWN", "CAP_KILL")


def test_D7_add_and_drop() -> None:  # noqa: N802
    assert grant([], []) == DEFAULT
    assert grant([], ["all"]) == ()
    assert grant(["SYS_ADMIN"], ["all"]) == ("CAP_SYS_ADMIN",)
    assert grant(["SYS_ADMIN", "all"], ["KILL"]) == tuple(c for c in HERE if c != "CAP_KILL")
    assert grant(["ALL"], ["ALL"]) == HERE
    assert grant(["KILL", "SYS_TIME"], ["kill"]) == (
        *(name for name in DEFAULT if name != "CAP_KILL"),
        "CAP_KILL",
        "CAP_SYS_TIME",
    )
    assert grant(["CHOWN", "CHOWN"], []) == DEFAULT


def test_privileged_is_what_the_machine_has() -> None:
    assert grant([], ["KILL"], privileged=True) == HERE


def test_available_reads_the_bounding_set(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0\nCapBnd:\t0000000000000003\n")
    assert capabilities.available(status) == ("CAP_CHOWN", "CAP_DAC_OVERRIDE")
