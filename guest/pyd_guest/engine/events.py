"""What happened, told to whoever listens.

Docker Engine API, "Monitor events". The last 256 events are kept for ``since``. A subscriber that
does not keep up with 1024 queued events is cut off: memory stays flat, and it sees that it missed
something instead of a gap.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

KEPT: Final = 256
QUEUE_MAX: Final = 1024

_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one object."""

    type: str
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    time_ns: int

    def to_wire(self) -> dict[str, object]:
        """Return the shape of the API, with the fields of old clients for containers and images."""
        old: dict[str, object] = {}
        if self.type in ("container", "image"):
            old = {"status": self.action, "id": self.actor_id}
            if self.type == "container" and "image" in self.attributes:
                old["from"] = self.attributes["image"]
        return {
            **old,
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.actor_id, "Attributes": dict(self.attributes)},
            "scope": "local",
            "time": self.time_ns // _NS,
            "timeNano": self.time_ns,
        }


class Subscription:
    """The events one listener has yet to take; close it."""

    def __init__(self, matches: Callable[[Event], bool], wake: Callable[[], None]) -> None:
        self._matches = matches
        self._wake = wake
        self._lock = threading.Lock()
        self._queue: deque[Event] = deque()
        self._overrun = False

    def offer(self, event: Event) -> None:
        """Queue ``event`` if it is wanted (any thread)."""
        if not self._matches(event):
            return
        with self._lock:
            if self._overrun or len(self._queue) >= QUEUE_MAX:
                self._overrun = True
            else:
                self._queue.append(event)
        self._wake()

    def take(self) -> list[Event]:
        """Return what is queued, oldest first."""
        with self._lock:
            events = list(self._queue)
            self._queue.clear()
        return events

    @property
    def overrun(self) -> bool:
        """Whether events were lost because nobody took them."""
        return self._overrun


class Events:
    """The stream of events of one daemon; publish from any thread."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._subscriptions: list[Subscription] = []
        self._last_ns = 0

    def publish(
        self,
        type: str,  # noqa: A002 - the word of the API
        action: str,
        actor_id: str,
        attributes: Mapping[str, str],
    ) -> None:
        """Tell every subscriber; the words are dockerd's (``container``, ``start``, ...)."""
        with self._lock:
            # Strictly later than the one before, so that clients can order and resume by it.
            self._last_ns = max(self._clock_ns(), self._last_ns + 1)
            event = Event(type, action, actor_id, dict(attributes), self._last_ns)
            self._kept.append(event)
            for subscription in self._subscriptions:
                subscription.offer(event)

    def subscribe(
        self,
        wake: Callable[[], None],
        *,
        matches: Callable[[Event], bool] = lambda _: True,
        since_ns: int | None = None,
    ) -> Subscription:
        """Queue events from now on, after the kept ones since ``since_ns``.

        ``wake`` is called after each new one, in the publisher's thread, and must not block.
        """
        subscription = Subscription(matches, wake)
        with self._lock:
            if since_ns is not None:
                for event in self._kept:
                    if event.time_ns >= since_ns:
                        subscription.offer(event)
            self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop queueing for ``subscription``."""
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    @property
    def listeners(self) -> int:
        """How many subscriptions there are (``/info``)."""
        with self._lock:
            return len(self._subscriptions)


_OBJECTS: Final = (
    "daemon", "network", "volume", "plugin", "node", "service", "secret", "config",
)  # fmt: skip


def event_filter(filters: Mapping[str, list[str]]) -> Callable[[Event], bool]:
    """Return the test of the API's ``filters``: any value of a name, every name."""
    wanted = {name: values for name, values in filters.items() if values}

    def matches(event: Event) -> bool:
        return all(_match(event, name, values) for name, values in wanted.items())

    return matches


def _match(event: Event, name: str, values: list[str]) -> bool:
    match name:
        case "type":
            return event.type in values
        case "event":
            # "exec_create: sh" is an exec_create, "health_status: healthy" a health_status
            return event.action in values or event.action.partition(":")[0] in values
        case "scope":
            return "local" in values
        case "label":
            return all(_has_label(event, value) for value in values)
        case "image":
            return any(_names_image(event, value) for value in values)
        case "container":
            return event.type == name and _named(event, values)
        case _ if name in _OBJECTS:
            return event.type == name and _named(event, values)
        case _:
            return True  # as dockerd: a name it does not know filters nothing


def _named(event: Event, values: list[str]) -> bool:
    name = event.attributes.get("name", "")
    return any(
        event.actor_id == value
        or name == value
        or (value and (event.actor_id.startswith(value) or name.startswith(value)))
        for value in values
    )


def _has_label(event: Event, value: str) -> bool:
    key, equals, text = value.partition("=")
    found = event.attributes.get(key)
    return found is not None and (not equals or found == text)


def _names_image(event: Event, value: str) -> bool:
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    candidates = [event.actor_id, name] if event.type == "image" else [name]
    return any(
        value in (candidate, _without_tag(candidate)) for candidate in candidates if candidate
    )


def _without_tag(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition("@")[0].partition(":")[0]
