"""Seccomp filters of a container: the default profile, or one that a user gives.

::

    capabilities ─▶ default_profile ─┬─▶ OCI JSON ───────────────▶ runc, or any runtime
                                     └─▶ BPF (`bpf`), cached ────▶ crun, for a faster start
    profile text ─▶ custom_profile ────▶ OCI JSON

Formats: OCI runtime-spec, linux.seccomp; Docker's profile files add ``includes``, ``excludes`` and
``archMap``. crun takes the program in the annotation ``run.oci.seccomp_bpf_data``.
"""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence

from pyd_api.errors import InvalidRequestError
from pyd_guest.runtime import seccomp_profile as profile

Json = dict[str, object]

EPERM, ENOSYS = 1, 38
_ALLOW = "SCMP_ACT_ALLOW"
_ERRNO = "SCMP_ACT_ERRNO"
_MASKED_EQ = "SCMP_CMP_MASKED_EQ"
_EQ = "SCMP_CMP_EQ"
_ACTION = re.compile(r"SCMP_ACT_[A-Z_]{1,20}")
_OPERATOR = re.compile(r"SCMP_CMP_[A-Z_]{1,20}")
_ARCHITECTURE = re.compile(r"SCMP_ARCH_[A-Z0-9_]{1,20}")
_KERNEL = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_ERRNO_MAX = 0xFFFF
_ARGUMENTS = 6
_GO_ARCHITECTURES = {"x86_64": ("amd64", "x86", "x32"), "aarch64": ("arm64", "arm")}
_FLAGS_OF_PROFILE = frozenset(
    {
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    }
)


def free_calls(capabilities: Collection[str], machine: str) -> list[str]:
    """Return the calls allowed whatever their arguments, sorted."""
    names = {name for group in profile.FREE.values() for name in group.split()}
    names.update(profile.FREE_ON.get(machine, "").split())
    for capability, calls in profile.BY_CAPABILITY.items():
        if capability in capabilities:
            names.update(calls.split())
    return sorted(names)


def conditional_calls(capabilities: Collection[str]) -> dict[str, tuple[profile.Condition, ...]]:
    """Return the calls allowed for some values of their first argument."""
    calls = {"personality": profile.PERSONALITIES, "socket": profile.SOCKET_FAMILIES}
    if "CAP_SYS_ADMIN" not in capabilities:
        calls["clone"] = (profile.CLONE_WITHOUT_NAMESPACES,)
    return calls


def default_profile(capabilities: Collection[str], machine: str) -> Json:
    """Return the default profile as OCI JSON for a process with ``capabilities``."""
    syscalls: list[Json] = [{"names": free_calls(capabilities, machine), "action": _ALLOW}]
    for name, conditions in conditional_calls(capabilities).items():
        # rules of one call are alternatives; conditions inside one rule would all have to hold
        syscalls += [
            {"names": [name], "action": _ALLOW, "args": [_argument(condition)]}
            for condition in conditions
        ]
    if "CAP_SYS_ADMIN" not in capabilities:
        syscalls.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": ENOSYS})
    return {
        "defaultAction": _ERRNO,
        "defaultErrnoRet": EPERM,
        "architectures": list(profile.ARCHITECTURES.get(machine, ())),
        "syscalls": syscalls,
    }


def _argument(condition: profile.Condition) -> Json:
    return {
        "index": 0,
        "op": _MASKED_EQ,
        "value": condition.mask,
        "valueTwo": condition.value,
    }


def check_profile(document: object) -> None:
    """Refuse what is no profile (checklist D8), whatever the capabilities will be."""
    custom_profile(document, (), os.uname().machine)


def custom_profile(document: object, capabilities: Collection[str], machine: str) -> Json:
    """Return a profile in Docker's format as OCI JSON, filtered for this container.

    Raises InvalidRequestError naming what is wrong.
    """
    if not isinstance(document, dict):
        raise _broken("it is not an object")
    default = _match(document.get("defaultAction"), _ACTION, "defaultAction")
    result: Json = {
        "defaultAction": default,
        "architectures": _architectures(document, machine),
        "syscalls": [
            rule
            for entry in _objects(document.get("syscalls"), "syscalls")
            if (rule := _rule(entry, capabilities, machine)) is not None
        ],
    }
    # without an errno to return the number means nothing, and crun 1.8.1 refuses it
    if default == _ERRNO and document.get("defaultErrnoRet") is not None:
        result["defaultErrnoRet"] = _errno(document["defaultErrnoRet"])
    if flags := _names(document.get("flags"), "flags"):
        if not _FLAGS_OF_PROFILE.issuperset(flags):
            raise _broken(f"unknown flag in {flags!r}")
        result["flags"] = flags
    for name in ("listenerPath", "listenerMetadata"):
        if document.get(name):
            raise _broken(f"{name} is not supported")
    return result


def _architectures(document: Mapping[str, object], machine: str) -> list[str]:
    given = _names(document.get("architectures"), "architectures")
    table = _objects(document.get("archMap"), "archMap")
    if given and table:
        raise _broken("use either 'architectures' or 'archMap'")
    for name in given:
        _match(name, _ARCHITECTURE, "architectures")
    own = profile.ARCHITECTURES.get(machine, ("",))[0]
    for entry in table:
        name = _match(entry.get("architecture"), _ARCHITECTURE, "architecture")
        others = _names(entry.get("subArchitectures"), "subArchitectures")
        if name == own:
            return [name, *(_match(other, _ARCHITECTURE, "subArchitectures") for other in others)]
    return given


def _rule(entry: Mapping[str, object], capabilities: Collection[str], machine: str) -> Json | None:
    """Return one rule, None when it is not for this container."""
    names = _names(entry.get("names"), "names")
    if single := entry.get("name"):
        if names:
            raise _broken("use either 'name' or 'names'")
        names = _names([single], "name")
    if not names:
        raise _broken("a rule names no system call")
    action = _match(entry.get("action"), _ACTION, "action")
    rule: Json = {"names": names, "action": action}
    if (errno := entry.get("errnoRet")) is not None:
        rule["errnoRet"] = _errno(errno)
    if arguments := _objects(entry.get("args"), "args"):
        rule["args"] = [_custom_argument(argument) for argument in arguments]
    includes, excludes = _filter(entry, "includes"), _filter(entry, "excludes")
    return rule if _applies(includes, excludes, capabilities, machine) else None


def _filter(entry: Mapping[str, object], name: str) -> tuple[list[str], list[str], str]:
    given = entry.get(name)
    if given is None:
        return [], [], ""
    if not isinstance(given, dict):
        raise _broken(f"{name} is not an object")
    kernel = given.get("minKernel") or ""
    if not isinstance(kernel, str) or (kernel and not _KERNEL.match(kernel)):
        raise _broken(f"minKernel is {kernel!r}")
    return _names(given.get("caps"), "caps"), _names(given.get("arches"), "arches"), kernel


def _applies(
    includes: tuple[list[str], list[str], str],
    excludes: tuple[list[str], list[str], str],
    capabilities: Collection[str],
    machine: str,
) -> bool:
    arches = _GO_ARCHITECTURES.get(machine, (machine,))
    caps, wanted, kernel = includes
    if wanted and not set(wanted) & set(arches[:1]):
        return False
    if not set(caps) <= set(capabilities) or (kernel and not _kernel_at_least(kernel)):
        return False
    caps, unwanted, kernel = excludes
    if set(unwanted) & set(arches[:1]) or set(caps) & set(capabilities):
        return False
    return not (kernel and _kernel_at_least(kernel))


def _kernel_at_least(wanted: str) -> bool:
    found = _KERNEL.match(os.uname().release)
    asked = _KERNEL.match(wanted)
    if not found or not asked:
        return False
    return tuple(map(int, found.groups())) >= tuple(map(int, asked.groups()))


def _custom_argument(argument: Mapping[str, object]) -> Json:
    index, operator = argument.get("index", 0), argument.get("op")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < _ARGUMENTS:
        raise _broken(f"argument index {index!r}")
    result: Json = {"index": index, "op": _match(operator, _OPERATOR, "op")}
    for name in ("value", "valueTwo"):
        value = argument.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
            raise _broken(f"{name} {value!r}")
        result[name] = value
    return result


def _errno(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _ERRNO_MAX:
        raise _broken(f"errno {value!r}")
    return value


def _match(value: object, rule: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not rule.fullmatch(value):
        raise _broken(f"{what} is {str(value)[:50]!r}")
    return value


def _names(value: object, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _broken(f"{what} is not a list of names")
    return list(value)


def _objects(value: object, what: str) -> Sequence[Mapping[str, object]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _broken(f"{what} is not a list of objects")
    return value


def _broken(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"Decoding seccomp profile failed: {reason}")


def decode(text: str) -> object:
    """Read a profile's JSON text; raise InvalidRequestError for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(str(error)) from error
