"""A log's last lines are found by walking backwards; the same as reading it all says."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pyd_api.framing import STDOUT
from pyd_guest.engine.logs import LogReader, Renderer, Selection, format_time

TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" "))
ROWS = st.lists(st.tuples(st.sampled_from(["F", "F", "P"]), TEXT), max_size=30)


def render(path: Path, tail: int | None) -> bytes:
    renderer, out = Renderer(Selection(), tty=True), b""
    with LogReader(path, tail=tail) as reader:
        while records := reader.read():
            assert all(record.stream == STDOUT for record in records)
            out += renderer.render(records)
    return out


@given(ROWS, st.integers(0, 35))
def test_tail_is_the_end_of_the_whole(rows: list[tuple[str, bytes]], count: int) -> None:
    stamp = format_time(10**18)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log"
        path.write_bytes(
            b"".join(stamp + f" stdout {tag} ".encode() + text + b"\n" for tag, text in rows)
        )
        whole = render(path, None)
        lines = whole.split(b"\n")
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        # an open line without a byte is a line too, though nothing of it is seen
        if rows and rows[-1][0] == "P" and whole.endswith((b"\n",)) | (not whole):
            lines.append(b"")
        assert render(path, count) == b"".join(lines[max(0, len(lines) - count) :])
