import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, EndpointId, ImageId, NetworkId
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.model import Container, Created, Exited, Running, State
from pyd_guest.engine.store import ContainerStore
from pyd_guest.linux.pidfd import ProcessIdentity
from pyd_guest.network.endpoint import Endpoint, PublishedPort
from pyd_guest.state.database import Database

SPEC = ContainerSpec(image="box", argv=("true",))
OWN = ContainerId("a" * 64)
ENDPOINT = Endpoint(
    EndpointId("e"),
    NetworkId("n"),
    "bridge",
    "veth1",
    IPv4Interface("172.17.0.2/16"),
    IPv4Address("172.17.0.1"),
    "02:42:ac:11:00:02",
    (PublishedPort(IPv4Address(0), 8080, 80, "tcp"),),
)
STATES: list[State] = [
    Created(),
    Created(127, "no such file"),
    Running(ProcessIdentity(1, 2), ProcessIdentity(3, 4), 5, None),
    Running(ProcessIdentity(1, 2), ProcessIdentity(3, 4), 5, ENDPOINT, 6),
    Exited(3, 5, 6),
    Exited(137, 5, 6, oom_killed=True, error="words"),
]


def parse(config: Mapping[str, Any], host_config: Mapping[str, Any]) -> ContainerSpec:
    assert host_config == {"AutoRemove": False}
    return replace(SPEC, argv=tuple(config["Cmd"]))


def container(name: str = "one", own: str = OWN) -> Container:
    config = {"Cmd": ["true"], "Labels": {"a": "b"}}
    return Container(
        ContainerId(own),
        name,
        1_000_000_007,
        ImageId("sha256:0"),
        config,
        {"AutoRemove": False},
        SPEC,
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("state", STATES)
def test_a_container_is_read_as_it_was_written(database: Database, state: State) -> None:
    store = ContainerStore(database)
    store.insert(container())
    store.save_state(OWN, state)
    (read,) = store.load(parse)
    assert (read.id, read.name, read.created_ns, read.state) == (OWN, "one", 1_000_000_007, state)
    assert (read.image_id, read.config["Labels"]) == ("sha256:0", {"a": "b"})
    assert read.spec == SPEC


def test_a_name_is_changed_and_a_row_is_deleted(database: Database) -> None:
    store = ContainerStore(database)
    store.insert(container())
    store.rename(OWN, "two")
    assert [read.name for read in store.load(parse)] == ["two"]
    store.delete(OWN)
    store.delete(OWN)
    assert list(store.load(parse)) == []


def test_what_a_newer_pyd_wrote_is_refused(database: Database) -> None:
    store = ContainerStore(database)
    store.insert(container())
    spec = json.dumps({"version": 2})
    with database.transaction() as connection:
        connection.execute("UPDATE containers SET spec = ?", (spec,))
    with pytest.raises(InternalError, match="newer pyd"):
        list(store.load(parse))


def test_an_unknown_state_is_refused(database: Database) -> None:
    store = ContainerStore(database)
    store.insert(container())
    with database.transaction() as connection:
        connection.execute("""UPDATE containers SET state = '{"kind": "paused"}'""")
    with pytest.raises(InternalError, match="unknown container state 'paused'"):
        list(store.load(parse))


def test_a_full_disk_is_told_and_the_next_write_works(database: Database) -> None:
    store = ContainerStore(database)
    ((pages,),) = database.query("PRAGMA page_count")
    database.query(f"PRAGMA max_page_count = {pages}")
    written = 0
    with pytest.raises(InternalError, match=r"the state database failed: .*full"):
        for number in range(1000):
            store.insert(container(f"box{number}", f"{number:064x}"))
            written += 1
    database.query("PRAGMA max_page_count = 100000")
    assert len(list(store.load(parse))) == written
    store.insert(container())
    assert len(list(store.load(parse))) == written + 1
