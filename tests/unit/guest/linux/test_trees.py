import os
from pathlib import Path

from pyd_guest.linux.trees import remove_tree


def test_a_tree_goes_and_one_that_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/link").symlink_to(tmp_path)
    remove_tree(tmp_path / "a")
    remove_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_another_who_removes_the_same_tree_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Both have to end with nothing left: an exec's end meets its container's."""
    for number in range(20):
        top = tmp_path / str(number)
        for part in range(30):
            (top / f"exec/{part}").mkdir(parents=True)
            (top / f"exec/{part}/ctl").write_text("")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(reader, 1)
            try:
                remove_tree(top)
            finally:
                os._exit(0)
        os.write(writer, b"x")
        remove_tree(top)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        assert not top.exists()
