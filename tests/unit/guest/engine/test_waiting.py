import gc

from pyd_guest.engine.waiting import WaitResult, Waits


def test_an_exit_tells_all_but_those_who_wait_for_the_removal() -> None:
    waits = Waits()
    exit_, removal, ended = waits.next_exit(), waits.removal(), waits.ended()
    waits.exited(WaitResult(3))
    assert exit_.result(0) == WaitResult(3)
    assert ended.result(0) is None
    assert not removal.done()
    waits.removed(WaitResult(3))
    assert removal.result(0) == WaitResult(3)


def test_a_removal_tells_everybody() -> None:
    waits = Waits()
    futures = [waits.next_exit(), waits.removal()]
    waits.removed(WaitResult(0, "gone"))
    assert [future.result(0) for future in futures] == [WaitResult(0, "gone")] * 2


def test_an_end_is_told_once() -> None:
    waits = Waits()
    first = waits.next_exit()
    waits.exited(WaitResult(1))
    second = waits.next_exit()
    assert first.done()
    assert not second.done()


def test_those_who_gave_up_are_passed_over_and_do_not_gather() -> None:
    waits = Waits()
    for _ in range(100):
        waits.next_exit().cancel()
    last = waits.next_exit()
    assert len(waits._pending) == 1
    waits.next_exit().cancel()
    waits.exited(WaitResult(0))
    assert last.done()


def test_readers_of_logs_that_left_without_a_word_do_not_gather() -> None:
    waits = Waits()
    held = waits.ended()
    for _ in range(100):
        waits.ended()
    gc.collect()
    assert len(waits._ended) == 1
    waits.exited(WaitResult(0))
    assert held.done()


def test_a_callback_may_wait_again() -> None:
    waits = Waits()
    again = []
    waits.next_exit().add_done_callback(lambda _: again.append(waits.next_exit()))
    waits.exited(WaitResult(0))
    assert len(again) == 1
    assert not again[0].done()
