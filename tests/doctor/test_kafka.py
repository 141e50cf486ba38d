"""What is said of the brokers, told by a fake that has whatever a case needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from connector.adapters.kafka.rights import Granted
from connector.core.diagnosis import Diagnosis, Health
from connector.core.errors import ConnectorError, TopicError
from connector.core.rights import needed_rights
from connector.core.topics import JOURNAL_SETTINGS, Purpose, TopicFacts, needed_bytes, plan_topics
from connector.doctor.kafka import DURABILITY, RIGHTS, TOPICS, examine_kafka

PLAN = plan_topics("invoices", ["documents"], "out")
SIZE = {"max.message.bytes": str(needed_bytes(PLAN, {})), "min.insync.replicas": "2"}
ALL = frozenset({"Read", "Write", "Describe", "DescribeConfigs"})


def right_topics() -> dict[str, TopicFacts]:
    made = {name: TopicFacts(6, name, {**SIZE, "cleanup.policy": "delete"}, 3) for name in PLAN.names()}
    made["documents"] = TopicFacts(6, "documents", {"cleanup.policy": "delete"}, 3)
    made[PLAN.journal] = TopicFacts(6, PLAN.journal, {**JOURNAL_SETTINGS, **SIZE}, 3)
    return made


@dataclass
class FakeKafka:
    """Brokers on which everything is right."""

    brokers: int | ConnectorError = 3
    granted: dict[str, Granted] = field(default_factory=lambda: dict.fromkeys(PLAN.names(), ALL))
    group: Granted | ConnectorError = ALL
    transactions: ConnectorError | None = None
    known: dict[str, TopicFacts] = field(default_factory=right_topics)
    servers: str = "kafka:9092"
    user: str | None = "invoices"

    def count_brokers(self) -> int:
        if isinstance(self.brokers, ConnectorError):
            raise self.brokers
        return self.brokers

    def rights_on_topics(self, names: tuple[str, ...]) -> Mapping[str, Granted]:
        return {name: granted for name, granted in self.granted.items() if name in names}

    def rights_on_group(self, group: str) -> Granted:
        assert group == "invoices"
        if isinstance(self.group, ConnectorError):
            raise self.group
        return self.group

    def refusal_of_transactions(self) -> ConnectorError | None:
        return self.transactions

    def topics(self, names: tuple[str, ...]) -> Mapping[str, TopicFacts]:
        assert not [name for name in names if self.granted.get(name) == frozenset()], "a denied topic spoils them all"
        return {name: self.known[name] for name in names if name in self.known}


def examine(kafka: FakeKafka) -> dict[tuple[str, str], Diagnosis]:
    return {(each.check, each.subject): each for each in examine_kafka(kafka, PLAN, "invoices")}


def bad(found: Mapping[tuple[str, str], Diagnosis]) -> dict[tuple[str, str], Health]:
    return {key: each.health for key, each in found.items() if each.health is not Health.OK}


def test_where_all_is_right_every_right_and_every_topic_has_a_line() -> None:
    found = examine(FakeKafka())
    assert bad(found) == {}
    assert {subject for check, subject in found if check == RIGHTS} == {
        need.subject for need in needed_rights(PLAN, "invoices")
    }
    assert {subject for check, subject in found if check == TOPICS} == set(PLAN.names())
    assert found[TOPICS, PLAN.journal].found.startswith("6 partitions x 3, cleanup.policy compact, min.insync.repl")


def test_without_a_broker_nothing_else_is_asked() -> None:
    found = list(examine_kafka(FakeKafka(brokers=TopicError(["No broker answered."])), PLAN, "invoices"))
    assert [each.health for each in found] == [Health.FAILED, *[Health.SKIPPED] * 3]
    assert found[0].found == "No broker answered."


@pytest.mark.parametrize("topic", PLAN.names())
def test_each_missing_right_on_a_topic_is_named_with_its_command(topic: str) -> None:
    (need,) = [each for each in needed_rights(PLAN, "invoices") if each.name == topic]
    for operation in need.operations:
        kafka = FakeKafka()
        kafka.granted[topic] = ALL - {operation}
        found = examine(kafka)
        told = found[RIGHTS, f"topic {topic}"]
        assert told.health is (Health.WARNING if operation == "DescribeConfigs" else Health.FAILED)
        assert told.found == f"{operation} not allowed."
        assert told.way_out.endswith(f" --allow-principal User:invoices --operation {operation} --topic {topic}")
        assert set(bad(found)) == {(RIGHTS, f"topic {topic}")}


def test_a_topic_that_may_not_be_described_hides_no_other() -> None:
    kafka = FakeKafka()
    kafka.granted[PLAN.journal] = frozenset()
    kafka.known["documents"] = replace(kafka.known["documents"], config={"max.message.bytes": "9000000"})
    found = examine(kafka)
    assert "or the topic does not exist" in found[RIGHTS, f"topic {PLAN.journal}"].found
    assert found[TOPICS, PLAN.journal].health is Health.SKIPPED
    assert found[DURABILITY, PLAN.journal].health is Health.SKIPPED
    assert found[TOPICS, "out.dead-letter"].health is Health.FAILED, "and is too small for such an input"
    assert "--entity-name out.dead-letter --add-config max.message.bytes=" in found[TOPICS, "out.dead-letter"].way_out
    assert "--bootstrap-server kafka:9092 " in found[TOPICS, "out.dead-letter"].way_out


def test_missing_rights_on_group_and_transactional_ids_are_told_with_their_own_options() -> None:
    found = examine(FakeKafka(group=frozenset(), transactions=TopicError(["denied"])))
    assert found[RIGHTS, "group invoices"].found == "Read, Describe not allowed."
    assert found[RIGHTS, "group invoices"].way_out.endswith("--operation Read --operation Describe --group invoices")
    assert found[RIGHTS, "transactional id invoices-*"].way_out.endswith(
        "--resource-pattern-type prefixed --transactional-id invoices-"
    )
    assert len(bad(found)) == 2


def test_a_question_that_has_no_answer_is_a_failure_of_that_check_alone() -> None:
    found = examine(FakeKafka(group=TopicError(["The group has no answer."])))
    assert bad(found) == {(RIGHTS, "group invoices"): Health.FAILED}
    silent = dict.fromkeys(PLAN.names())
    assert set(bad(examine(FakeKafka(granted=dict(silent)))).values()) == {Health.SKIPPED}, "old brokers tell nothing"


def test_a_topic_that_is_missing_is_told_once_as_missing() -> None:
    kafka = FakeKafka()
    del kafka.granted["documents"], kafka.known["documents"]
    found = examine(kafka)
    assert bad(found) == {(RIGHTS, "topic documents"): Health.SKIPPED, (TOPICS, "documents"): Health.FAILED}
    assert "topics --create --input" in found[TOPICS, "documents"].found


@pytest.mark.parametrize(
    ("topic", "changes", "words"),
    [
        (PLAN.journal, {"cleanup.policy": "delete"}, "is not compacted"),
        (PLAN.journal, {"cleanup.policy": "compact,delete"}, "deleted by age as well"),
        (PLAN.journal, {"max.message.bytes": "1048588"}, "takes 1048588 bytes"),
        (PLAN.signals, {"cleanup.policy": "compact"}, "is compacted"),
        ("out.processed", {"min.insync.replicas": "4"}, "min.insync.replicas=4 and 3 replicas: every write"),
        ("documents", {"min.insync.replicas": "4"}, "min.insync.replicas=4 and 3 replicas: every write"),
    ],
)
def test_a_setting_that_would_lose_or_stop_documents_fails(topic: str, changes: dict[str, str], words: str) -> None:
    kafka = FakeKafka()
    before = kafka.known[topic]
    kafka.known[topic] = replace(before, config={**(before.config or {}), **changes})
    found = examine(kafka)
    assert bad(found) == {(TOPICS, topic): Health.FAILED}
    assert words in found[TOPICS, topic].found
    assert found[TOPICS, topic].way_out.startswith("kafka-configs.sh --bootstrap-server kafka:9092 --alter ")


def test_partition_counts_that_differ_fail() -> None:
    kafka = FakeKafka()
    kafka.known[PLAN.signals] = replace(kafka.known[PLAN.signals], partitions=5)
    assert bad(examine(kafka)) == {(TOPICS, PLAN.signals): Health.FAILED}


def test_a_journal_that_a_lost_broker_would_take_is_a_warning_only_where_the_cluster_could_do_better() -> None:
    kafka = FakeKafka()
    for name in PLAN.names(Purpose.JOURNAL):
        before = kafka.known[name]
        kafka.known[name] = replace(before, replicas=1, config={**(before.config or {}), "min.insync.replicas": "1"})
    assert bad(examine(kafka)) == {(DURABILITY, PLAN.journal): Health.WARNING}
    kafka.brokers = 1
    found = examine(kafka)
    assert bad(found) == {}
    assert "1 replica on 1 broker" in found[DURABILITY, PLAN.journal].found
