"""``pyd info``: how the engine is set up, in Docker's layout."""

import sys
from collections.abc import Iterator, Mapping

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.flags import Flag
from pyd_host.cli.system.version import client_version
from pyd_host.cli.units import binary_size

Info = Mapping[str, object]


def run(call: Invocation) -> int:
    """Show client and engine; an engine that does not answer is said and is a failure."""
    from pyd_api.errors import PydError

    form = call.values.text("format")
    client = {"Debug": False, "Version": client_version(), "Context": "default"}
    info: dict[str, object] = {}
    failure = ""
    try:
        info = call.engine.get("/info")
    except PydError as error:
        failure = error.message
    if form:
        from pyd_host.cli.template import Template

        if failure:
            info["ServerErrors"] = [failure]
        info["ClientInfo"] = client
        template = Template("{{json .}}" if form == "json" else form)
        sys.stdout.write(template.run(info) + "\n")
        return 1 if failure else 0
    sys.stdout.write(
        f"Client:\n Version:    {client['Version']}\n Context:    {client['Context']}\n"
        " Debug Mode: false\n\nServer:\n"
    )
    if failure:
        sys.stdout.flush()
        sys.stderr.write(f"{failure}\nerrors pretty printing info\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in _lines(info))
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stderr.writelines(f"{warning}\n" for warning in _list(info.get("Warnings")))
    return 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _map(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _bool(value: object) -> str:
    return "true" if value else "false"


def _lines(info: Info) -> Iterator[str]:
    for label, key in (
        (" Containers", "Containers"),
        ("  Running", "ContainersRunning"),
        ("  Paused", "ContainersPaused"),
        ("  Stopped", "ContainersStopped"),
        (" Images", "Images"),
        (" Server Version", "ServerVersion"),
        (" Storage Driver", "Driver"),
    ):
        if info.get(key) not in {None, ""}:
            yield f"{label}: {info[key]}"
    for pair in _list(info.get("DriverStatus")):
        if isinstance(pair, list) and len(pair) == 2:
            yield f"  {pair[0]}: {pair[1]}"
    yield from _drivers(info)
    yield from _runtimes(info)
    yield from _security(info)
    yield from _machine(info)
    yield from _registries(info)


def _drivers(info: Info) -> Iterator[str]:
    for label, key in (
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ):
        if info.get(key):
            yield f" {label}: {info[key]}"
    plugins = _map(info.get("Plugins"))
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if names := _list(plugins.get(kind)):
            yield f"  {kind}: {' '.join(str(name) for name in names)}"
    if folders := _list(info.get("CDISpecDirs")):
        yield " CDI spec directories:"
        for folder in folders:
            yield f"  {folder}"
    if swarm := _map(info.get("Swarm")):
        yield f" Swarm: {swarm.get('LocalNodeState', 'inactive')}"


def _runtimes(info: Info) -> Iterator[str]:
    if runtimes := _map(info.get("Runtimes")):
        yield f" Runtimes: {' '.join(sorted(runtimes))}"
    if info.get("DefaultRuntime"):
        yield f" Default Runtime: {info['DefaultRuntime']}"
    yield f" Init Binary: {info.get('InitBinary', '')}"
    for label, key in (
        ("containerd", "ContainerdCommit"),
        ("runc", "RuncCommit"),
        ("init", "InitCommit"),
    ):
        if key in info:
            yield f" {label} version: {_map(info[key]).get('ID', '')}"


def _security(info: Info) -> Iterator[str]:
    options = _list(info.get("SecurityOptions"))
    if not options:
        return
    yield " Security Options:"
    for option in options:
        fields = dict(part.partition("=")[::2] for part in str(option).split(","))
        yield f"  {fields.pop('name', option)}"
        for key, value in fields.items():
            yield f"   {'Profile' if key == 'profile' else key}: {value}"


def _machine(info: Info) -> Iterator[str]:
    memory = info.get("MemTotal")
    for label, value in (
        ("Kernel Version", info.get("KernelVersion", "")),
        ("Operating System", info.get("OperatingSystem", "")),
        ("OSType", info.get("OSType", "")),
        ("Architecture", info.get("Architecture", "")),
        ("CPUs", info.get("NCPU", 0)),
        ("Total Memory", binary_size(memory) if isinstance(memory, int) else ""),
        ("Name", info.get("Name", "")),
        ("ID", info.get("ID", "")),
        ("Docker Root Dir", info.get("DockerRootDir", "")),
        ("Debug Mode", _bool(info.get("Debug"))),
    ):
        yield f" {label}: {value}"
    for label, key in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy")):
        if info.get(key):
            yield f" {label}: {info[key]}"
    if info.get("NoProxy"):
        yield f" No Proxy: {info['NoProxy']}"
    if labels := _list(info.get("Labels")):
        yield " Labels:"
        for text in labels:
            yield f"  {text}"
    yield f" Experimental: {_bool(info.get('ExperimentalBuild'))}"


def _registries(info: Info) -> Iterator[str]:
    registries = _map(info.get("RegistryConfig"))
    insecure = [
        name
        for name, index in _map(registries.get("IndexConfigs")).items()
        if not _map(index).get("Secure", True)
    ]
    insecure += [str(network) for network in _list(registries.get("InsecureRegistryCIDRs"))]
    if insecure:
        yield " Insecure Registries:"
        for name in insecure:
            yield f"  {name}"
    if mirrors := _list(registries.get("Mirrors")):
        yield " Registry Mirrors:"
        for mirror in mirrors:
            yield f"  {mirror}"
    yield f" Live Restore Enabled: {_bool(info.get('LiveRestoreEnabled'))}"


COMMAND = Command(
    "[OPTIONS]",
    run,
    maximum=0,
    aliases=("system info", "info"),
    flags=(Flag("format", "f", "string", "How to print: 'json', or a Go template"),),
)
