"""Containers in the state database: one row each, ``spec`` and ``state`` as JSON.

``spec`` never changes: ``{"version": 1, "image_id", "created_ns", "config", "host_config"}``,
in the API's own shapes, so that inspect needs no translation and a later pyd reads it with the
same parser that reads requests. ``state`` is ``{"kind": "created" | "running" | "exited", …}``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol, assert_never

from pyd_api.errors import InternalError
from pyd_api.ids import ContainerId, ImageId
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.model import Container, Created, Exited, Running, State, WireObject
from pyd_guest.linux.pidfd import ProcessIdentity
from pyd_guest.network.endpoint import Endpoint
from pyd_guest.state.database import Database

_VERSION = 1


class SpecParser(Protocol):
    """How stored shapes become values; `create_request.parse` with the machine's facts bound."""

    def __call__(self, config: WireObject, host_config: WireObject) -> ContainerSpec:
        """Return the parsed values."""


class ContainerStore:
    """The rows of containers; a method that has returned survives a power cut."""

    def __init__(self, database: Database) -> None:
        """Use the table ``containers`` of ``database``."""
        self._database = database

    def insert(self, container: Container) -> None:
        """Add a container."""
        spec = {
            "version": _VERSION,
            "image_id": container.image_id,
            "created_ns": container.created_ns,
            "config": container.config,
            "host_config": container.host_config,
        }
        row = (
            container.id,
            container.name,
            container.created_ns / 1e9,
            json.dumps(spec),
            _dump_state(container.state),
        )
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO containers VALUES (?, ?, ?, ?, ?)", row)

    def save_state(self, container_id: ContainerId, state: State) -> None:
        """Record a new state."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE containers SET state = ? WHERE id = ?", (_dump_state(state), container_id)
            )

    def rename(self, container_id: ContainerId, name: str) -> None:
        """Record a new name."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE containers SET name = ? WHERE id = ?", (name, container_id))

    def delete(self, container_id: ContainerId) -> None:
        """Remove the row; idempotent."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM containers WHERE id = ?", (container_id,))

    def load(self, parse: SpecParser) -> Iterator[Container]:
        """Yield every container that was ever inserted and not deleted."""
        for row in self._database.query("SELECT id, name, spec, state FROM containers"):
            container_id, name, spec_text, state_text = row
            spec = json.loads(spec_text)
            if spec.get("version") != _VERSION:
                raise InternalError(f"container {container_id} was written by a newer pyd")
            yield Container(
                id=ContainerId(container_id),
                name=name,
                created_ns=spec["created_ns"],
                image_id=ImageId(spec["image_id"]),
                config=spec["config"],
                host_config=spec["host_config"],
                spec=parse(spec["config"], spec["host_config"]),
                state=_load_state(json.loads(state_text)),
            )


def _dump_state(state: State) -> str:
    match state:
        case Created():
            fields: dict[str, Any] = {"kind": "created", **asdict(state)}
        case Running(process, monitor, started_ns, endpoint, last_finished_ns):
            fields = {
                "kind": "running",
                "process": [process.pid, process.start_ticks],
                "monitor": [monitor.pid, monitor.start_ticks],
                "started_ns": started_ns,
                "endpoint": endpoint.to_json() if endpoint else None,
                "last_finished_ns": last_finished_ns,
            }
        case Exited():
            fields = {"kind": "exited", **asdict(state)}
        case _:
            assert_never(state)
    return json.dumps(fields)


def _load_state(fields: Mapping[str, Any]) -> State:
    values = {key: value for key, value in fields.items() if key != "kind"}
    match fields["kind"]:
        case "created":
            return Created(**values)
        case "running":
            return Running(
                ProcessIdentity(*values["process"]),
                ProcessIdentity(*values["monitor"]),
                values["started_ns"],
                Endpoint.from_json(values["endpoint"]) if values["endpoint"] else None,
                values["last_finished_ns"],
            )
        case "exited":
            return Exited(**values)
        case kind:
            raise InternalError(f"unknown container state {kind!r} in the database")
