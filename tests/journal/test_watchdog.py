"""The watchdog ends a process whose Kafka thread is stuck, and no other."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from connector.journal.watchdog import LOOK_SECONDS, Silence, watch


def test_a_thread_that_is_not_heard_of_ends_the_process_with_exit_1() -> None:
    ended = threading.Event()
    said: list[object] = []

    def end(code: int) -> None:
        said.append(code)
        ended.set()

    stuck_since = time.monotonic()
    over = watch(lambda: stuck_since, 1.5, farewell=lambda: said.append("what I know"), end=end)
    assert ended.wait(30.0)
    over.set()
    assert said == ["what I know", 1]


def test_a_farewell_that_fails_does_not_keep_the_process_alive() -> None:
    ended = threading.Event()

    def fail() -> None:
        raise OSError("no broker")

    stuck_since = time.monotonic()
    over = watch(lambda: stuck_since, 0.5, farewell=fail, end=lambda _code: ended.set())
    assert ended.wait(30.0)
    over.set()


def test_a_thread_that_is_heard_of_ends_nothing() -> None:
    codes: list[int] = []
    looked = threading.Semaphore(0)

    def last_beat() -> float:
        looked.release()
        return time.monotonic()

    over = watch(last_beat, 0.5, farewell=lambda: None, end=codes.append)
    for _ in range(3):
        assert looked.acquire(timeout=10.0)  # it went on after the first look
    over.set()
    assert codes == []


def test_a_frozen_process_does_not_count_as_a_silent_thread() -> None:
    silence = Silence(beat=100.0, at=100.0)
    assert silence.look(100.0, 101.0) == 1.0
    assert silence.look(100.0, 3_701.0) == 1.0, "everything stood still for an hour, the watchdog too"
    assert silence.look(100.0, 3_702.0) == 2.0
    assert silence.look(3_702.5, 3_703.0) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.booleans()), max_size=60))
def test_silence_is_the_time_of_looks_on_time_since_the_last_beat(looks: list[tuple[float, bool]]) -> None:
    silence, now, beat, expected = Silence(0.0, 0.0), 0.0, 0.0, 0.0
    for passed, beats in looks:
        before, now = now, now + passed
        if beats and now > beat:
            beat, expected = now, 0.0
        elif now - before <= 2 * LOOK_SECONDS:
            expected += now - before
        assert silence.look(beat, now) == expected
