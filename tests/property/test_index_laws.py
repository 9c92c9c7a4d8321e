"""The index against a plain model of it: whoever comes and goes, a name has one owner."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyd_api.errors import ConflictError, InvalidRequestError, NotFoundError
from pyd_api.ids import ContainerId, ImageId
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.index import Index
from pyd_guest.engine.model import Container

_SPEC = ContainerSpec(image="box", argv=("true",))
_ids = st.sampled_from(["a" * 64, "ab" * 32, "b" * 64, "abc" + "0" * 61])
_names = st.sampled_from(["one", "two", "ab", "b" * 64])


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.known: dict[str, Container] = {}

    @rule(own=_ids, name=_names)
    def add(self, own: str, name: str) -> None:
        if own in self.known:
            return
        made = Container(ContainerId(own), name, 0, ImageId("i"), {}, {}, _SPEC)
        taken = any(other.name == name for other in self.known.values())
        try:
            self.index.add(made)
        except ConflictError:
            assert taken
        else:
            assert not taken
            self.known[own] = made

    @rule(own=_ids)
    def drop(self, own: str) -> None:
        if own in self.known:
            self.index.drop(self.known.pop(own))

    @rule(own=_ids, name=_names)
    def rename(self, own: str, name: str) -> None:
        container = self.known.get(own)
        if container is None or container.name == name:
            return
        try:
            self.index.reserve(name, container.id)
        except ConflictError:
            return
        old, container.name = container.name, name
        self.index.release(old)

    @rule(reference=st.one_of(_ids, _names, st.sampled_from(["a", "ab", "abc", "c", "", "/one"])))
    def get(self, reference: str) -> None:
        try:
            found = self.index.get(reference)
        except NotFoundError:
            assert reference == "" or not any(own.startswith(reference) for own in self.known)
        except InvalidRequestError:
            assert sum(own.startswith(reference) for own in self.known) > 1
        else:
            bare = reference.removeprefix("/")
            assert found.id == reference or found.name == bare or found.id.startswith(reference)
            if reference in self.known:
                assert found.id == reference

    @invariant()
    def agrees(self) -> None:
        assert {one.id for one in self.index.all()} == set(self.known)
        for name in ("one", "two", "ab", "b" * 64):
            owned = any(one.name == name for one in self.known.values())
            assert self.index.is_free(name) is not owned


TestIndex = Machine.TestCase
TestIndex.settings = settings(max_examples=60, stateful_step_count=30)
