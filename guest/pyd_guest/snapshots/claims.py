"""Who works on which layers: one maker for a missing one, any number of users for a whole one.

Pulls and loads claim all chains of their images at once, before they fetch anything: none waits
while it holds, so none waits for ever. Whoever waited finds the layers made, or makes them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition

from pyd_api.digest import ChainID


class Claims:
    """The claims of one store; safe to use from many threads."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._making: set[ChainID] = set()
        self._using: Counter[ChainID] = Counter()

    @contextmanager
    def hold(
        self, chains: Sequence[ChainID], present: Callable[[ChainID], bool]
    ) -> Iterator[frozenset[ChainID]]:
        """Claim ``chains``; yield those that are missing and that the caller alone may make."""
        wanted = set(chains)
        with self._condition:
            while True:
                missing = frozenset(chain for chain in wanted if not present(chain))
                if not missing & self._making:
                    break
                self._condition.wait()
            self._making |= missing
            self._using.update(wanted)
        try:
            yield missing
        finally:
            with self._condition:
                self._making -= missing
                self._using -= Counter(wanted)
                self._condition.notify_all()

    @contextmanager
    def unused(self) -> Iterator[Callable[[ChainID], bool]]:
        """Yield a test for layers that no claim protects; no new claim is made meanwhile."""
        with self._condition:
            yield lambda chain: chain not in self._using
