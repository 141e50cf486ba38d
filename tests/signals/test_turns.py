"""The signals thread on fakes, driven turn by turn: what goes wrong, and what is said about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.errors import ConnectorError, TopicError
from connector.core.record import OutRecord, Partition, Record
from connector.core.signals.signal import Signal
from connector.signals import (
    BUSY_SECONDS,
    EXPECTED_SECONDS,
    IDLE_SECONDS,
    LOOK_BACK_MS,
    RETRY_SECONDS,
    UNSENT_SECONDS,
    Signals,
)
from tests.signals.contract import NAME, P0, P1, P2, command, fact, reply, topic

NOW = 1_000.0
NO_LEADER = TopicError(["Partition 0 of topic invoices.signals has no leader."])
S0, S1 = Partition("invoices.signals", 0), Partition("invoices.signals", 1)


@dataclass
class FakeReader:
    """Says at which offset an instant stands, or why nobody knows."""

    errors: dict[Partition, ConnectorError] = field(default_factory=dict)
    batches: deque[list[Record]] = field(default_factory=deque)
    asked: list[tuple[Partition, int]] = field(default_factory=list)
    begun: list[Mapping[Partition, int]] = field(default_factory=list)
    removed: list[Partition] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    behind: set[Partition] = field(default_factory=set)
    trouble: ConnectorError | None = None
    broken: Exception | None = None

    def offset_at(self, partition: Partition, since_ms: int) -> int:
        self.asked.append((partition, since_ms))
        if partition in self.errors:
            raise self.errors[partition]
        return 7

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        self.begun.append(dict(offsets))

    def remove(self, partitions: Iterable[Partition]) -> None:
        self.removed += partitions

    def read(self, timeout: float) -> list[Record]:
        if self.broken is not None:
            raise self.broken
        self.waited.append(timeout)
        return self.batches.popleft() if self.batches else []

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class FakeWriter:
    """Keeps records until a test has them acknowledged."""

    done: Callable[[str, bool], None]
    kept: list[str] = field(default_factory=list)
    repeats: int = 0
    trouble: ConnectorError | None = None

    @property
    def waiting(self) -> int:
        return len(self.kept)

    def send(self, record: OutRecord, label: str) -> None:
        assert record.topic == "invoices.signals"
        self.kept.append(label)

    def serve(self) -> None:
        """Nothing comes by itself."""

    def repeat(self) -> None:
        self.repeats += 1

    def acknowledge(self, *, acknowledged: bool = True) -> None:
        self.done(self.kept.pop(0), acknowledged)

    def close(self) -> None:
        """Nothing to free."""


class Turns:
    """A Signals whose turns are made by the test."""

    def __init__(self) -> None:
        self.now = NOW
        self.reader = FakeReader()
        self.metrics = Metrics()
        self.heard: list[Signal] = []
        self.fatal: list[BaseException] = []
        self.signals = Signals(
            name=NAME,
            topic=topic(),
            open_reader=lambda: self.reader,
            open_writer=FakeWriter,
            fatal=self.fatal.append,
            metrics=self.metrics,
            clock=Clock(lambda: self.now, lambda: self.now),
        )
        self.writer = FakeWriter(self.signals._done)
        self.signals._reader = self.reader
        self.signals._writer = self.writer
        self.signals._hear = self.heard.extend
        self.signals._post = lambda call: call()

    def come(self, *signals: Signal) -> None:
        """These records are read next."""
        records = [topic().record(signal, 0) for signal in signals]
        self.reader.batches.append(
            [
                Record(Partition(record.topic, record.partition or 0), offset, record.key, record.value)
                for offset, record in enumerate(records)
            ],
        )

    def turn(self, after: float = 0.0) -> None:
        self.now += after
        self.signals._turn()


@pytest.fixture
def turns() -> Turns:
    return Turns()


def said(lines: Sequence[Mapping[str, object]]) -> list[object]:
    return [line["reason"] for line in lines if line["event"] == "signals_wait"]


def test_listeners_that_share_a_signals_partition_are_looked_up_once_and_from_the_earliest(turns: Turns) -> None:
    for partition, since_ms in ((P0, 900_000), (P2, 800_000), (P1, 950_000)):
        turns.signals.listen(partition, 1, since_ms)
    turns.turn()
    assert turns.reader.asked == [(S0, 800_000 - LOOK_BACK_MS), (S1, 950_000 - LOOK_BACK_MS)]
    assert turns.reader.begun == [{S0: 7, S1: 7}]


def test_a_partition_that_does_not_answer_keeps_back_no_other_and_is_asked_again(turns: Turns) -> None:
    turns.reader.errors[S0] = NO_LEADER
    turns.signals.listen(P0, 1, 900_000)
    turns.signals.listen(P1, 2, 900_000)
    with capture_logs() as lines:
        turns.turn()
        assert turns.reader.begun == []
        turns.turn(RETRY_SECONDS)
        assert turns.reader.begun == [{S1: 7}]
        turns.turn(RETRY_SECONDS)
        turns.turn()
    assert said(lines) == [str(NO_LEADER)], "said once"
    asked = len(turns.reader.asked)
    turns.reader.errors.clear()
    turns.turn(RETRY_SECONDS / 2)
    assert len(turns.reader.asked) == asked, "asked too soon"
    turns.turn(RETRY_SECONDS)
    assert turns.reader.begun[-1] == {S0: 7}


def test_commands_and_replies_wait_until_all_that_is_past_was_read_and_facts_do_not(turns: Turns) -> None:
    turns.signals.listen(P0, 1, 900_000)
    turns.reader.behind.add(S0)
    turns.come(command(P0, 1), fact(P0, 2), command(P0, 3))
    turns.turn()
    assert turns.heard == [fact(P0, 2)]
    turns.come(reply(command(P0, 1)))
    turns.turn()
    turns.reader.behind.clear()
    turns.come(fact(P0, 4))
    turns.turn()
    assert turns.heard == [fact(P0, 2), command(P0, 1), command(P0, 3), reply(command(P0, 1)), fact(P0, 4)]
    turns.come(command(P0, 5))
    turns.turn()
    assert turns.heard[-1] == command(P0, 5)


def test_what_waits_of_the_past_is_dropped_with_its_listener(turns: Turns) -> None:
    turns.signals.listen(P0, 1, 900_000)
    turns.signals.listen(P2, 2, 900_000)
    turns.reader.behind.add(S0)
    turns.come(command(P0, 1), command(P2, 2))
    turns.turn()
    turns.signals.forget(P0, 1)
    turns.reader.behind.clear()
    turns.turn()
    assert turns.heard == [command(P2, 2)]


def test_one_partition_that_is_behind_keeps_no_other_back(turns: Turns) -> None:
    turns.signals.listen(P0, 1, 900_000)
    turns.signals.listen(P1, 2, 900_000)
    turns.reader.behind.add(S0)
    turns.come(command(P0, 1), command(P1, 2))
    turns.turn()
    assert turns.heard == [command(P1, 2)]


def test_trouble_that_comes_back_is_said_again(turns: Turns) -> None:
    with capture_logs() as lines:
        for trouble in (NO_LEADER, None, NO_LEADER):
            turns.reader.trouble = trouble
            turns.turn()
            turns.turn()
    assert said(lines) == [str(NO_LEADER), str(NO_LEADER)]


def test_a_partition_that_nobody_listens_to_any_more_is_not_looked_up(turns: Turns) -> None:
    turns.reader.errors[S0] = NO_LEADER
    turns.signals.listen(P0, 1, 900_000)
    turns.signals.listen(P2, 2, 900_000)
    turns.turn()
    turns.signals.forget(P0, 1)
    turns.turn()
    assert turns.reader.removed == [], "P2 is still listened to"
    turns.signals.forget(P2, 2)
    turns.reader.errors.clear()
    turns.turn(RETRY_SECONDS)
    assert turns.reader.removed == [S0]
    assert turns.reader.begun == []


def test_nothing_is_polled_often_but_right_after_a_signal_was_sent(turns: Turns) -> None:
    turns.turn()
    turns.signals.send(fact(P0, 1))
    turns.turn()
    turns.turn(EXPECTED_SECONDS)  # nobody answers
    turns.signals.send(fact(P0, 2))
    turns.turn()
    assert turns.reader.waited == [IDLE_SECONDS, BUSY_SECONDS, IDLE_SECONDS, IDLE_SECONDS]


def test_signals_that_nobody_acknowledges_are_spoken_of_and_sent_again(turns: Turns) -> None:
    turns.signals.send(fact(P0, 1))
    with capture_logs() as lines:
        turns.turn()
        turns.turn(UNSENT_SECONDS / 2)
        assert said(lines) == []
        turns.turn(UNSENT_SECONDS)
        turns.turn(UNSENT_SECONDS)
        assert len(said(lines)) == 1
    assert turns.writer.repeats == 4
    assert not turns.signals.flush(0)
    turns.writer.acknowledge()
    assert turns.signals.flush(0)


def test_a_signal_that_is_too_large_is_waited_for_no_longer_and_not_counted_as_sent(turns: Turns) -> None:
    turns.signals.send(fact(P0, 1))
    turns.turn()
    turns.writer.acknowledge(acknowledged=False)
    assert turns.signals.flush(0)
    labels = {"kind": "fact", "result": "sent"}
    assert not turns.metrics.registry.get_sample_value("extend_connector_signals_total", labels)


def test_what_is_sent_counts_as_not_acknowledged_before_the_thread_has_seen_it(turns: Turns) -> None:
    turns.signals.send(fact(P0, 1))
    assert not turns.signals.flush(0)


def test_an_error_that_nobody_foresaw_is_reported(turns: Turns) -> None:
    turns.reader.broken = ZeroDivisionError("a mistake")
    turns.signals.start(turns.heard.extend, lambda call: call())
    assert turns.signals.join(30.0)
    assert turns.fatal == [turns.reader.broken]
