"""``GET /containers/json``: which containers a filter means.

Docker Engine API 1.50, ContainerList. Every filter must fit; of the values of one filter one must,
but of labels each. Names and values were checked at the edge.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pyd_api.errors import InvalidRequestError, NotFoundError
from pyd_guest.engine.inspect import Json, status_of, summary
from pyd_guest.engine.model import Container, Created, Exited, Running
from pyd_guest.engine.parts import Parts

Values = Sequence[str]


def listing(
    parts: Parts,
    *,
    everything: bool,
    limit: int | None,
    size: bool,
    filters: Mapping[str, list[str]],
) -> list[Json]:
    """Return the rows, newest first.

    Only those that run, unless ``everything``, a limit or a filter by state says otherwise.
    """
    for name in ("publish", "expose"):
        for value in filters.get(name, ()):
            _ports(value)  # refused even where there is no container to look at
    shows_all = everything or limit is not None or bool({"status", "exited"} & filters.keys())
    chosen = [
        container
        for container in _between(parts, filters)
        if (shows_all or isinstance(container.state, Running))
        and all(
            _FILTERS[name](parts, container, values)
            for name, values in filters.items()
            if name in _FILTERS
        )
    ]
    return list(_rows(parts, chosen[:limit], size=size))


def _rows(parts: Parts, chosen: Sequence[Container], *, size: bool) -> Iterator[Json]:
    for container in chosen:
        try:
            yield summary(parts, container, size=size)
        except NotFoundError:  # its layer cannot be measured: it is being removed
            if not container.removed:
                yield summary(parts, container, size=False)


def _between(parts: Parts, filters: Mapping[str, list[str]]) -> list[Container]:
    """Apply ``before`` and ``since``, which name a container each."""
    rows = parts.index.all()
    for reference in filters.get("before", ()):
        edge = _edge(parts, reference).created_ns
        rows = [container for container in rows if container.created_ns < edge]
    for reference in filters.get("since", ()):
        edge = _edge(parts, reference).created_ns
        rows = [container for container in rows if container.created_ns > edge]
    return rows


def _edge(parts: Parts, reference: str) -> Container:
    try:
        return parts.index.get(reference)
    except NotFoundError as error:
        raise NotFoundError(f"No such container: {reference}") from error


def _by_id(_: Parts, container: Container, values: Values) -> bool:
    return any(container.id.startswith(value) or _fits(value, container.id) for value in values)


def _by_name(_: Parts, container: Container, values: Values) -> bool:
    return any(
        _fits(value, f"/{container.name}") or _fits(value, container.name) for value in values
    )


def _fits(pattern: str, text: str) -> bool:
    """Search as dockerd does; a pattern that is none is compared as text."""
    if len(pattern) > 256 or re.search(r"[*+?}]\)?[*+{]", pattern):
        return pattern == text  # nested repetition can take for ever (checklist E6)
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern == text


def _by_label(_: Parts, container: Container, values: Values) -> bool:
    for value in values:
        key, equals, wanted = value.partition("=")
        if key not in container.labels or (equals and container.labels[key] != wanted):
            return False
    return True


def _by_status(_: Parts, container: Container, values: Values) -> bool:
    return status_of(container) in values


def _by_exit_code(_: Parts, container: Container, values: Values) -> bool:
    match container.state:
        case Exited(exit_code):
            return str(exit_code) in values
        case Created() | Running():
            return False


def _by_ancestor(parts: Parts, container: Container, values: Values) -> bool:
    for value in values:
        try:
            image = parts.images.get(value)
        except (NotFoundError, InvalidRequestError):
            continue
        if image.id == container.image_id or image.top in _ancestry(parts, container):
            return True
    return False


def _ancestry(parts: Parts, container: Container) -> Sequence[object]:
    try:
        return parts.images.get(container.image_id).config.chain_ids
    except NotFoundError:  # removed by force while the container stayed
        return ()


def _by_network(parts: Parts, container: Container, values: Values) -> bool:
    own = container.spec.network.mode
    ids = {network.network_id for network in parts.network.networks if network.name == own}
    return any(value == own or value in ids for value in values)


def _by_published(_: Parts, container: Container, values: Values) -> bool:
    state = container.state
    endpoint = state.endpoint if isinstance(state, Running) else None
    published = [(port.host_port, port.protocol) for port in endpoint.ports] if endpoint else []
    return any(port in _ports(value) for port in published for value in values)


def _by_exposed(_: Parts, container: Container, values: Values) -> bool:
    exposed = [port.partition("/") for port in container.spec.network.exposed]
    return any(
        (int(number), protocol or "tcp") in _ports(value)
        for number, _, protocol in exposed
        for value in values
    )


def _ports(value: str) -> list[tuple[int, str]]:
    """Read ``80``, ``80/udp`` or ``8000-8010/tcp``."""
    numbers, _, protocol = value.partition("/")
    first, _, last = numbers.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError as error:
        raise InvalidRequestError(f"invalid port in filter: {value[:50]}") from error
    if not 0 < low <= high <= 0xFFFF:
        raise InvalidRequestError(f"invalid port in filter: {value[:50]}")
    return [(number, protocol or "tcp") for number in range(low, high + 1)]


def _by_health(_: Parts, __: Container, values: Values) -> bool:
    return "none" in values  # no container has a health check yet


def _by_task(_: Parts, __: Container, values: Values) -> bool:
    return any(value.lower() in ("false", "0") for value in values)  # there is no swarm


def _by_volume(_: Parts, __: Container, ___: Values) -> bool:
    return False  # no container has a volume yet


_FILTERS: Final[Mapping[str, Callable[[Parts, Container, Values], bool]]] = {
    "ancestor": _by_ancestor,
    "exited": _by_exit_code,
    "expose": _by_exposed,
    "health": _by_health,
    "id": _by_id,
    "is-task": _by_task,
    "label": _by_label,
    "name": _by_name,
    "network": _by_network,
    "publish": _by_published,
    "status": _by_status,
    "volume": _by_volume,
}
