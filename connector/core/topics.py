"""The plan of topics: which must be there, with which settings, and what is wrong with those that are.

`topics` shows it, `run` refuses to start while it has problems. Journal and signals
partition are the input partition modulo their own partition count, so any count works; it is fixed when the
topic is made, and as many as the largest input has spreads the work best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from connector.core.run_types import dead_letter_topic, status_topics

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
"""Kafka's own default of ``max.message.bytes``: 1 MiB and the head of a batch."""

ENVELOPE_BYTES = 64 * 1024
"""Room around a document in journal and dead letters: the request's fields, tag, times, error headers."""

SIGNALS_RETENTION_MS = 3 * 24 * 3600 * 1000
SHORTEST_SIGNALS_RETENTION_MS = 3600 * 1000
"""Below this a fact about a POST can vanish before the next worker has read it."""

JOURNAL_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "cleanup.policy": "compact",
        # Restore reads what compaction has left: keep it short, in small segments that are closed soon.
        "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": str(32 * 1024 * 1024),
        "segment.ms": str(3600 * 1000),
        "max.compaction.lag.ms": str(24 * 3600 * 1000),
        # A reader that is slower than this misses tombstones. Restores take seconds.
        "delete.retention.ms": str(24 * 3600 * 1000),
    },
)

SIGNALS_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"cleanup.policy": "delete", "retention.ms": str(SIGNALS_RETENTION_MS)},
)


class Purpose(StrEnum):
    """What a topic is needed for; the text is what tables show."""

    INPUT = "input"
    JOURNAL = "journal"
    SIGNALS = "signals"
    RESULTS = "results"
    DEAD_LETTERS = "dead letters"

    @property
    def adjective(self) -> str:
        """What stands before "topic"."""
        return "dead-letter" if self is Purpose.DEAD_LETTERS else self.value


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What the cluster says about a topic.

    Attributes:
        partitions: how many it has.
        topic_id: the id that Kafka gave it when it was made (KIP-516).
        config: its settings by name, or None when DescribeConfigs is not allowed.
        replicas: how many brokers hold its first partition.
    """

    partitions: int
    topic_id: str
    config: Mapping[str, str] | None = None
    replicas: int = 1

    @property
    def max_message_bytes(self) -> int:
        """Bytes of the largest batch that it takes; Kafka's default where the settings may not be read."""
        return int((self.config or {}).get("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))

    @property
    def cleanup(self) -> frozenset[str] | None:
        """The words of ``cleanup.policy``, or None where the settings may not be read."""
        if self.config is None:
            return None
        return frozenset(word.strip() for word in self.config.get("cleanup.policy", "delete").split(","))


@dataclass(frozen=True, slots=True)
class PlannedTopic:
    """One topic that must be there."""

    name: str
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Plan:
    """Every topic that one connector touches."""

    topics: tuple[PlannedTopic, ...]

    def names(self, purpose: Purpose | None = None) -> tuple[str, ...]:
        """The names of the topics of one purpose, or of all, each once."""
        return tuple(
            dict.fromkeys(topic.name for topic in self.topics if purpose is None or topic.purpose is purpose),
        )

    @property
    def journal(self) -> str:
        """The name of the journal."""
        return self.names(Purpose.JOURNAL)[0]

    @property
    def signals(self) -> str:
        """The name of the signals topic."""
        return self.names(Purpose.SIGNALS)[0]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be made.

    Attributes:
        name: its name.
        partitions: how many, or None for the broker's default.
        replication_factor: how many, or None for the broker's default.
        settings: topic settings that differ from the broker's.
    """

    name: str
    partitions: int | None = None
    replication_factor: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def journal_topic(name: str) -> str:
    """The journal of a connector."""
    return f"{name}.journal"


def signals_topic(name: str) -> str:
    """The signals topic of a connector."""
    return f"{name}.signals"


def plan_topics(name: str, inputs: Iterable[str], prefix: str, more: Iterable[str] = ()) -> Plan:
    """The plan.

    Args:
        name: the connector's name.
        inputs: the topics of its routes.
        prefix: what the names of its result topics begin with.
        more: what those begin with that belong to one route; the dead letters of all routes go together.
    """
    prefixes = dict.fromkeys((prefix, *more))
    return Plan(
        (
            *(PlannedTopic(topic, Purpose.INPUT) for topic in dict.fromkeys(inputs)),
            PlannedTopic(journal_topic(name), Purpose.JOURNAL),
            PlannedTopic(signals_topic(name), Purpose.SIGNALS),
            *(PlannedTopic(topic, Purpose.RESULTS) for each in prefixes for topic in status_topics(each)),
            PlannedTopic(dead_letter_topic(prefix), Purpose.DEAD_LETTERS),
        ),
    )


def companion_partition(input_partition: int, count: int) -> int:
    """The partition of the journal, or of the signals topic, that belongs to an input partition."""
    return input_partition % count


def largest_input(plan: Plan, facts: Mapping[str, TopicFacts]) -> int:
    """``max.message.bytes`` of the input topic that takes the largest batches."""
    sizes = [facts[name].max_message_bytes for name in plan.names(Purpose.INPUT) if name in facts]
    return max(sizes, default=DEFAULT_MAX_MESSAGE_BYTES)


def needed_bytes(plan: Plan, facts: Mapping[str, TopicFacts]) -> int:
    """``max.message.bytes`` of journal, dead letters and producer: a document twice and its envelope.

    An entry holds the record as it came and the request that was made of it.
    """
    return 2 * largest_input(plan, facts) + ENVELOPE_BYTES


def missing(
    plan: Plan,
    facts: Mapping[str, TopicFacts],
    *,
    inputs: bool = False,
    partitions: int | None = None,
    replication_factor: int | None = None,
) -> list[TopicSpec]:
    """The topics to make so that nothing is missing.

    Args:
        plan: the plan.
        facts: what is there, by name.
        inputs: make missing input topics too.
        partitions: the count for every topic that is made; without it as many as the largest input has, and
            where there is no input yet the broker's default. Journal and signals get the count of the one
            that is there.
        replication_factor: None for the broker's default.
    """
    count = partitions or _largest_count(plan, facts)
    specs = []
    for topic in plan.topics:
        if topic.name in facts or (topic.purpose is Purpose.INPUT and not inputs):
            continue
        companion = facts.get({plan.journal: plan.signals, plan.signals: plan.journal}.get(topic.name, ""))
        specs.append(
            TopicSpec(
                topic.name,
                companion.partitions if companion else count,
                replication_factor,
                _settings(topic.purpose, plan, facts),
            ),
        )
    return specs


class Finding(NamedTuple):
    """A topic and what is wrong with it."""

    topic: str
    sentence: str


def problems(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[str]:
    """What keeps the connector from starting: a sentence for each, with the way out."""
    return [sentence for _, sentence in findings(plan, facts)]


def findings(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[Finding]:
    """As `problems`, each with the name of its topic."""
    return [
        *_clashes(plan),
        *(Finding(topic.name, _absent(topic)) for topic in plan.topics if topic.name not in facts),
        *_journal_findings(plan, facts),
        *_signals_findings(plan, facts),
        *_size_findings(plan, facts),
    ]


def warnings(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[str]:
    """What a person should know, although the connector starts."""
    found = []
    journal = facts.get(plan.journal)
    if journal is not None and journal.config is None:
        found.append(
            f"The settings of the journal {plan.journal} may not be read (DescribeConfigs on the topic is "
            "not allowed): make sure that it has cleanup.policy=compact, or open documents will be lost.",
        )
    signals = facts.get(plan.signals)
    if signals is not None and signals.config is not None:
        retention = int(signals.config.get("retention.ms", "-1"))
        if 0 <= retention < SHORTEST_SIGNALS_RETENTION_MS:
            found.append(
                f"The signals topic {plan.signals} keeps records for {retention} ms only: what former owners "
                "know about their starts can be lost. "
                f"{_alter(plan.signals, 'retention.ms', SIGNALS_RETENTION_MS)}",
            )
    return found


def states(plan: Plan, facts: Mapping[str, TopicFacts]) -> Mapping[str, str]:
    """A word for each topic of the plan: ``missing``, ``wrong`` or ``ok``."""
    wrong = {name for name, _ in findings(plan, facts)}
    return {name: "missing" if name not in facts else "wrong" if name in wrong else "ok" for name in plan.names()}


def _settings(purpose: Purpose, plan: Plan, facts: Mapping[str, TopicFacts]) -> Mapping[str, str]:
    size = {"max.message.bytes": str(needed_bytes(plan, facts))}
    match purpose:
        case Purpose.INPUT:
            return {}
        case Purpose.JOURNAL:
            return {**JOURNAL_SETTINGS, **size}
        case Purpose.SIGNALS:
            return SIGNALS_SETTINGS
        case Purpose.RESULTS | Purpose.DEAD_LETTERS:
            return size


def _largest_count(plan: Plan, facts: Mapping[str, TopicFacts]) -> int | None:
    return max((facts[name].partitions for name in plan.names(Purpose.INPUT) if name in facts), default=None)


def _clashes(plan: Plan) -> list[Finding]:
    purposes: dict[str, list[str]] = {}
    for topic in plan.topics:
        purposes.setdefault(topic.name, []).append(topic.purpose)
    return [
        Finding(
            name,
            (
                f"Topic {name} is needed for {' and '.join(uses)} at the same time: what is written there "
                "would come in again. Change name, output.prefix, or the route's topic or output.prefix."
            ),
        )
        for name, uses in purposes.items()
        if len(uses) > 1
    ]


def _absent(topic: PlannedTopic) -> str:
    if topic.purpose is Purpose.INPUT:
        return (
            f"The input topic {topic.name} does not exist, or may not be described: correct the topic of its "
            "route, or make it with `extend-connector topics --create --input`."
        )
    return (
        f"The {topic.purpose.adjective} topic {topic.name} does not exist, or may not be described: "
        "`extend-connector topics --create` makes it."
    )


def _journal_findings(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[Finding]:
    name = plan.journal
    journal = facts.get(name)
    if journal is None or journal.cleanup is None or journal.cleanup == {"compact"}:
        return []
    way_out = _alter(name, "cleanup.policy", "compact")
    if "compact" not in journal.cleanup:
        sentence = (
            f"The journal {name} is not compacted (cleanup.policy={_setting(journal, 'cleanup.policy')}): "
            f"open documents would be deleted by age. {way_out}"
        )
    else:
        sentence = (
            f"The journal {name} is compacted, and deleted by age as well "
            f"(cleanup.policy={_setting(journal, 'cleanup.policy')}, "
            f"retention.ms={_setting(journal, 'retention.ms')}): "
            f"documents that stay open longer would be lost. {way_out}"
        )
    return [Finding(name, sentence)]


def _signals_findings(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[Finding]:
    name = plan.signals
    journal, signals = facts.get(plan.journal), facts.get(name)
    found: list[Finding] = []
    if signals is not None and "compact" in (signals.cleanup or ()):
        sentence = (
            f"The signals topic {name} is compacted "
            f"(cleanup.policy={_setting(signals, 'cleanup.policy')}): signals have no last value to keep. "
            f"{_alter(name, 'cleanup.policy', 'delete')}"
        )
        found.append(Finding(name, sentence))
    if journal is not None and signals is not None and journal.partitions != signals.partitions:
        sentence = (
            f"The journal {plan.journal} has {_counted(journal.partitions)} and the signals topic {name} has "
            f"{_counted(signals.partitions)}: they must be equal. Stop all workers, delete {name} and make "
            "it again with `extend-connector topics --create`; the journal's count never changes."
        )
        found.append(Finding(name, sentence))
    return found


def _size_findings(plan: Plan, facts: Mapping[str, TopicFacts]) -> list[Finding]:
    twice, once = needed_bytes(plan, facts), largest_input(plan, facts)
    floors = (
        (Purpose.JOURNAL, twice, "twice the largest input and 64 KiB"),
        (Purpose.DEAD_LETTERS, twice, "twice the largest input and 64 KiB"),
        # An output that does not fit is left out of its result; key and headers cannot be.
        (Purpose.RESULTS, once, "the largest input, whose key and headers are passed through"),
    )
    return [
        Finding(
            name,
            (
                f"The {purpose.adjective} topic {name} takes {facts[name].max_message_bytes} bytes a record and needs "
                f"{floor} ({why}). {_alter(name, 'max.message.bytes', floor)}"
            ),
        )
        for purpose, floor, why in floors
        for name in plan.names(purpose)
        if name in facts and facts[name].config is not None and facts[name].max_message_bytes < floor
    ]


def _setting(facts: TopicFacts, name: str) -> str:
    return (facts.config or {}).get(name, "unknown")


def _counted(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"


def _alter(topic: str, setting: str, value: object) -> str:
    return (
        "Mend it: kafka-configs.sh --bootstrap-server <servers> --alter --entity-type topics "
        f"--entity-name {topic} --add-config {setting}={value}"
    )
