import pytest

from pyd_guest.engine.failures import exit_code_of, in_dockers_words


@pytest.mark.parametrize(
    ("said", "argv", "told", "code"),
    [
        (
            "executable file `nope` not found in $PATH: No such file or directory",
            ("nope",),
            'exec: "nope": executable file not found in $PATH',
            127,
        ),
        (
            "executable file `/nope` not found: No such file or directory",
            ("/nope",),
            'exec: "/nope": stat /nope: no such file or directory',
            127,
        ),
        (
            "open executable: Permission denied",
            ("/etc/passwd",),
            'exec: "/etc/passwd": permission denied',
            126,
        ),
        ("exec format error", ("/x",), "exec format error", 126),
        ("cannot set memory limit", ("x",), "cannot set memory limit", 128),
        ("mount: permission denied", ("x",), "mount: permission denied", 126),
    ],
)
def test_words_and_exit_code(said: str, argv: tuple[str, ...], told: str, code: int) -> None:
    assert in_dockers_words(said, argv) == told
    assert exit_code_of(told) == code
