"""What every signals topic does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from connector.adapters.metrics import Metrics
from connector.core.formats.framing import Codec
from connector.core.record import OutRecord, Partition
from connector.core.signals.signal import (
    Action,
    Command,
    Doorbell,
    Fact,
    FactOutcome,
    Reply,
    ReplyOutcome,
    Signal,
    SignalCodec,
)
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.tag import ANY_TOPIC, Tag
from connector.schema_files import load_schema
from connector.signals import LOOK_BACK_MS

NAME = "invoices"
P0, P1, P2 = (Partition("documents", number) for number in range(3))
PARTITIONS = 2
"""P0 and P2 share a signals partition."""
MINUTE = 60_000

codec = SignalCodec(Codec(load_schema("signal")))


def topic(name: str = "invoices.signals") -> SignalsTopic:
    return SignalsTopic(name, PARTITIONS, codec)


def fact(partition: Partition, offset: int, name: str = NAME) -> Fact:
    return Fact(Tag(name, partition, offset, "a" * 22), f"nonce-{offset}", FactOutcome.REFUSED)


def command(partition: Partition, offset: int) -> Command:
    return Command(f"c-{offset}", fact(partition, offset).tag, f"nonce-{offset}", Action.DROP)


def reply(to: Command) -> Reply:
    return Reply(to.id, to.tag, ReplyOutcome.DONE, "It is a dead letter now.")


class AnySignals(Protocol):
    """The methods under test."""

    def start(self, hear: Callable[[Sequence[Signal]], None], post: Callable[[Callable[[], None]], None]) -> None: ...
    def listen(self, partition: Partition, assignment: int, since_ms: int) -> None: ...
    def forget(self, partition: Partition, assignment: int) -> None: ...
    def send(self, signal: Signal) -> None: ...
    def flush(self, timeout: float) -> bool: ...
    def stop(self) -> None: ...
    def join(self, timeout: float) -> bool: ...


@dataclass
class Process:
    """One process, and what it has heard."""

    signals: AnySignals
    metrics: Metrics
    heard: list[Signal] = field(default_factory=list)
    pieces: list[Sequence[Signal]] = field(default_factory=list)

    def hear(self, signals: Sequence[Signal]) -> None:
        self.heard += signals
        self.pieces.append(signals)

    def counted(self, kind: str, result: str) -> float:
        labels = {"kind": kind, "result": result}
        return self.metrics.registry.get_sample_value("extend_connector_signals_total", labels) or 0.0


class Stage(Protocol):
    """Where the contract is played."""

    @property
    def topic(self) -> SignalsTopic: ...
    def process(self) -> Process:
        """A process that runs."""

    def write(self, record: OutRecord, at_ms: int) -> None:
        """Somebody else's record, with its timestamp; it is there when this returns."""

    def now_ms(self) -> int: ...
    def until(self, true: Callable[[], bool]) -> None:
        """Let time pass until it is true; fails when it takes too long."""

    def outage(self) -> AbstractContextManager[None]:
        """The brokers are away."""


class SignalsContract:
    """Each fact is written to a partition in order: that a later one was heard and an earlier not says it all."""

    def test_what_one_process_sends_another_hears(self, stage: Stage) -> None:
        sender, owner = stage.process(), stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        sender.signals.send(fact(P0, 1))
        stage.until(lambda: owner.heard == [fact(P0, 1)])
        assert sender.signals.flush(30.0)
        assert sender.counted("fact", "sent") == 1
        assert sender.heard == []

    def test_listening_begins_five_minutes_before_the_instant_and_no_earlier(self, stage: Stage) -> None:
        since = stage.now_ms() - 10 * MINUTE
        for offset, at_ms in enumerate((since - LOOK_BACK_MS - 1, since - LOOK_BACK_MS, since - 1, since + 1)):
            stage.write(stage.topic.record(fact(P0, offset), at_ms), at_ms)
        owner = stage.process()
        owner.signals.listen(P0, 1, since)
        stage.until(lambda: len(owner.heard) >= 3)
        assert owner.heard == [fact(P0, 1), fact(P0, 2), fact(P0, 3)]

    def test_where_no_signal_is_that_young_the_next_one_is_heard(self, stage: Stage) -> None:
        long_ago = stage.now_ms() - 60 * MINUTE
        stage.write(stage.topic.record(fact(P0, 1), long_ago), long_ago)
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.send(fact(P0, 2))
        stage.until(lambda: owner.heard == [fact(P0, 2)])

    def test_a_later_listener_hears_what_has_passed_before_it_listened(self, stage: Stage) -> None:
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        for each in (fact(P0, 1), fact(P2, 2), fact(P0, 3)):
            owner.signals.send(each)
        stage.until(lambda: fact(P0, 3) in owner.heard)
        assert fact(P2, 2) not in owner.heard, "nobody listened to it"
        owner.signals.listen(P2, 2, stage.now_ms())
        stage.until(lambda: fact(P2, 2) in owner.heard)

    def test_a_later_listener_may_begin_earlier(self, stage: Stage) -> None:
        long_ago = stage.now_ms() - 60 * MINUTE
        stage.write(stage.topic.record(fact(P2, 1), long_ago), long_ago)
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.send(fact(P0, 2))
        stage.until(lambda: owner.heard == [fact(P0, 2)])
        owner.signals.listen(P2, 2, long_ago)
        stage.until(lambda: fact(P2, 1) in owner.heard)

    def test_a_listener_on_another_signals_partition_costs_the_first_nothing(self, stage: Stage) -> None:
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.send(fact(P0, 1))
        stage.until(lambda: owner.heard == [fact(P0, 1)])
        owner.signals.listen(P1, 2, stage.now_ms())
        owner.signals.send(fact(P1, 2))
        owner.signals.send(fact(P0, 3))
        stage.until(lambda: {fact(P1, 2), fact(P0, 3)} <= set(owner.heard))
        assert owner.heard.count(fact(P0, 1)) == 1

    def test_a_partition_that_is_forgotten_is_not_heard_any_more(self, stage: Stage) -> None:
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.listen(P2, 2, stage.now_ms())
        owner.signals.send(fact(P0, 1))
        stage.until(lambda: fact(P0, 1) in owner.heard)
        owner.signals.forget(P0, 1)
        owner.signals.send(fact(P0, 3))
        owner.signals.send(fact(P2, 4))
        stage.until(lambda: fact(P2, 4) in owner.heard)
        assert fact(P0, 3) not in owner.heard

    def test_a_partition_that_comes_back_hears_what_was_said_meanwhile(self, stage: Stage) -> None:
        owner, other = stage.process(), stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        other.signals.send(fact(P0, 1))
        stage.until(lambda: fact(P0, 1) in owner.heard)
        owner.signals.forget(P0, 1)
        other.signals.send(fact(P0, 2))
        assert other.signals.flush(30.0)
        owner.signals.listen(P0, 2, stage.now_ms())
        stage.until(lambda: fact(P0, 2) in owner.heard)

    def test_the_end_of_an_older_assignment_leaves_a_newer_one_alone(self, stage: Stage) -> None:
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.listen(P0, 2, stage.now_ms())
        owner.signals.forget(P0, 1)
        owner.signals.send(fact(P0, 1))
        stage.until(lambda: fact(P0, 1) in owner.heard)

    def test_a_command_of_the_past_is_heard_together_with_its_reply(self, stage: Stage) -> None:
        asked = command(P0, 1)
        sender, owner = stage.process(), stage.process()
        sender.signals.send(asked)
        for offset in range(2, 1_500):
            sender.signals.send(fact(P0, offset))
        sender.signals.send(reply(asked))
        assert sender.signals.flush(30.0)
        owner.signals.listen(P0, 1, stage.now_ms())
        stage.until(lambda: reply(asked) in owner.heard)
        (piece,) = [piece for piece in owner.pieces if asked in piece]
        assert reply(asked) in piece
        owner.signals.send(command(P0, 2))
        stage.until(lambda: command(P0, 2) in owner.heard)

    def test_a_doorbell_that_shows_the_number_alone_is_for_whoever_has_a_partition_of_that_number(
        self, stage: Stage
    ) -> None:
        now_ms = stage.now_ms()
        bells = [Doorbell(Tag(NAME, Partition(ANY_TOPIC, p.number), 0, "a" * 22), "edr_1") for p in (P2, P0)]
        for bell in bells:
            stage.write(stage.topic.record(bell, now_ms), now_ms)
        owner = stage.process()
        owner.signals.listen(P0, 1, now_ms)
        stage.until(lambda: bool(owner.heard))
        assert owner.heard == bells[1:]

    def test_foreign_and_unreadable_records_are_counted_and_not_heard(self, stage: Stage) -> None:
        now_ms = stage.now_ms()
        stage.write(stage.topic.record(fact(P0, 1, name="payslips"), now_ms), now_ms)
        for value in (b"nonsense", None):
            stage.write(OutRecord(stage.topic.name, b"k", value, partition=0), now_ms)
        stage.write(stage.topic.record(fact(P0, 2), now_ms), now_ms)
        owner = stage.process()
        owner.signals.listen(P0, 1, now_ms)
        stage.until(lambda: owner.heard == [fact(P0, 2)])
        assert owner.counted("fact", "foreign") == 1
        assert owner.counted("other", "unreadable") == 2

    def test_what_is_sent_while_the_brokers_are_away_is_heard_when_they_are_back(self, stage: Stage) -> None:
        sender, owner = stage.process(), stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        sender.signals.send(fact(P0, 1))
        stage.until(lambda: owner.heard == [fact(P0, 1)])
        with stage.outage():
            for offset in range(2, 50):
                sender.signals.send(fact(P0, offset))
            assert not sender.signals.flush(1.0)
            owner.signals.listen(P1, 2, stage.now_ms())
        sender.signals.send(fact(P1, 50))
        stage.until(lambda: {fact(P0, offset) for offset in range(1, 50)} <= set(owner.heard))
        stage.until(lambda: fact(P1, 50) in owner.heard)
        assert sender.signals.flush(30.0)
        assert sender.counted("fact", "sent") == 50

    @pytest.mark.parametrize("sent", [0, 3])
    def test_a_stopped_one_has_ended(self, stage: Stage, sent: int) -> None:
        process = stage.process()
        for offset in range(sent):
            process.signals.send(fact(P0, offset))
        assert process.signals.flush(30.0)
        process.signals.stop()
        assert process.signals.join(30.0)
