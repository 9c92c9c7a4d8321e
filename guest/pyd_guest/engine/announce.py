"""Events of containers, with dockerd's actions and attributes."""

from pyd_guest.engine.model import Container
from pyd_guest.engine.parts import Parts
from pyd_guest.network.endpoint import Endpoint


def announce(parts: Parts, container: Container, action: str, **attributes: str) -> None:
    """Publish ``action``; the labels, the image and the name are always told."""
    known = {**container.labels, "image": container.image_name, "name": container.name}
    parts.publish("container", action, container.id, known | attributes)


def announce_network(parts: Parts, container: Container, endpoint: Endpoint, action: str) -> None:
    """Publish that a container joined or left a network."""
    kind = "bridge" if endpoint.address else {"none": "null"}.get(endpoint.network, "host")
    attributes = {"container": container.id, "name": endpoint.network, "type": kind}
    parts.publish("network", action, endpoint.network_id, attributes)
