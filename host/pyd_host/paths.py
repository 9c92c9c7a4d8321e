"""Every directory and file name that pyd uses on the host, in one place.

The engine's socket is a constant. Directories of the user come from platformdirs, which is
imported when one is asked for: with pathlib it costs as much as a whole ``pyd ps``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # the name of the type only; typing itself is not worth its import here
    from pathlib import Path

LOCAL_SOCKET = "/run/pyd/pyd.sock"
_NAME = "pyd"


def user_config_dir() -> "Path":
    """Where the user's settings live."""
    from platformdirs import user_config_path

    return user_config_path(_NAME, appauthor=False)


def user_data_dir() -> "Path":
    """Where machines and their disks live."""
    from platformdirs import user_data_path

    return user_data_path(_NAME, appauthor=False)


def user_runtime_dir() -> "Path":
    """Where the sockets of this login session live."""
    from platformdirs import user_runtime_path

    return user_runtime_path(_NAME, appauthor=False)
