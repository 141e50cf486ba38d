"""The brokers: whether they answer, what they allow, and whether the topics are as they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from connector.adapters.kafka.rights import Granted
from connector.core.diagnosis import Diagnosis, Health
from connector.core.durability import durability, unwritable
from connector.core.errors import ConnectorError, TopicError
from connector.core.rights import Need, Resource, grant_command, is_vital, missing_rights, needed_rights
from connector.core.topics import Plan, TopicFacts, findings, warnings

BROKERS, RIGHTS, TOPICS, DURABILITY = "kafka.brokers", "kafka.rights", "kafka.topics", "kafka.durability"

_MEND = " Mend it: "


class Kafka(Protocol):
    """What is asked of the brokers. Everything may raise ``ConnectorError``."""

    @property
    def servers(self) -> str:
        """``host:port``, several with commas."""

    @property
    def user(self) -> str | None:
        """The name that the client logs in with."""

    def count_brokers(self) -> int:
        """How many brokers there are."""

    def rights_on_topics(self, names: tuple[str, ...]) -> Mapping[str, Granted]:
        """As ``Rights.on_topics``."""

    def rights_on_group(self, group: str) -> Granted:
        """As ``Rights.on_group``."""

    def refusal_of_transactions(self) -> ConnectorError | None:
        """As ``refusal_of_transactions``."""

    def topics(self, names: tuple[str, ...]) -> Mapping[str, TopicFacts]:
        """As ``Cluster.topics``."""


def examine_kafka(kafka: Kafka, plan: Plan, name: str) -> Iterator[Diagnosis]:
    """Every check of the brokers, in an order in which one explains the next.

    Args:
        kafka: the brokers.
        plan: the topics of the connector.
        name: its name.
    """
    try:
        brokers = kafka.count_brokers()
    except ConnectorError as error:
        yield Diagnosis(BROKERS, kafka.servers, Health.FAILED, str(error))
        for check in (RIGHTS, TOPICS, DURABILITY):
            yield Diagnosis(check, kafka.servers, Health.SKIPPED, "No broker can be asked.")
        return
    who = f"as {kafka.user}" if kafka.user else "without a user name"
    counted = f"{brokers} broker{'' if brokers == 1 else 's'}"
    yield Diagnosis(BROKERS, kafka.servers, Health.OK, f"{counted}, logged in {who}.")
    try:
        allowed = kafka.rights_on_topics(plan.names())
    except ConnectorError as error:
        yield Diagnosis(RIGHTS, "topics", Health.FAILED, str(error))
        return
    for need in needed_rights(plan, name):
        yield _right(kafka, need, allowed)
    hidden = frozenset(topic for topic, granted in allowed.items() if granted is not None and not granted)
    yield from _topics(kafka, plan, hidden, brokers)


def _right(kafka: Kafka, need: Need, topics: Mapping[str, Granted]) -> Diagnosis:
    asked: Mapping[Resource, Callable[[], Granted]] = {
        Resource.TOPIC: lambda: topics[need.name],
        Resource.GROUP: lambda: kafka.rights_on_group(need.name),
        Resource.TRANSACTIONAL_ID: lambda: _of_transactions(kafka, need),
    }
    if need.resource is Resource.TOPIC and need.name not in topics:
        return Diagnosis(RIGHTS, need.subject, Health.SKIPPED, "The topic does not exist.")
    try:
        granted = asked[need.resource]()
    except ConnectorError as error:
        return Diagnosis(RIGHTS, need.subject, Health.FAILED, str(error))
    if granted is None:
        return Diagnosis(RIGHTS, need.subject, Health.SKIPPED, "The brokers do not tell which rights this login has.")
    missing = missing_rights(need, granted)
    if not missing:
        return Diagnosis(RIGHTS, need.subject, Health.OK, f"{', '.join(need.operations)} allowed.")
    health = Health.FAILED if is_vital(missing) else Health.WARNING
    unseen = " (or the topic does not exist)" if need.resource is Resource.TOPIC and not granted else ""
    found = f"{', '.join(missing)} not allowed{unseen}."
    return Diagnosis(RIGHTS, need.subject, health, found, grant_command(need, missing, kafka.servers, kafka.user))


def _of_transactions(kafka: Kafka, need: Need) -> Granted:
    return frozenset(need.operations) if kafka.refusal_of_transactions() is None else frozenset()


def _topics(kafka: Kafka, plan: Plan, hidden: frozenset[str], brokers: int) -> Iterator[Diagnosis]:
    try:
        facts = kafka.topics(tuple(name for name in plan.names() if name not in hidden))
    except TopicError as error:
        yield Diagnosis(TOPICS, "topics", Health.FAILED, str(error))
        return
    wrong = _wrong(plan, facts)
    for name in plan.names():
        if name in hidden:
            yield Diagnosis(TOPICS, name, Health.SKIPPED, "It may not be described.")
            continue
        for sentence in wrong.get(name, ()):
            yield _with_way_out(TOPICS, name, Health.FAILED, sentence, kafka.servers)
        if name not in wrong:
            yield Diagnosis(TOPICS, name, Health.OK, _shape(facts[name]))
    for sentence in warnings(plan, facts):
        yield _with_way_out(TOPICS, "settings", Health.WARNING, sentence, kafka.servers)
    yield from _durability(kafka, plan.journal, facts.get(plan.journal), brokers)


def _wrong(plan: Plan, facts: Mapping[str, TopicFacts]) -> Mapping[str, list[str]]:
    """The sentences about each topic with which something is wrong; every topic that is missing has one."""
    wrong: dict[str, list[str]] = {}
    for finding in findings(plan, facts):
        wrong.setdefault(finding.topic, []).append(finding.sentence)
    for name, found in facts.items():
        if sentence := unwritable(name, found):
            wrong.setdefault(name, []).append(sentence)
    return wrong


def _durability(kafka: Kafka, journal: str, facts: TopicFacts | None, brokers: int) -> Iterator[Diagnosis]:
    if facts is None:
        yield Diagnosis(DURABILITY, journal, Health.SKIPPED, "The journal cannot be looked at.")
        return
    remarks = durability(journal, facts, brokers)
    if not remarks:
        yield Diagnosis(DURABILITY, journal, Health.OK, "The journal outlives the loss of a broker.")
    for remark in remarks:
        # A cluster of one or two brokers can do no better: that is no fault of this deployment's.
        health = Health.WARNING if remark.grave else Health.OK
        yield _with_way_out(DURABILITY, journal, health, remark.sentence, kafka.servers)


def _with_way_out(check: str, subject: str, health: Health, sentence: str, servers: str) -> Diagnosis:
    found, _, way_out = sentence.replace("<servers>", servers).partition(_MEND)
    return Diagnosis(check, subject, health, found, way_out)


def _shape(facts: TopicFacts) -> str:
    sizes = f"{facts.partitions} partition{'' if facts.partitions == 1 else 's'} x {facts.replicas}"
    if facts.config is None:
        return f"{sizes}; its settings may not be read."
    names = ("cleanup.policy", "min.insync.replicas", "max.message.bytes")
    return ", ".join([sizes, *(f"{name} {facts.config.get(name, 'unknown')}" for name in names)]) + "."
