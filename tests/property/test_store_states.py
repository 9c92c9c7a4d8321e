"""A state is read from the database as it was written, whatever it holds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pyd_api.ids import EndpointId, NetworkId
from pyd_guest.engine import store
from pyd_guest.engine.model import Created, Exited, Running, State
from pyd_guest.linux.pidfd import ProcessIdentity
from pyd_guest.network.endpoint import Endpoint, PublishedPort

_moments = st.integers(0, 2**63)
_codes = st.integers(0, 255)
_identities = st.builds(ProcessIdentity, st.integers(1, 2**22), _moments)
_ports = st.builds(
    PublishedPort,
    st.ip_addresses(v=4),
    st.integers(1, 65535),
    st.integers(1, 65535),
    st.sampled_from(["tcp", "udp", "sctp"]),
)
_endpoints = st.builds(
    Endpoint,
    st.builds(EndpointId, st.text()),
    st.builds(NetworkId, st.text()),
    st.text(),
    mac=st.text(),
    ports=st.lists(_ports).map(tuple),
)
_states: st.SearchStrategy[State] = st.one_of(
    st.builds(Created, _codes, st.text()),
    st.builds(
        Running, _identities, _identities, _moments, st.none() | _endpoints, st.none() | _moments
    ),
    st.builds(Exited, _codes, _moments, _moments, st.booleans(), st.text()),
)


@given(_states)
def test_a_state_survives(state: State) -> None:
    assert store._load_state(json.loads(store._dump_state(state))) == state
