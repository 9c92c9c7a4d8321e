"""Short runs of programs of this machine whose output is wanted."""

import subprocess

_TIMEOUT_S = 10.0


def output_of(*argv: str, timeout_s: float = _TIMEOUT_S) -> bytes:
    """Run ``argv`` with an empty environment and return what it prints.

    Raises OSError when it cannot run, fails or takes too long.
    """
    try:
        return subprocess.run(
            argv,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=timeout_s,
        ).stdout
    except subprocess.SubprocessError as error:
        raise OSError(f"{argv[0]}: {error}") from error
