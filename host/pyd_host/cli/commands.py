"""Every command by name: the module that has it, and what it does in one line.

A command's module is imported when the command is used; the lines here are what the overview
prints without importing any.
"""

_CONTAINER = "pyd_host.cli.container."
_IMAGE = "pyd_host.cli.image."
_SYSTEM = "pyd_host.cli.system."

# name → (module, name of the Command in it, one line)
Entry = tuple[str, str, str]

_ATTACH: Entry = (_CONTAINER + "attach", "COMMAND", "Connect this terminal to a running container")
_CREATE: Entry = (_CONTAINER + "create", "COMMAND", "Make a container without starting it")
_EXEC: Entry = (_CONTAINER + "exec", "COMMAND", "Run a command inside a running container")
_IMPORT: Entry = (_IMAGE + "import_", "COMMAND", "Make an image from a tarball of a file system")
_KILL: Entry = (_CONTAINER + "kill", "COMMAND", "Send a signal to running containers")
_LOAD: Entry = (_IMAGE + "load", "COMMAND", "Load images from an archive or standard input")
_LOGS: Entry = (_CONTAINER + "logs", "COMMAND", "Print what a container has written")
_PULL: Entry = (_IMAGE + "pull", "COMMAND", "Fetch an image from a registry")
_PS: Entry = (_CONTAINER + "list", "COMMAND", "List containers")
_IMAGES: Entry = (_IMAGE + "list", "COMMAND", "List images")
_RM: Entry = (_CONTAINER + "remove", "COMMAND", "Remove containers")
_RMI: Entry = (_IMAGE + "remove", "COMMAND", "Remove images")
_RUN: Entry = (_CONTAINER + "run", "COMMAND", "Make a container from an image and start it")
_START: Entry = (_CONTAINER + "start", "COMMAND", "Start stopped containers")
_STOP: Entry = (_CONTAINER + "stop", "COMMAND", "Stop running containers")
_TAG: Entry = (_IMAGE + "tag", "COMMAND", "Give an image another name")
_WAIT: Entry = (_CONTAINER + "wait", "COMMAND", "Wait until containers stop and print their status")
_EVENTS: Entry = (_SYSTEM + "events", "COMMAND", "Print what happens in the engine, as it happens")
_INFO: Entry = (_SYSTEM + "info", "COMMAND", "Show how the engine is set up")

COMMON: dict[str, Entry] = {
    "run": _RUN,
    "exec": _EXEC,
    "ps": _PS,
    "pull": _PULL,
    "images": _IMAGES,
    "version": (_SYSTEM + "version", "COMMAND", "Show the versions of client and engine"),
    "info": _INFO,
}
OTHERS: dict[str, Entry] = {
    "attach": _ATTACH,
    "create": _CREATE,
    "daemon": ("pyd_host.cli.daemon", "COMMAND", "Run the engine itself (Linux)"),
    "events": _EVENTS,
    "import": _IMPORT,
    "inspect": (_SYSTEM + "inspect", "COMMAND", "Print everything about containers and images"),
    "kill": _KILL,
    "load": _LOAD,
    "logs": _LOGS,
    "rm": _RM,
    "rmi": _RMI,
    "start": _START,
    "stop": _STOP,
    "tag": _TAG,
    "wait": _WAIT,
}
NOUNS: dict[str, tuple[str, dict[str, Entry]]] = {
    "container": (
        "Work with containers",
        {
            "attach": _ATTACH,
            "create": _CREATE,
            "exec": _EXEC,
            "inspect": (_SYSTEM + "inspect", "CONTAINER", "Print everything about containers"),
            "kill": _KILL,
            "logs": _LOGS,
            "ls": _PS,
            "rm": _RM,
            "run": _RUN,
            "start": _START,
            "stop": _STOP,
            "wait": _WAIT,
        },
    ),
    "image": (
        "Work with images",
        {
            "import": _IMPORT,
            "inspect": (_SYSTEM + "inspect", "IMAGE", "Print everything about images"),
            "load": _LOAD,
            "ls": _IMAGES,
            "pull": _PULL,
            "rm": _RMI,
            "tag": _TAG,
        },
    ),
    "system": (
        "Work with the engine",
        {"events": _EVENTS, "info": _INFO},
    ),
}
# other spellings that Docker's users know, by noun ("" is the top)
ALIASES: dict[str, dict[str, str]] = {
    "": {},
    "container": {"list": "ls", "ps": "ls", "remove": "rm"},
    "image": {"list": "ls", "remove": "rm"},
    "system": {},
}
# words of Docker's command line that pyd does not have yet
NOT_YET = frozenset(
    {
        "build", "builder", "buildx", "commit", "compose", "context", "cp", "diff", "export",
        "history", "login", "logout", "manifest", "network", "pause", "plugin", "port", "push",
        "rename", "restart", "save", "search", "stats", "top", "unpause", "update", "volume",
    }
)  # fmt: skip
NEVER = frozenset({"checkpoint", "config", "node", "secret", "service", "stack", "swarm", "trust"})


def find_entry(noun: str, word: str) -> Entry | None:
    """Return the entry of ``pyd [NOUN] WORD``."""
    word = ALIASES[noun].get(word, word)
    if noun:
        return NOUNS[noun][1].get(word)
    return COMMON.get(word) or OTHERS.get(word)


def load(entry: Entry) -> object:
    """Import a command's module and return its Command."""
    module, name, _ = entry
    __import__(module)
    from sys import modules

    return getattr(modules[module], name)
