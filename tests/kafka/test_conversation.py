"""Commands and their replies on the real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import Producer

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.conversation import Conversation
from connector.adapters.kafka.properties import client_properties, producer_properties, reader_properties
from connector.config.kafka import Kafka as KafkaSection
from connector.core.errors import TopicError
from connector.core.signals.signal import Action, Command, Reply, ReplyOutcome, Signal
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.tag import Tag
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import CreateTopics, UniqueName
from tests.kafka.test_signals import BrokerStage
from tests.signals.contract import NAME, P0, PARTITIONS, topic

SECONDS = 60.0
TAG = Tag(NAME, P0, 7, "a" * 22)
COMMAND = Command("command-1", TAG, "nonce-1", Action.ADOPT, "run_1")
SOON = 2.0
"""How long answers are waited for that do not come."""

Ask = Callable[..., list[Reply]]


def reply(outcome: ReplyOutcome, message: str = "", command: str = COMMAND.id) -> Reply:
    return Reply(command, TAG, outcome, message)


ACCEPTED, DONE = reply(ReplyOutcome.ACCEPTED), reply(ReplyOutcome.DONE, "adopted run_1")


@pytest.fixture
def stage(kafka: Kafka, create_topics: CreateTopics) -> Iterator[BrokerStage]:
    made = BrokerStage(kafka, create_topics("signals", partitions=PARTITIONS)[0])
    yield made
    made.close()


def conversation(kafka: Kafka, signals: SignalsTopic, cluster: Cluster) -> Conversation:
    section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers)
    return Conversation(
        topic=signals,
        cluster=cluster,
        reading=reader_properties(section, "ask", NAME),
        writing=producer_properties(section, "ask", None, 1_000_000),
    )


@pytest.fixture
def ask(kafka: Kafka, stage: BrokerStage) -> Iterator[Ask]:
    section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers)
    with Cluster(client_properties(section, "ask")) as cluster:
        made = conversation(kafka, stage.topic, cluster)
        yield lambda **seconds: list(made.ask(COMMAND, **seconds))


class Owner:
    """Answers every command with transactions, as the owner of a document does."""

    def __init__(self, stage: BrokerStage, transactional_id: str) -> None:
        properties = {"bootstrap.servers": stage.kafka.bootstrap_servers, "transactional.id": transactional_id}
        self.heard: list[Command] = []
        self._topic = stage.topic
        self._producer = Producer(properties)
        self._producer.init_transactions(SECONDS)

    def write(self, *replies: Reply, commit: bool = True) -> None:
        """One transaction."""
        self._producer.begin_transaction()
        for each in replies:
            record = self._topic.record(each, 0)
            assert record.partition is not None
            self._producer.produce(record.topic, record.value, record.key, record.partition)
        assert self._producer.flush(SECONDS) == 0
        if commit:
            self._producer.commit_transaction(SECONDS)
        else:
            self._producer.abort_transaction(SECONDS)

    def answers(self, stage: BrokerStage, answer: Callable[[], None]) -> None:
        def hear(signals: Sequence[Signal]) -> None:
            for signal in signals:
                if isinstance(signal, Command):
                    self.heard.append(signal)
                    answer()

        stage.process(hear).signals.listen(P0, 1, stage.now_ms())


@pytest.fixture
def owner(stage: BrokerStage, unique_name: UniqueName) -> Owner:
    return Owner(stage, unique_name("owner"))


def test_committed_replies_to_this_command_are_seen_and_no_others(stage: BrokerStage, owner: Owner, ask: Ask) -> None:
    owner.write(DONE)  # to the same command, when it was sent before

    def answer() -> None:
        owner.write(reply(ReplyOutcome.REFUSED, "of a transaction that was aborted"), commit=False)
        owner.write(reply(ReplyOutcome.DONE, command="another"), ACCEPTED)
        owner.write(DONE)

    owner.answers(stage, answer)
    assert ask(wait=SECONDS, settle=SECONDS) == [ACCEPTED, DONE]
    assert owner.heard == [COMMAND]


def test_a_refusal_is_the_end(stage: BrokerStage, owner: Owner, ask: Ask) -> None:
    refused = reply(ReplyOutcome.REFUSED, "not parked")
    owner.answers(stage, lambda: owner.write(refused, DONE))
    assert ask(wait=SECONDS, settle=SECONDS) == [refused]


def test_without_an_owner_there_is_no_reply(ask: Ask) -> None:
    assert ask(wait=SOON) == []


def test_an_accepted_command_is_waited_for_as_long_as_it_may_take(stage: BrokerStage, owner: Owner, ask: Ask) -> None:
    owner.answers(stage, lambda: owner.write(ACCEPTED))
    assert ask(wait=SECONDS, settle=SOON) == [ACCEPTED]


def test_a_reply_of_an_open_transaction_is_not_seen(stage: BrokerStage, owner: Owner, ask: Ask) -> None:
    def answer() -> None:
        owner._producer.begin_transaction()
        record = stage.topic.record(DONE, 0)
        owner._producer.produce(record.topic, record.value, record.key, 0)
        assert owner._producer.flush(SECONDS) == 0

    owner.answers(stage, answer)
    assert ask(wait=SOON * 2) == []
    assert owner.heard == [COMMAND]
    owner._producer.abort_transaction(SECONDS)


def test_a_signals_topic_that_is_not_there_is_named(kafka: Kafka, unique_name: UniqueName) -> None:
    missing = topic(unique_name("missing"))
    section = KafkaSection(bootstrap_servers=kafka.bootstrap_servers)
    with (
        Cluster(client_properties(section, "ask"), timeout=5.0) as cluster,
        pytest.raises(TopicError, match=missing.name),
    ):
        list(conversation(kafka, missing, cluster).ask(COMMAND, SOON))
