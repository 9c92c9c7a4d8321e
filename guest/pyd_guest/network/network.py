"""Networks as plain values (Container Network Model): an id, a name, a driver."""

import hashlib
from dataclasses import dataclass

from pyd_api.ids import NetworkId


@dataclass(frozen=True, slots=True)
class Network:
    """One network of this daemon."""

    network_id: NetworkId
    name: str
    driver: str


def predefined(name: str, driver: str, *, owner: str) -> Network:
    """Return a predefined network; its id is the same at every start of one ``owner``."""
    seed = f"pyd network\0{name}\0{owner}"
    return Network(NetworkId(hashlib.sha256(seed.encode()).hexdigest()), name, driver)
