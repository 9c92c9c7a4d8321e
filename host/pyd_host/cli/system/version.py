"""``pyd version``: the client's version and the engine's, part by part."""

import os
import sys

from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.flags import Flag
from pyd_host.client.engine import API_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyd_host.client.wire import Version

_METADATA = "pyd_engine-"
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def client_version() -> str:
    """Return the version of the installed distribution.

    The name of its metadata directory says it; importlib.metadata would cost 20 ms.
    """
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - pathlib would cost 8 ms
        except OSError:
            continue
        for name in names:
            if name.startswith(_METADATA) and name.endswith(".dist-info"):
                return name.removeprefix(_METADATA).removesuffix(".dist-info")
    return "unknown"


def short_version() -> str:
    """Return what ``pyd --version`` prints."""
    return f"pyd version {client_version()}"


def _client(context: str) -> dict[str, object]:
    return {
        "Version": client_version(),
        "ApiVersion": os.environ.get("DOCKER_API_VERSION") or API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": {"win32": "windows"}.get(sys.platform, sys.platform),
        "Arch": _architecture(),
        "Context": context,
    }


def _architecture() -> str:
    if sys.platform == "win32":
        machine = os.environ.get("PROCESSOR_ARCHITECTURE", "unknown")
    else:
        machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def run(call: Invocation) -> int:
    """Show client and engine; an engine that does not answer is an error after the client."""
    from pyd_api.errors import PydError

    client = _client("default")
    server: Version | None = None
    failure: PydError | None = None
    try:
        server = call.engine.get("/version")
    except PydError as error:
        failure = error
    form = call.values.text("format")
    if form:
        from pyd_host.cli.template import Template

        source = "{{json .}}" if form == "json" else form
        sys.stdout.write(
            Template(source, "version").run({"Client": client, "Server": server}) + "\n"
        )
    else:
        sys.stdout.write(_client_text(client))
        if server is not None:
            sys.stdout.write("\n" + _server_text(server))
    if failure is not None:
        raise failure
    return 0


def _line(label: str, value: object, indent: str) -> str:
    return f"{indent}{label + ':':<{19 - len(indent) + 1}}{value}\n".rstrip(" ")


def _client_text(client: dict[str, object]) -> str:
    return (
        "Client:\n"
        + "".join(
            _line(label, client[key], " ")
            for label, key in (
                ("Version", "Version"),
                ("API version", "ApiVersion"),
                ("Python version", "PythonVersion"),
            )
        )
        + _line("OS/Arch", f"{client['Os']}/{client['Arch']}", " ")
        + _line("Context", client["Context"], " ")
    )


def _server_text(server: "Version") -> str:
    platform = (server.get("Platform") or {}).get("Name", "")
    out = f"Server: {platform}".rstrip() + "\n" if platform else "Server:\n"
    for component in server.get("Components") or []:
        details = component["Details"] or {}
        out += f" {component['Name']}:\n" + _line("Version", component["Version"], "  ")
        if component["Name"] != "Engine":
            out += _line("GitCommit", details.get("GitCommit", ""), "  ")
            continue
        minimum = details.get("MinAPIVersion", "")
        api = details.get("ApiVersion", "")
        out += _line("API version", f"{api} (minimum version {minimum})", "  ")
        for key, label in (("GoVersion", "Go version"), ("PythonVersion", "Python version")):
            if details.get(key):
                out += _line(label, details[key], "  ")
        out += _line("Git commit", details.get("GitCommit", ""), "  ")
        out += _line("Built", details.get("BuildTime", ""), "  ")
        out += _line("OS/Arch", f"{details.get('Os', '')}/{details.get('Arch', '')}", "  ")
        out += _line("Experimental", details.get("Experimental", "false"), "  ")
    return out


COMMAND = Command(
    "[OPTIONS]",
    run,
    maximum=0,
    flags=(Flag("format", "f", "string", "How to print: 'json', or a Go template"),),
)
