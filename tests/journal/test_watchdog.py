"""The watchdog ends a process whose Kafka thread is stuck, and no other."""

from __future__ import annotations

import threading
import time

from connector.journal.watchdog import watch


def test_a_thread_that_is_not_heard_of_ends_the_process_with_exit_1() -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    stuck_since = time.monotonic() - 21.0
    over = watch(lambda: stuck_since, 20.0, end=end)
    assert ended.wait(10.0)
    over.set()
    assert codes == [1]


def test_a_thread_that_is_heard_of_ends_nothing() -> None:
    codes: list[int] = []
    looked = threading.Semaphore(0)

    def last_beat() -> float:
        looked.release()
        return time.monotonic() - 19.0

    over = watch(last_beat, 20.0, end=codes.append)
    assert looked.acquire(timeout=10.0)
    assert looked.acquire(timeout=10.0)  # it went on after the first look
    over.set()
    assert codes == []
