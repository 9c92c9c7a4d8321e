"""How long each step of a start or an end took, one debug line each; `make bench` reads them.

``stage container=<id> name=<step> ms=<float>``
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyd_api.ids import ContainerId

_log = logging.getLogger(__name__)


@contextmanager
def stage(container_id: ContainerId, name: str) -> Iterator[None]:
    """Time the body."""
    began = time.perf_counter()
    yield
    if _log.isEnabledFor(logging.DEBUG):
        elapsed_ms = (time.perf_counter() - began) * 1000
        _log.debug("stage container=%s name=%s ms=%.3f", container_id, name, elapsed_ms)
