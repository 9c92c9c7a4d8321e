"""A runtime's complaint in the words that Docker's clients look for.

The CLI turns a message into its exit status: 127 for "executable file not found" or "no such file
or directory", 126 for "permission denied" or "is a directory", 125 for the rest.
"""

from collections.abc import Sequence
from typing import Final

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
FAILED: Final = 128

_NOT_FOUND_WORDS: Final = ("executable file not found", "no such file or directory")
_ABOUT_PROGRAM: Final = ("open executable", "access executable", "exec: ")
_REFUSED: Final = ("permission denied", "not permitted", "is a directory")
_NOT_EXECUTABLE_WORDS: Final = ("permission denied", "is a directory", "exec format error")


def in_dockers_words(message: str, argv: Sequence[str]) -> str:
    """Rephrase what crun or runc said about starting ``argv``."""
    program = argv[0] if argv else ""
    said = message.lower()
    if not program:
        return 'exec: "": executable file not found in $PATH'
    if "/" in program and ("not found" in said or "no such file" in said):
        return f'exec: "{program}": stat {program}: no such file or directory'
    if "executable file" in said and "not found" in said:
        return f'exec: "{program}": executable file not found in $PATH'
    about_program = any(words in said for words in _ABOUT_PROGRAM)
    if about_program and any(words in said for words in _REFUSED):
        return f'exec: "{program}": permission denied'
    return message


def exit_code_of(message: str) -> int:
    """Return the exit code that a container gets whose start failed so."""
    said = message.lower()
    if any(words in said for words in _NOT_FOUND_WORDS):
        return NOT_FOUND
    if any(words in said for words in _NOT_EXECUTABLE_WORDS):
        return NOT_EXECUTABLE
    return FAILED
