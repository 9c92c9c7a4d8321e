"""How a command says that it failed: words for standard error and an exit status.

The errors of the engine are `pyd_api.errors`; these are the command line's own. They are plain
classes in a module without imports, since every command loads it.
"""


class CommandError(Exception):
    """Printed as ``pyd: message``, a blank line and the hint."""

    def __init__(self, message: str, *, status: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.hint = hint


class PlainError(CommandError):
    """Printed as it stands, without the program's name in front."""


class UsageError(CommandError):
    """Wrong flags or arguments; printed with the command's usage line."""

    def __init__(self, message: str, *, status: int, prefixed: bool, verb: str = "Run") -> None:
        super().__init__(message, status=status)
        self.prefixed = prefixed
        self.verb = verb


class ExitStatusError(Exception):
    """Leave with this status; everything has been said."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
