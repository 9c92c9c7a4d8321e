"""``POST /containers/{id}/exec``: the request as values, and the process document made of it.

Wire shape: Engine API 1.50, ExecConfig; process document: OCI runtime-spec, "Process". An exec
starts from its container: environment, user, directory and rights are the container's until the
request says otherwise.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyd_api.errors import InvalidRequestError
from pyd_guest.engine import parse_process, runtime_request, wire
from pyd_guest.engine.container_spec import ContainerSpec
from pyd_guest.engine.create_fields import console_size
from pyd_guest.engine.model import Container
from pyd_guest.engine.parts import Parts
from pyd_guest.engine.wire import Field
from pyd_guest.runtime import oci_spec, users
from pyd_guest.runtime.host import HostFacts
from pyd_guest.runtime.oci_spec import Process
from pyd_guest.runtime.users import User

_DETACH_KEY = re.compile(r"[^,]|ctrl-[a-zA-Z@\[\\\]^_]")
_FIELDS = (
    Field("User", wire.string, ""),
    Field("Privileged", wire.boolean, zero=False),
    Field("Tty", wire.boolean, zero=False),
    Field("ConsoleSize", wire.optional(console_size)),
    Field("AttachStdin", wire.boolean, zero=False),
    Field("AttachStderr", wire.boolean, zero=False),
    Field("AttachStdout", wire.boolean, zero=False),
    Field("DetachKeys", wire.string, ""),
    Field("Env", wire.strings),
    Field("WorkingDir", wire.string, ""),
    Field("Cmd", wire.strings),
)


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """One exec, valid once built; an empty ``user`` or ``cwd`` is the container's."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    cwd: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None  # height, width
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""


def parse(body: Mapping[str, object]) -> ExecSpec:
    """Read and check the request. Raises InvalidRequestError with dockerd's words."""
    given = wire.read(body, _FIELDS, "ExecOptions")
    argv = parse_process.strings(given["Cmd"])
    if not argv:
        raise InvalidRequestError("No exec command specified")
    parse_process.check_arguments(argv)
    env = parse_process.environment(given["Env"])
    parse_process.check_total(argv, env)
    keys = str(given["DetachKeys"])
    if keys and not all(_DETACH_KEY.fullmatch(key) for key in keys.split(",")):
        raise InvalidRequestError(f"Invalid escape keys ({keys[:100]}) provided")
    directory = parse_process.text(given["WorkingDir"], "working directory")
    return ExecSpec(
        argv=argv,
        env=env,
        user=parse_process.text(given["User"], "user"),
        cwd=parse_process.working_directory(directory) if directory else "",
        privileged=bool(given["Privileged"]),
        tty=bool(given["Tty"]),
        console_size=parse_process.terminal_size(given["ConsoleSize"]),
        attach_stdin=bool(given["AttachStdin"]),
        attach_stdout=bool(given["AttachStdout"]),
        attach_stderr=bool(given["AttachStderr"]),
        detach_keys=keys,
    )


def process(
    spec: ContainerSpec,
    exec_spec: ExecSpec,
    user: User,
    facts: HostFacts,
    *,
    tty: bool,
    size: tuple[int, int] | None,
) -> dict[str, object]:
    """Return the process document. Only capabilities change with ``privileged``, as in dockerd."""
    inherited = oci_spec.environment(spec.env, hostname=spec.hostname, terminal=tty, user=user)
    wanted = Process(
        argv=exec_spec.argv,
        env=_overlay(inherited, exec_spec.env),
        cwd=exec_spec.cwd or spec.cwd,
        user=user,
        capabilities=facts.capabilities
        if exec_spec.privileged
        else runtime_request.granted(spec, facts),
        terminal=tty,
        console_size=size or exec_spec.console_size,
        no_new_privileges=spec.security.no_new_privileges,
        oom_score_adj=spec.oom_score_adj,
        apparmor_profile=runtime_request.apparmor_profile(spec, facts),
    )
    return oci_spec.build_process(wanted, rlimits=spec.resources)


def write_process(
    parts: Parts,
    container: Container,
    exec_spec: ExecSpec,
    directory: Path,
    *,
    tty: bool,
    size: tuple[int, int] | None,
) -> None:
    """Write ``directory/process.json``; InvalidRequestError when the user is not in the image."""
    spec = container.spec
    rootfs = parts.paths.rootfs(container.id)
    user = users.resolve(rootfs, exec_spec.user or spec.user, spec.group_add)
    document = process(spec, exec_spec, user, parts.facts, tty=tty, size=size)
    (directory / "process.json").write_text(json.dumps(document), encoding="utf-8")


def _overlay(inherited: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Replace variables by name; one without ``=`` is taken away."""
    result = {entry.partition("=")[0]: entry for entry in inherited}
    for entry in given:
        name, equals, _ = entry.partition("=")
        if equals:
            result[name] = entry
        else:
            result.pop(name, None)
    return tuple(result.values())
