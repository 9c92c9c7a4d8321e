"""The process part of a create request: command, environment, names, signals, namespace modes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyd_api.errors import InvalidRequestError, UnsupportedError
from pyd_guest.engine import signals
from pyd_guest.engine.container_spec import LogDriver, NamespaceMode

_ARGUMENT_MAX_BYTES = (128 << 10) - 1  # MAX_ARG_STRLEN of execve(2), less the NUL
_ARGUMENTS_MAX_BYTES = 6 << 20  # no stack limit allows more
_HOSTNAME_MAX_BYTES = 64  # __NEW_UTS_LEN
_STOP_TIMEOUT_S = 10
_LABEL_MAX_BYTES = 1 << 20
_LOG_OPTIONS = {
    "json-file": frozenset(
        "max-size max-file compress mode max-buffer-size labels labels-regex env env-regex tag"
        " cache-disabled cache-max-file cache-max-size cache-compress".split()
    ),
}
_LOG_DRIVERS_ELSEWHERE = frozenset(
    "awslogs fluentd gcplogs gelf journald local splunk syslog".split()
)
_PROCESS_DIRECTORY = re.compile(r"/proc/(?:[0-9]+|self|thread-self)(?:/|$)")
_HEALTH_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")


@dataclass(frozen=True, slots=True)
class ProcessPart:
    """What `parse` found."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    user: str
    group_add: tuple[str, ...]
    cwd: str
    console_size: tuple[int, int] | None
    hostname: str
    domainname: str
    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    stop_signal: int
    stop_timeout_s: int
    oom_score_adj: int


@dataclass(frozen=True, slots=True)
class Modes:
    """Namespace modes."""

    ipc: NamespaceMode
    pid: Literal["private", "host"]
    uts: Literal["private", "host"]
    cgroupns: Literal["private", "host"]


def parse(config: Mapping[str, object], host: Mapping[str, object]) -> ProcessPart:
    """Check and return the process part."""
    argv = arguments(config)
    env = environment(config["Env"])
    check_total(argv, env)
    check_healthcheck(config.get("Healthcheck"), asked=False)
    annotations = pairs(host.get("Annotations"), "Annotations")
    if any(not name for name, _ in annotations):
        raise InvalidRequestError(
            "invalid Annotations: the empty string is not permitted as an annotation key"
        )
    for name, _ in annotations:
        if name.startswith("run.oci."):  # crun takes orders there, also about the seccomp filter
            raise InvalidRequestError(f"invalid Annotations: {name[:100]!r} is reserved")
    return ProcessPart(
        argv=argv,
        env=env,
        user=text(config["User"], "user"),
        group_add=tuple(text(name, "group") for name in strings(host["GroupAdd"])),
        cwd=working_directory(text(config["WorkingDir"], "working directory")),
        console_size=terminal_size(host["ConsoleSize"]),
        hostname=_host_name(text(config["Hostname"], "hostname"), "hostname"),
        domainname=_host_name(text(config["Domainname"], "domainname"), "domainname"),
        labels=pairs(config["Labels"], "Labels"),
        annotations=annotations,
        stop_signal=signals.parse(str(config.get("StopSignal") or "SIGTERM")),
        stop_timeout_s=_stop_timeout(config.get("StopTimeout")),
        oom_score_adj=_oom_score(host["OomScoreAdj"]),
    )


def strings(value: object) -> tuple[str, ...]:
    """Return a decoded list as a tuple; null is empty."""
    return tuple(map(str, value)) if isinstance(value, list) else ()


def text(value: object, what: str) -> str:
    """Refuse NUL, which no system call can carry."""
    result = str(value or "")
    if "\0" in result:
        raise InvalidRequestError(f"invalid {what}: {result[:100]!r} contains a null byte")
    return result


def pairs(value: object, what: str) -> tuple[tuple[str, str], ...]:
    """Return a decoded map of strings, bounded in size."""
    items = tuple(value.items()) if isinstance(value, dict) else ()
    if sum(len(name) + len(entry) for name, entry in items) > _LABEL_MAX_BYTES:
        raise InvalidRequestError(f"{what} are larger than {_LABEL_MAX_BYTES >> 20} MiB")
    return items


def arguments(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return entry point and command. Raises InvalidRequestError when both are empty."""
    argv = (*strings(config["Entrypoint"]), *strings(config["Cmd"]))
    if not argv:
        raise InvalidRequestError("no command specified")
    check_arguments(argv)
    return argv


def check_arguments(argv: tuple[str, ...]) -> None:
    """Refuse arguments that execve(2) cannot take."""
    for argument in argv:
        text(argument, "command")
        _check_length(argument, "argument")


def environment(value: object) -> tuple[str, ...]:
    """Check variables: a name is needed, a value may hold anything but NUL."""
    env = strings(value)
    for entry in env:
        if not entry or entry.startswith("="):
            raise InvalidRequestError(f"invalid environment variable: {entry[:100]}")
        text(entry, "environment variable")
        _check_length(entry, "environment variable")
    return env


def working_directory(path: str) -> str:
    """Return where the process starts; refuse what leads to descriptors (checklist C9)."""
    if not path:
        return "/"
    if not path.startswith("/"):
        raise InvalidRequestError(
            f"the working directory '{path}' is invalid, it needs to be an absolute path"
        )
    if _PROCESS_DIRECTORY.match(path):
        raise InvalidRequestError(
            f"the working directory '{path}' is invalid: it is inside a process's /proc"
        )
    return path


def namespaces(host: Mapping[str, object]) -> Modes:
    """Check IpcMode, PidMode, UTSMode, CgroupnsMode and UsernsMode."""
    ipc, pid = str(host["IpcMode"]), str(host["PidMode"])
    uts, cgroupns = str(host["UTSMode"]), str(host["CgroupnsMode"])
    for field, mode in (("IpcMode", ipc), ("PidMode", pid)):
        if mode.startswith("container:") and mode != "container:":
            raise UnsupportedError(f"sharing another container's namespace: {field} {mode!r}")
    if ipc not in ("private", "shareable", "none", "host"):
        raise InvalidRequestError(f"invalid IPC mode: {ipc}")
    if pid not in ("", "host"):
        raise InvalidRequestError(f"invalid PID mode: {pid}")
    if uts not in ("", "host"):
        raise InvalidRequestError(f"invalid UTS mode: {uts}")
    if cgroupns not in ("private", "host"):
        raise InvalidRequestError(f"invalid cgroup namespace mode: {cgroupns}")
    if host["UsernsMode"] not in ("", "host"):
        raise InvalidRequestError(f"invalid USER mode: {host['UsernsMode']}")
    return Modes(
        ipc=ipc,  # type: ignore[arg-type]  # one of the four words checked above
        pid="host" if pid == "host" else "private",
        uts="host" if uts == "host" else "private",
        cgroupns="host" if cgroupns == "host" else "private",
    )


def restart_policy(host: Mapping[str, object]) -> Literal["no"]:
    """Check RestartPolicy; only ``no`` is implemented."""
    policy = host["RestartPolicy"]
    name, retries = "no", 0
    if isinstance(policy, dict):
        name, retries = str(policy["Name"]), int(policy["MaximumRetryCount"])
    if name not in ("no", "always", "on-failure", "unless-stopped"):
        raise InvalidRequestError(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always',"
            " 'on-failure', or 'unless-stopped'"
        )
    if retries and name != "on-failure":
        raise InvalidRequestError(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if retries < 0:
        raise InvalidRequestError("invalid restart policy: maximum retry count cannot be negative")
    if name != "no" and host["AutoRemove"]:
        raise InvalidRequestError("can't create 'AutoRemove' container with restart policy")
    if name != "no":
        raise UnsupportedError(f"restart policies are not supported yet: RestartPolicy {name!r}")
    return "no"


def log_driver(host: Mapping[str, object]) -> LogDriver:
    """Check LogConfig; json-file and none exist, without options that change what is kept."""
    given = host["LogConfig"]
    driver = str(given["Type"]) if isinstance(given, dict) else "json-file"
    options = dict(pairs(given["Config"], "LogConfig")) if isinstance(given, dict) else {}
    if driver == "none":
        return "none"
    if driver in _LOG_DRIVERS_ELSEWHERE:
        raise UnsupportedError(f"log driver {driver!r} is not supported: LogConfig.Type")
    if driver != "json-file":
        raise InvalidRequestError(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        )
    for name, value in options.items():
        if name not in _LOG_OPTIONS[driver]:
            raise InvalidRequestError(f"unknown log opt '{name}' for {driver} log driver")
        if (name, value) != ("mode", "blocking"):
            raise UnsupportedError(
                f"log options are not supported yet: LogConfig.Config {name}={value}"
            )
    return "json-file"


def cgroup_parent(host: Mapping[str, object]) -> str:
    """Check CgroupParent: a path of the cgroup tree that does not climb."""
    parent = text(host["CgroupParent"], "cgroup parent")
    if ".." in parent.split("/") or "\n" in parent:
        raise InvalidRequestError(f"invalid cgroup parent: {parent[:100]!r}")
    return parent


def check_healthcheck(value: object, *, asked: bool) -> None:
    """Check a health check's ranges; one that a request asks for is refused for now."""
    if not isinstance(value, dict):
        return
    for name in _HEALTH_TIMES:
        if (duration := value.get(name, 0)) and duration < 1_000_000:
            raise InvalidRequestError(f"{name} in Healthcheck cannot be less than 1ms")
    if value.get("Retries", 0) < 0:
        raise InvalidRequestError("Retries in Healthcheck cannot be negative")
    if asked and any(value.values()) and value.get("Test") != ["NONE"]:
        raise UnsupportedError("health checks are not supported yet: Healthcheck")


def warnings(config: Mapping[str, object]) -> list[str]:
    """Say what of the image will not be done."""
    check = config.get("Healthcheck")
    test = check.get("Test") if isinstance(check, dict) else None
    if test and test != ["NONE"]:
        return ["The image's health check is not run: health checks are not supported yet."]
    return []


def _host_name(name: str, what: str) -> str:
    if any(character.isspace() or ord(character) < 0x20 for character in name):
        raise InvalidRequestError(f"invalid {what}: {name[:100]!r}")
    if len(name.encode()) > _HOSTNAME_MAX_BYTES:
        raise InvalidRequestError(
            f"invalid {what}: {name[:100]!r} is longer than {_HOSTNAME_MAX_BYTES} bytes"
        )
    return name


def _check_length(argument: str, what: str) -> None:
    if len(argument) > _ARGUMENT_MAX_BYTES or len(argument.encode()) > _ARGUMENT_MAX_BYTES:
        raise InvalidRequestError(
            f"invalid {what}: {argument[:32]!r}... is longer than {_ARGUMENT_MAX_BYTES} bytes"
        )


def check_total(argv: tuple[str, ...], env: tuple[str, ...]) -> None:
    """Refuse more than any process can be given."""
    if sum(len(entry.encode()) + 9 for entry in (*argv, *env)) > _ARGUMENTS_MAX_BYTES:
        raise InvalidRequestError(
            "command and environment together are longer than"
            f" {_ARGUMENTS_MAX_BYTES >> 20} MiB, which no system can start"
        )


def terminal_size(value: object) -> tuple[int, int] | None:
    """Return height and width, None when both are zero."""
    if not isinstance(value, list) or not any(value):
        return None
    height, width = value
    if height > 0xFFFF or width > 0xFFFF:
        raise InvalidRequestError(f"invalid console size: {height}x{width}")
    return height, width


def _stop_timeout(value: object) -> int:
    return value if isinstance(value, int) else _STOP_TIMEOUT_S


def _oom_score(value: object) -> int:
    score = value if isinstance(value, int) else 0
    if not -1000 <= score <= 1000:
        raise InvalidRequestError(
            f"Invalid value {score}, range for oom score adj is [-1000, 1000]"
        )
    return score
