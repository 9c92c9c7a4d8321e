from pathlib import Path

import pytest

from pyd_guest.api.edge import Edge
from support.fakes_api import FakeContainers
from support.served_api import Served


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """The whole application over the fake engine, without a server."""
    return Served(tmp_path / "none.sock", FakeContainers(tmp_path))


@pytest.fixture
def app(served: Served) -> Edge:
    return served.app()
