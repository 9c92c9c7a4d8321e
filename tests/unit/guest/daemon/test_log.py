import logging

from pyd_guest.daemon.log import LineFormatter


def line(message: str, *args: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("pyd_guest.engine.start", 30, "f", 1, message, args, info)
    record.created = 1795526253.25
    return LineFormatter().format(record)


def test_the_shape() -> None:
    assert line("started %s", "web") == (
        'time="2026-11-24T13:17:33.250000Z" level=warn source=engine.start msg="started web"'
    )


def test_names_cannot_forge_lines() -> None:
    text = line("name %s", 'x"\nlevel=error \x1b[31m\u2028\x85')
    assert text.isprintable()
    assert '\\"' in text


def test_a_traceback_is_indented() -> None:
    try:
        raise RuntimeError("inner\nlines")
    except RuntimeError as error:
        first, *rest = line("failed", error=error).split("\n")
    assert first.endswith('msg="failed"')
    assert rest
    assert all(part.startswith("    ") for part in rest)
