"""Write the bundle that a runtime takes (OCI runtime-spec, "Bundle").

What only the machine knows is looked up here, with the root file system mounted: the user's
numbers, the working directory, the seccomp filter, the network namespace.
"""

import json
from dataclasses import replace
from pathlib import Path

from pyd_api.errors import ConflictError, InvalidRequestError
from pyd_guest.engine import runtime_request
from pyd_guest.engine.model import Container, Running
from pyd_guest.engine.parts import Parts
from pyd_guest.network.sandbox import Sandbox
from pyd_guest.runtime import users, workdir
from pyd_guest.runtime.oci_spec import build


def write(parts: Parts, container: Container, sandbox: Sandbox | None) -> None:
    """Write config.json; PydError when the container asks for what is not there."""
    spec = container.spec
    rootfs = parts.paths.rootfs(container.id)
    kept = parts.paths.kept(container.id)
    netns = str(sandbox.path) if sandbox and sandbox.path else None
    if spec.network.container is not None:
        other, state = _running(parts, container, spec.network.container)
        # one network, one set of names: the other's files and host name are shared with it
        netns = f"/proc/{state.process.pid}/ns/net"
        kept = parts.paths.kept(other.id)
        spec = replace(spec, hostname=other.spec.hostname, domainname=other.spec.domainname)
    user = users.resolve(rootfs, spec.user, spec.group_add)
    for directory in (*spec.volume_paths, spec.cwd):
        workdir.ensure(rootfs, directory)
    granted = runtime_request.granted(spec, parts.facts)
    place = runtime_request.Placement(
        container_id=container.id,
        rootfs=str(rootfs),
        user=user,
        netns=netns,
        hosts=str(kept / "hosts"),
        hostname=str(kept / "hostname"),
        resolv_conf=str(kept / "resolv.conf"),
        init_binary=str(_init(parts)) if spec.init else None,
        seccomp=parts.filters.choose(
            spec.security.seccomp,
            granted,
            privileged=spec.security.privileged,
            runtime=parts.runtime(spec.runtime).executable.name,
        ),
        cgroup_parent=parts.cgroup_parent,
    )
    document = build(runtime_request.runtime_input(spec, place, parts.facts))
    path = parts.paths.bundle(container.id) / "config.json"
    path.write_text(json.dumps(document), encoding="utf-8")


def _init(parts: Parts) -> Path:
    if parts.init is None:
        raise InvalidRequestError(
            "no static init for containers is installed: tini-static or catatonit"
        )
    return parts.init


def _running(parts: Parts, container: Container, reference: str) -> tuple[Container, Running]:
    other = parts.index.get(reference)
    if other is container:
        raise InvalidRequestError("cannot join own network")
    state = other.state
    if not isinstance(state, Running):
        raise ConflictError(f"cannot join network of a non running container: {other.id}")
    return other, state
