"""Laws of create requests: any JSON is either a container or a refusal, never a traceback."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pyd_api.errors import PydError
from pyd_guest.engine import create_fields, create_request, exec_request, image_defaults
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.create_request import Json
from pyd_guest.engine.exec_request import ExecSpec
from pyd_guest.runtime import capabilities, mounts, sysctls
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.sysctls import OwnNamespaces

FACTS = HostFacts(1, frozenset({0, 1}), frozenset({0}), capabilities.KNOWN, "machine")

_words = st.sampled_from(
    "host container:x none private a=b a:1.2.3.4 80/tcp 8080 /x /proc/1 c 1:3 rwm ALL kill TERM"
    " seccomp={} no-new-privileges size=1 /a/../b json-file always tmpfs nofile -1 99999999999"
    " kernel.shmmax net.ipv4.ip_forward bridge Name Type Target Soft Hard 1.1.1.1 é \ud800".split()
)
_strings = st.one_of(_words, st.text(max_size=8))
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-3, max_value=3),
    st.floats(allow_nan=False, allow_infinity=False),
    _strings,
)
_json = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_strings, inner, max_size=3)
    ),
    max_leaves=6,
)
_config = st.dictionaries(
    st.sampled_from([field.name for field in create_fields.CONFIG]), _json, max_size=4
)
_host = st.dictionaries(
    st.sampled_from([field.name for field in create_fields.HOST_CONFIG]), _json, max_size=4
)
# values of the right shape find more than random ones
_likely = st.fixed_dictionaries(
    {},
    optional={
        "Tmpfs": st.dictionaries(_strings, _strings, max_size=2),
        "PortBindings": st.dictionaries(
            _strings,
            st.lists(st.fixed_dictionaries({"HostIp": _strings, "HostPort": _strings}), max_size=2),
            max_size=2,
        ),
        "Sysctls": st.dictionaries(_strings, _strings, max_size=2),
        "Ulimits": st.lists(
            st.fixed_dictionaries({"Name": _strings, "Soft": st.integers(-3, 5)}), max_size=2
        ),
        "Mounts": st.lists(
            st.fixed_dictionaries({"Type": _strings, "Target": _strings}), max_size=2
        ),
        "Devices": st.lists(st.fixed_dictionaries({"PathOnHost": _strings}), max_size=1),
        "SecurityOpt": st.lists(_strings, max_size=2),
        "CapAdd": st.lists(_strings, max_size=2),
        "ExtraHosts": st.lists(_strings, max_size=2),
        "CpusetCpus": _strings,
        "NetworkMode": _strings,
        "DeviceCgroupRules": st.lists(_strings, max_size=2),
    },
)


def _create(body: dict[str, object]) -> tuple[tuple[Json, Json], ContainerSpec] | PydError:
    try:
        shown = create_request.merge(body, None, container_id="ab" * 32, facts=FACTS)
        return shown, create_request.parse(*shown, FACTS)
    except PydError as error:
        return error


def _exec(body: dict[str, object]) -> ExecSpec | PydError:
    try:
        return exec_request.parse(body)
    except PydError as error:
        return error


@given(_config, st.one_of(_host, _likely, _json), _json)
def test_any_json_becomes_a_container_or_a_refusal(
    config: dict[str, object], host: object, networking: object
) -> None:
    body = {"Image": "x", "Cmd": ["true"], **config, "HostConfig": host}
    if networking is not None:
        body["NetworkingConfig"] = networking
    result = _create(body)
    if isinstance(result, PydError):
        assert result.status in (400, 404, 501)
        result.message.encode()
        return
    shown, spec = result
    config, host_config = json.loads(json.dumps(shown))
    assert create_request.parse(config, host_config, FACTS) == spec
    for entry in (*spec.argv, *spec.env, spec.hostname, spec.user):
        assert "\0" not in entry
        entry.encode()
    assert "\n" not in spec.hostname + spec.domainname
    for name, address in spec.network.extra_hosts:
        assert not {"\n", " ", "\t", "#"} & {*name, *address}


@given(st.dictionaries(_strings, _json, max_size=3) | _config)
def test_any_json_becomes_an_exec_or_a_refusal(body: dict[str, object]) -> None:
    result = _exec({"Cmd": ["x"], **body})
    assert result.status == 400 if isinstance(result, PydError) else result.argv


_names = st.from_regex(r"[A-C]", fullmatch=True)
_entries = st.builds("{}={}".format, _names, st.sampled_from("12"))


@given(st.lists(_entries | _names, max_size=5), st.lists(_entries, max_size=5))
def test_the_requests_variables_win_and_the_images_fill_up(
    given_env: list[str], image_env: list[str]
) -> None:
    merged = image_defaults.environment(given_env, image_env)
    assert merged[: len(given_env)] == given_env
    names = {entry.partition("=")[0] for entry in given_env}
    assert merged[len(given_env) :] == [
        entry for entry in image_env if entry.partition("=")[0] not in names
    ]


@given(st.text(alphabet="/.abprocsy", max_size=12))
def test_D3_a_target_that_passes_covers_neither_root_nor_proc(target: str) -> None:  # noqa: N802
    try:
        clean = mounts.clean_target(target)
    except PydError:
        return
    assert clean.startswith("/")
    assert clean != "/"
    assert not {"", ".", ".."} & set(clean.split("/")[1:])
    assert clean.split("/")[1] != "proc"
    assert mounts.clean_target(clean) == clean


@given(st.text(alphabet="kernl./net.ipv4_shmaxfqu", max_size=24), st.booleans(), st.booleans())
def test_D9_no_spelling_reaches_a_shared_namespace(  # noqa: N802
    name: str, network: bool, ipc: bool
) -> None:
    own = OwnNamespaces(network=network, ipc=ipc, uts=True)
    try:
        (accepted,) = sysctls.check({name: "1"}, own)
    except PydError:
        return
    path = accepted.translate(str.maketrans("./", "/."))
    assert not {"", ".", ".."} & set(path.split("/"))
    assert network if path.startswith("net/") else ipc or path == "kernel/domainname"
