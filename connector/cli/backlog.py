"""What is still in an input topic, as a command sees it that joins no group: how much, and a sample of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.journal_reader import JournalReader
from connector.adapters.kafka.properties import reader_properties
from connector.cli.asking import SECONDS, open_cluster
from connector.cli.topic_look import records_between
from connector.config import Config
from connector.core.errors import TopicError
from connector.core.record import Partition, Record
from connector.core.topics import journal_topic, needed_bytes

_LOOK_SECONDS = 2.0
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Backlog:
    """An input topic as the group left it.

    Attributes:
        records: a sample: the next records of each partition, or its last where nothing is left to do.
        total: offsets that are not committed; commit markers of transactions and compacted records count too.
        topic_id: the topic's id.
        journal_bytes: the largest record that the journal takes, or would take if `topics --create` made it.
    """

    records: tuple[Record, ...]
    total: int
    topic_id: str
    journal_bytes: int


def look_at_backlog(config: Config, topic: str, most: int) -> Backlog:
    """Count what the group has not accepted, and read some of it.

    Args:
        config: the configuration.
        topic: the input topic.
        most: about how many records to read; each partition gives its part, and at least one.

    Raises:
        TopicError: there is no such topic, or Kafka cannot be asked.
    """
    client_id = f"{config.name}-plan"
    journal = journal_topic(config.name)
    with open_cluster(config, client_id) as cluster:
        facts = cluster.topics([topic, journal])
        if topic not in facts:
            raise TopicError(
                [f"The input topic {topic} does not exist: `extend-connector topics` shows what is missing."]
            )
        partitions = [Partition(topic, number) for number in range(facts[topic].partitions)]
        ends = cluster.log_ends(partitions, committed=True)
        firsts = cluster.log_starts(partitions)
        begins = _positions(config, cluster, firsts)
    left = {each: max(0, ends[each] - begins[each]) for each in partitions}
    total = sum(left.values())
    if not total:
        # Nothing is left to do: what came last shows best how records look.
        left = {each: ends[each] - firsts[each] for each in partitions}
    share = _shares(left, most)
    if not total:
        begins = {each: ends[each] - share[each] for each in partitions}
    until = {each: begins[each] + count for each, count in share.items() if count}
    records = tuple(records_between(config, client_id, begins, until))
    plan = config.topic_plan()
    journal_bytes = facts[journal].max_message_bytes if journal in facts else needed_bytes(plan, facts)
    return Backlog(records, total, facts[topic].topic_id, journal_bytes)


def _positions(config: Config, cluster: Cluster, firsts: Mapping[Partition, int]) -> dict[Partition, int]:
    """Where a worker would go on: at the group's offsets, else where ``input.start`` says."""
    committed = {each: offset for each, offset in _committed(config, firsts).items() if offset is not None}
    new = [each for each in firsts if each not in committed]
    start_ms = config.input.start_ms
    begins = firsts if start_ms is None else {**firsts, **cluster.offsets_at(new, start_ms)}
    return {each: max(committed.get(each, begins[each]), firsts[each]) for each in firsts}


def _committed(config: Config, partitions: Iterable[Partition]) -> Mapping[Partition, int | None]:
    """The group's offsets, asked by somebody who is no member."""
    reader = JournalReader(reader_properties(config.kafka, f"{config.name}-plan", config.name))
    until = time.monotonic() + SECONDS
    try:
        while (found := reader.committed(partitions, _LOOK_SECONDS)) is None:
            if time.monotonic() > until:
                unknown = f"The offsets of group {config.name} are not known after {SECONDS:g} s"
                raise TopicError([f"{unknown}: a transaction is open, or the group's broker is away. Ask again."])
            time.sleep(_PAUSE_SECONDS)
    finally:
        reader.close()
    return found


def _shares(left: Mapping[Partition, int], most: int) -> dict[Partition, int]:
    """How many records to read of each partition, by how many it has."""
    total = max(1, sum(left.values()))
    return {each: min(count, max(1, most * count // total)) for each, count in left.items()}
