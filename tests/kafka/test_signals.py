"""The signals thread on the real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from connector.adapters.kafka.properties import producer_properties, reader_properties
from connector.adapters.kafka.signals import SignalReader, SignalWriter
from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.config.kafka import Kafka as KafkaSection
from connector.config.kafka import Properties
from connector.core.record import OutRecord, Record
from connector.core.signals.signal import Signal
from connector.core.signals.signals_topic import SignalsTopic
from connector.signals import RETRY_SECONDS, Signals
from tests.kafka.cluster import Kafka, KafkaCluster
from tests.kafka.fixtures import CreateTopics, UniqueName, made_topics, one_broker
from tests.signals.contract import NAME, P0, PARTITIONS, Process, SignalsContract, fact, topic

SECONDS = 60.0


class BrokerStage:
    """A signals topic of this test's own."""

    def __init__(self, kafka: Kafka, name: str, properties: Mapping[str, str | int] | None = None) -> None:
        self.kafka = kafka
        self.section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers, properties=Properties(properties or {}))
        self.topic: SignalsTopic = topic(name)
        self._clock = Clock()
        self._running: list[Signals] = []
        self.fatal: list[BaseException] = []

    def process(self, hear: Callable[[Sequence[Signal]], None] | None = None) -> Process:
        section, metrics = self.section, Metrics()
        signals = Signals(
            name=NAME,
            topic=self.topic,
            open_reader=lambda: SignalReader(reader_properties(section, "signals", NAME)),
            open_writer=lambda done: SignalWriter(producer_properties(section, "signals", None, 1_000_000), done),
            fatal=self.fatal.append,
            metrics=metrics,
            clock=self._clock,
        )
        made = Process(signals, metrics)
        signals.start(hear or made.hear, lambda call: call())
        self._running.append(signals)
        return made

    def write(self, record: OutRecord, at_ms: int) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers})
        assert record.partition is not None
        producer.produce(record.topic, record.value, record.key, record.partition, timestamp=at_ms)
        assert producer.flush(SECONDS) == 0

    def now_ms(self) -> int:
        return self._clock.wall_ms()

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < deadline, "it took too long"
            assert not self.fatal
            time.sleep(0.02)

    @contextmanager
    def outage(self) -> Iterator[None]:
        if not isinstance(self.kafka, KafkaCluster):
            pytest.skip("this broker is not ours to stop")
        self.kafka.kill_node(1)
        try:
            yield
        finally:
            self.kafka.start_node(1)

    def close(self) -> None:
        for signals in self._running:
            signals.stop()
        for signals in self._running:
            assert signals.join(SECONDS)
        assert not self.fatal


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this module's own: one that is killed with the topics of all tests takes minutes to come back."""
    with one_broker(tmp_path_factory) as broker:
        yield broker


@pytest.fixture
def stage(kafka: Kafka, create_topics: CreateTopics) -> Iterator[BrokerStage]:
    made = BrokerStage(kafka, create_topics("signals", partitions=PARTITIONS)[0])
    yield made
    made.close()


class TestSignals(SignalsContract):
    """And what only a broker can show."""

    def test_an_open_transaction_keeps_nothing_back(self, stage: BrokerStage, unique_name: UniqueName) -> None:
        writer = Producer(
            {"bootstrap.servers": stage.kafka.bootstrap_servers, "transactional.id": unique_name("writer")},
        )
        writer.init_transactions(SECONDS)
        writer.begin_transaction()
        opened = stage.topic.record(fact(P0, 1), stage.now_ms())
        writer.produce(opened.topic, opened.value, opened.key, 0)
        assert writer.flush(SECONDS) == 0
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        owner.signals.send(fact(P0, 2))
        stage.until(lambda: owner.heard == [fact(P0, 1), fact(P0, 2)])
        writer.abort_transaction(SECONDS)

    def test_a_topic_that_is_made_late_is_waited_for(self, kafka: Kafka, unique_name: UniqueName) -> None:
        # Otherwise 30 s pass before the producer believes that a topic is missing, and refuses the record.
        stage = BrokerStage(kafka, unique_name("late"), {"topic.metadata.propagation.max.ms": 500})
        with capture_logs() as lines:
            owner = stage.process()
            owner.signals.listen(P0, 1, stage.now_ms())
            owner.signals.send(fact(P0, 1))
            stage.until(lambda: any(line["event"] == "signals_wait" for line in lines))
            assert not owner.signals.flush(3 * RETRY_SECONDS)
            made_topics(
                AdminClient({"bootstrap.servers": kafka.bootstrap_servers}), (stage.topic.name,), PARTITIONS, {}
            )
            stage.until(lambda: owner.heard == [fact(P0, 1)])
        assert owner.signals.flush(SECONDS)
        stage.close()
        said = [line["reason"] for line in lines if line["event"] == "signals_wait"]
        assert stage.topic.name in said[0]
        assert len(said) == len(set(said)), "said again"

    def test_a_topic_that_is_made_again_is_heard_and_written_again(self, stage: BrokerStage) -> None:
        owner = stage.process()
        owner.signals.listen(P0, 1, stage.now_ms())
        for offset in range(3):
            owner.signals.send(fact(P0, offset))
        stage.until(lambda: len(owner.heard) == 3)
        admin = AdminClient({"bootstrap.servers": stage.kafka.bootstrap_servers})
        admin.delete_topics([stage.topic.name])[stage.topic.name].result(SECONDS)
        time.sleep(1.0)  # until it is gone from the broker, whatever this client has heard
        made_topics(admin, (stage.topic.name,), PARTITIONS, {})
        owner.signals.send(fact(P0, 9))
        stage.until(lambda: fact(P0, 9) in owner.heard)
        assert owner.signals.flush(SECONDS)


@pytest.fixture
def outcomes() -> list[tuple[str, bool]]:
    return []


@pytest.fixture
def writer(stage: BrokerStage, outcomes: list[tuple[str, bool]]) -> Iterator[SignalWriter]:
    properties = producer_properties(stage.section, "signals", None, 5_000)
    made = SignalWriter(properties, lambda *outcome: outcomes.append(outcome))
    yield made
    made.close()


def test_a_producer_that_is_broken_is_replaced_and_loses_nothing(
    stage: BrokerStage,
    writer: SignalWriter,
    outcomes: list[tuple[str, bool]],
) -> None:
    for offset in range(3):
        writer.send(stage.topic.record(fact(P0, offset), stage.now_ms()), f"fact {offset}")
    broken = KafkaError(KafkaError._FATAL, "out of order", fatal=True)
    writer._delivered(0, broken, Message())
    writer.repeat()

    def all_acknowledged() -> bool:
        writer.serve()
        return writer.waiting == 0

    stage.until(all_acknowledged)
    writer.repeat()  # and nothing is left over
    assert sorted(outcomes) == [(f"fact {offset}", True) for offset in range(3)]
    owner = stage.process()
    owner.signals.listen(P0, 1, stage.now_ms())
    stage.until(lambda: {fact(P0, offset) for offset in range(3)} <= set(owner.heard))


def test_a_record_that_no_topic_takes_is_given_up(
    stage: BrokerStage,
    writer: SignalWriter,
    outcomes: list[tuple[str, bool]],
) -> None:
    writer.send(OutRecord(stage.topic.name, b"k", b"x" * 10_000, partition=0), "reply")
    assert outcomes == [("reply", False)]
    assert writer.waiting == 0


def test_a_reader_that_has_not_caught_up_goes_never_forward(stage: BrokerStage) -> None:
    now_ms = stage.now_ms()
    for offset in range(6):
        stage.write(stage.topic.record(fact(P0, offset), now_ms), now_ms)
    reader = SignalReader(reader_properties(stage.section, "signals", NAME))
    place = stage.topic.of(P0)
    records: list[Record] = []

    def read(number: int) -> bool:
        records.extend(reader.read(0.1))
        return len(records) >= number

    try:
        reader.begin({place: 0})
        reader.begin({place: 4})
        stage.until(lambda: read(6))
        assert [record.offset for record in records] == [0, 1, 2, 3, 4, 5]
        reader.begin({place: 2})
        stage.until(lambda: read(10))
        assert [record.offset for record in records[6:]] == [2, 3, 4, 5]
    finally:
        reader.close()
