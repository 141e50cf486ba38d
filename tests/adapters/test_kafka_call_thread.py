"""Calls that may not come back: whoever waits gives up in the end, and not too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from connector.adapters.kafka.call_thread import MOST_LOST, CallThread, NoAnswerError
from connector.adapters.kafka.transactions import End, Ended, TransactionalProducer
from connector.core.record import Partition

LOOK = 0.01
NOBODY = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0, "transactional.id": "writer"}


@pytest.fixture
def back() -> Iterator[threading.Event]:
    """Set when the calls that hang may come back; at the end they do."""
    event = threading.Event()
    yield event
    event.set()
    deadline = time.monotonic() + 30.0
    while not all(call.done() for call in CallThread._lost) and time.monotonic() < deadline:
        time.sleep(LOOK)


def fail() -> None:
    raise KeyError("what the call raises")


def lose(hanging: threading.Event, beats: list[float] | None = None) -> None:
    """Give up a call that does not come back."""
    calls = CallThread()
    seen = [] if beats is None else beats
    with pytest.raises(NoAnswerError):
        calls.call(lambda: _until(hanging), time.monotonic() + 5 * LOOK, LOOK, lambda: seen.append(time.monotonic()))
    calls.close()


def _until(event: threading.Event) -> None:
    event.wait(60.0)


def test_a_call_ends_as_it_ends_and_another_one_can_follow() -> None:
    calls, done = CallThread(), list[str]()
    calls.call(lambda: done.append("one"), time.monotonic(), LOOK, lambda: None)
    with pytest.raises(KeyError, match="what the call raises"):
        calls.call(fail, time.monotonic() + 60.0, LOOK, lambda: None)
    calls.call(lambda: done.append("two"), time.monotonic() + 60.0, LOOK, lambda: None)
    calls.close()
    assert done == ["one", "two"]


def test_a_call_that_does_not_come_back_is_given_up_and_beats_until_then(back: threading.Event) -> None:
    beats: list[float] = []
    lose(back, beats)
    assert len(beats) > 1
    assert not back.is_set()


def test_no_more_than_a_few_calls_are_given_up_before_one_comes_back(back: threading.Event) -> None:
    for _ in range(MOST_LOST):
        lose(back)
    calls, here = CallThread(), threading.Event()
    threading.Timer(0.5, here.set).start()
    beats: list[float] = []
    calls.call(lambda: _until(here), time.monotonic(), LOOK, lambda: beats.append(time.monotonic()))
    calls.close()
    assert len(beats) == 1, "the watchdog must notice"


class Hanging:
    """A client whose group coordinator is away."""

    def __init__(self, back: threading.Event) -> None:
        self._back = back
        self.aborted = False

    def begin_transaction(self) -> None:
        """It begins."""

    def flush(self, _timeout: float) -> int:
        return 0

    def send_offsets_to_transaction(self, *_what: object) -> None:
        _until(self._back)

    def abort_transaction(self, _timeout: float) -> None:
        self.aborted = True

    def purge(self) -> None:
        """Nothing waits."""


def test_offsets_that_nobody_takes_end_the_transaction_and_the_producer_but_not_the_thread(
    back: threading.Event,
) -> None:
    beats: list[float] = []
    producer = TransactionalProducer(NOBODY, transaction_timeout=0.1, beat=lambda: beats.append(time.monotonic()))
    hanging = producer._producer = Hanging(back)  # type: ignore[assignment]  # what write and close need of it
    ended = producer.write([], {Partition("documents", 0): 7}, object(), lambda: pytest.fail("it must not commit"))
    assert ended == Ended(End.ABORTED, "NO_ANSWER", broken=True)
    assert not hanging.aborted, "a client in the middle of a call takes no other"
    producer.close()
