"""The admin side, the plain producer and the assigned reader on a real broker."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Consumer, Producer

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.producing import RecordProducer
from connector.adapters.kafka.properties import (
    client_properties,
    consumer_properties,
    producer_properties,
    reader_properties,
)
from connector.adapters.kafka.reading import AssignedReader
from connector.core.errors import ConfigurationError, TopicError
from connector.core.record import OutRecord, Partition, Record
from connector.core.topics import TopicSpec, missing, plan_topics, problems
from tests.kafka.cluster import Kafka, KafkaCluster
from tests.kafka.fixtures import CreateTopics, UniqueName


@dataclass(frozen=True)
class Settings:
    """The section `kafka` of a configuration."""

    bootstrap_servers: str
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    password: None = None
    transaction_timeout: float = 15.0
    session_timeout: float = 20.0


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    return Settings(kafka.bootstrap_servers)


@pytest.fixture
def cluster(settings: Settings) -> Iterator[Cluster]:
    with Cluster(client_properties(settings, "test-admin")) as cluster:
        yield cluster


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_the_topics_that_are_made_have_no_problems(cluster: Cluster, unique_name: UniqueName) -> None:
    plan = plan_topics(unique_name("c"), [unique_name("input")], unique_name("out"))
    assert cluster.topics(plan.names()) == {}
    cluster.create_topics(missing(plan, {}, inputs=True, partitions=3))
    facts = cluster.topics(plan.names())
    assert problems(plan, facts) == []
    assert {found.partitions for found in facts.values()} == {3}
    journal = facts[plan.journal].config or {}
    assert journal["cleanup.policy"] == "compact"
    assert journal["min.cleanable.dirty.ratio"] == "0.1"
    assert journal["max.message.bytes"] == str(2 * 1_048_588 + 65_536)
    assert (facts[plan.signals].config or {})["retention.ms"] == "259200000"
    # Somebody else made one meanwhile: it stays as it is.
    cluster.create_topics([TopicSpec(plan.journal, partitions=7)])
    assert cluster.topics([plan.journal])[plan.journal] == facts[plan.journal]


def test_an_id_names_a_topic_and_not_its_name(
    cluster: Cluster,
    kafka: Kafka,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("input")
    before = cluster.topic_ids([name, "no-such-topic"])
    assert set(before) == {name}
    _delete(kafka, name)
    cluster.create_topics([TopicSpec(name, partitions=1)])
    assert cluster.topic_ids([name])[name] != before[name]


def _delete(kafka: Kafka, name: str) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - the one test that deletes

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.delete_topics([name])[name].result(timeout=20)
    until = time.monotonic() + 20
    while name in admin.list_topics(timeout=5).topics and time.monotonic() < until:
        time.sleep(0.05)


def test_every_refused_topic_is_told_with_its_reason(cluster: Cluster, unique_name: UniqueName) -> None:
    with pytest.raises(TopicError) as caught:
        cluster.create_topics(
            [TopicSpec("no spaces"), TopicSpec(unique_name("rf"), partitions=1, replication_factor=99)],
        )
    first, second = caught.value.messages
    assert "no spaces" in first
    assert "99" in second


def test_a_missing_partition_is_named(cluster: Cluster, create_topics: CreateTopics) -> None:
    (name,) = create_topics("input", partitions=2)
    with pytest.raises(TopicError, match=f"partition 2 of topic {name} does not exist"):
        cluster.log_ends([Partition(name, 2)], committed=True)


def test_an_open_transaction_stands_between_the_two_ends(
    cluster: Cluster,
    settings: Settings,
    create_topics: CreateTopics,
    unique_name: UniqueName,
) -> None:
    (name,) = create_topics("journal")
    partition = Partition(name, 0)
    producer = Producer(producer_properties(settings, "t", unique_name("tx"), 2_000_000))
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(name, b"open", partition=0)
    producer.flush(30)
    assert cluster.log_ends([partition], committed=True) == {partition: 0}
    assert cluster.log_ends([partition], committed=False) == {partition: 1}
    assert cluster.log_starts([partition]) == {partition: 0}
    producer.abort_transaction(30)
    producer.close()


def test_an_instant_finds_the_first_record_that_is_not_older(
    cluster: Cluster,
    settings: Settings,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("input")
    producer = Producer(producer_properties(settings, "t", None, 2_000_000))
    for timestamp in (1_000_000, 2_000_000, 3_000_000):
        producer.produce(name, b"x", partition=0, timestamp=timestamp)
    producer.flush(30)
    producer.close()
    partition = Partition(name, 0)
    found = [cluster.offsets_at([partition], instant)[partition] for instant in (1, 2_000_000, 2_000_001, 9_000_000)]
    # Beyond the youngest record: the end.
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_are_told_by_their_client_ids(
    cluster: Cluster,
    kafka: Kafka,
    protocol: str,
    create_topics: CreateTopics,
    unique_name: UniqueName,
) -> None:
    (name,) = create_topics("input")
    group = unique_name("group")
    settings = Settings(kafka.bootstrap_servers, {"group.protocol": protocol})
    assert members_soon(cluster, group) == frozenset()
    consumer = Consumer(consumer_properties(settings, "invoices-pod-7", group))
    consumer.subscribe([name])
    until = time.monotonic() + 30
    while not consumer.assignment() and time.monotonic() < until:
        consumer.poll(0.1)
    assert members_soon(cluster, group) == {"invoices-pod-7"}
    consumer.close()
    assert members_soon(cluster, group) == frozenset()


def members_soon(cluster: Cluster, group: str) -> frozenset[str]:
    """The members, once the group's coordinator is ready to say; a take-over asks again likewise."""
    until = time.monotonic() + 30
    while True:
        try:
            return frozenset(cluster.members(group))
        except TopicError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_a_cluster_that_is_not_there_is_named_in_time() -> None:
    servers = f"127.0.0.1:{_free_port()}"
    with Cluster(client_properties(Settings(servers), "t"), timeout=1.0) as cluster:
        began = time.monotonic()
        with pytest.raises(TopicError, match=f"bootstrap_servers \\({servers}\\).*Connection refused"):
            cluster.topics(["documents"])
        with pytest.raises(TopicError):
            cluster.members("invoices")
        assert time.monotonic() - began < 10


def test_each_topic_id_is_not_waited_for_longer_than_the_other_answers_that_a_restore_needs() -> None:
    with Cluster(client_properties(Settings(f"127.0.0.1:{_free_port()}"), "t"), timeout=60) as cluster:
        began = time.monotonic()
        answers = cluster.each_topic_id(["documents"])
        assert isinstance(answers["documents"], TopicError)
        assert time.monotonic() - began < 30


def test_a_host_that_is_not_known_is_named() -> None:
    settings = Settings("no-such-host.invalid:9092")
    with (
        Cluster(client_properties(settings, "t"), timeout=1.0) as cluster,
        pytest.raises(TopicError, match=r"no-such-host\.invalid:9092.*is not known"),
    ):
        cluster.topics(["documents"])


def test_a_property_that_does_not_exist_is_a_configuration_error() -> None:
    settings = Settings("127.0.0.1:9", {"nonsense.timeout": 1})
    with pytest.raises(ConfigurationError, match=r"kafka.properties: .*nonsense.timeout"):
        Cluster(client_properties(settings, "t"))


def _await_leaders(cluster: Cluster, partitions: list[Partition]) -> None:
    """A broker may refuse what it leads since a moment ago."""
    until = time.monotonic() + 20
    while any(isinstance(end, TopicError) for end in cluster.each_log_end(partitions, committed=False).values()):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_partition_that_is_not_there_keeps_no_answer_from_the_others(
    cluster: Cluster,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("input", partitions=2)
    here, missing_one = [Partition(name, 0), Partition(name, 1)], Partition(name, 2)
    _await_leaders(cluster, here)
    for answers in (
        cluster.each_log_end([here[0], missing_one, here[1]], committed=False),
        cluster.each_log_start([here[0], missing_one, here[1]]),
        cluster.each_offset_at([here[0], missing_one, here[1]], 1_000),
    ):
        assert [answers[each] for each in here] == [0, 0]
        assert f"partition 2 of topic {name} does not exist" in str(answers[missing_one])


def test_a_partition_without_a_leader_keeps_no_answer_from_the_others(
    three_node_kafka: KafkaCluster,
    unique_name: UniqueName,
) -> None:
    name = unique_name("one-copy")
    with Cluster(client_properties(Settings(three_node_kafka.bootstrap_servers), "t")) as cluster:
        cluster.create_topics([TopicSpec(name, partitions=3, replication_factor=1)])
        partitions = [Partition(name, number) for number in range(3)]
        _await_leaders(cluster, partitions)
        dead = partitions[1]
        victim = three_node_kafka.leader(name, dead.number)
        three_node_kafka.kill_node(victim)
        try:
            until = time.monotonic() + 60
            while three_node_kafka.leader(name, dead.number) != -1:
                assert time.monotonic() < until
                time.sleep(0.1)
            began = time.monotonic()
            answers = cluster.each_log_end(partitions, committed=False)
            assert {p for p, answer in answers.items() if isinstance(answer, TopicError)} == {dead}
            assert f"artition {dead.number} of topic {name}" in str(answers[dead])
            assert time.monotonic() - began < 12
            for ask in (cluster.each_log_start(partitions), cluster.each_offset_at(partitions, 1_000)):
                assert {p for p, answer in ask.items() if isinstance(answer, TopicError)} == {dead}
            with pytest.raises(
                TopicError, match=f"artition {dead.number} of topic {name}"
            ):  # and never a number: it would mean "empty"
                cluster.log_ends([dead], committed=False)
        finally:
            three_node_kafka.start_node(victim)


def test_a_dead_broker_that_is_taken_for_the_controller_keeps_no_topic_back(
    three_node_kafka: KafkaCluster,
    unique_name: UniqueName,
) -> None:
    name = unique_name("described")
    with Cluster(client_properties(Settings(three_node_kafka.bootstrap_servers), "t")) as cluster:
        cluster.create_topics([TopicSpec(name, partitions=1, replication_factor=3)])
        _await_leaders(cluster, [Partition(name, 0)])
        victim = cluster._admin.list_topics(timeout=20).controller_id
        assert cluster.topics([name]).keys() == {name}
        three_node_kafka.kill_node(victim)
        try:
            assert cluster.topics([name]).keys() == {name}
        finally:
            three_node_kafka.start_node(victim)


def _read(reader: AssignedReader, ends: Mapping[Partition, int]) -> list[Record]:
    records: list[Record] = []
    until = time.monotonic() + 30
    while not reader.has_passed(ends) and time.monotonic() < until:
        records.extend(reader.read(0.2))
    return records


def test_what_is_sent_can_be_read_with_everything_on_it(
    cluster: Cluster,
    settings: Settings,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("input", partitions=2)
    producer = RecordProducer(producer_properties(settings, "t", None, 2_000_000))
    headers = (("a", b"1"), ("a", b"2"), ("empty", b""), ("none", None))
    producer.send(OutRecord(name, b"key", b"value", headers, partition=1), "first")
    producer.send(OutRecord(name, None, None, partition=0), "second")
    sent = producer.flush()
    producer.close()
    assert (sent.acked, sent.refused) == (2, [])
    partitions = [Partition(name, 0), Partition(name, 1)]
    ends = cluster.log_ends(partitions, committed=True)
    reader = AssignedReader(reader_properties(settings, "t", "t"), cluster.log_starts(partitions))
    found = {record.partition.number: record for record in _read(reader, ends)}
    reader.close()
    assert (found[1].key, found[1].value, found[1].headers) == (b"key", b"value", headers)
    assert (found[0].key, found[0].value) == (None, None)
    assert found[1].timestamp is not None


def test_records_that_the_topic_refuses_are_told_by_label(
    settings: Settings,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("input", config={"max.message.bytes": "20000"})
    properties = {**producer_properties(settings, "t", None, 100_000), "compression.type": "none"}
    producer = RecordProducer(properties)
    producer.send(OutRecord(name, None, b"x" * 50_000), "refused by the broker")
    producer.send(OutRecord(name, None, b"x" * 500_000), "refused by the client")
    producer.flush()
    producer.send(OutRecord(name, None, b"small"), "fits")
    sent = producer.flush()
    producer.close()
    assert sent.acked == 1
    assert {label for label, _ in sent.refused} == {"refused by the broker", "refused by the client"}
    assert all("too large" in str(error) and name in str(error) for _, error in sent.refused)


def test_aborted_records_are_not_read_and_do_not_hold_up_the_end(
    cluster: Cluster,
    settings: Settings,
    create_topics: CreateTopics,
    unique_name: UniqueName,
) -> None:
    (name,) = create_topics("results")
    producer = Producer(producer_properties(settings, "t", unique_name("tx"), 2_000_000))
    producer.init_transactions(30)
    for value, commit in ((b"1", True), (b"2", False), (b"3", True)):
        producer.begin_transaction()
        producer.produce(name, value, partition=0)
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    producer.close()
    partition = Partition(name, 0)
    # The markers reach the log a moment after the commit has answered.
    until = time.monotonic() + 20
    while (ends := cluster.log_ends([partition], committed=True))[partition] < 6 and time.monotonic() < until:
        time.sleep(0.05)
    assert ends == {partition: 6}
    reader = AssignedReader(reader_properties(settings, "t", "t"), {partition: 0})
    assert [record.value for record in _read(reader, ends)] == [b"1", b"3"]
    assert reader.has_passed(ends)
    reader.close()


def test_records_that_were_deleted_meanwhile_are_an_error_and_no_gap(
    settings: Settings,
    create_topics: CreateTopics,
) -> None:
    (name,) = create_topics("results")
    reader = AssignedReader(reader_properties(settings, "t", "t"), {Partition(name, 0): 500})
    with pytest.raises(TopicError, match=f"partition 0 of topic {name}"):
        _read(reader, {Partition(name, 0): 501})
    reader.close()
