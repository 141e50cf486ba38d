"""Any topic, as a command reads it: committed records up to the end, without a group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from connector.adapters.kafka.journal_reader import SILENCE_SECONDS
from connector.adapters.kafka.properties import reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.cli.asking import open_cluster
from connector.config import Config
from connector.core.errors import TopicError
from connector.core.record import Partition, Record
from connector.core.sought import Place

_WAIT_SECONDS = 0.2


def committed_records(config: Config, command: str, topics: Iterable[str], *, wait: bool = False) -> Iterator[Record]:
    """The committed records of topics as they are now, partition by partition; topics that do not exist have none.

    Args:
        config: the configuration.
        command: names the client in the brokers' logs.
        topics: the topics.
        wait: for transactions that are open now: what others have committed behind them must not be missed.

    Raises:
        TopicError: Kafka cannot be asked, or says nothing for 10 s, or a transaction is waited for in vain for so long.
    """
    client_id = f"{config.name}-{command}"
    with open_cluster(config, client_id) as cluster:
        facts = cluster.topics(topics)
        partitions = [Partition(name, number) for name, found in facts.items() for number in range(found.partitions)]
        ends = cluster.log_ends(partitions, committed=not wait)
        starts = cluster.log_starts(partitions)
    yield from records_between(config, client_id, starts, ends)


def records_behind(config: Config, command: str, offsets: Mapping[Partition, int], since_ms: int) -> Iterator[Record]:
    """All records of some partitions that stand behind an offset, or are younger than an instant, up to the log's end.

    Transactions that are open are waited for: what others have committed behind them must not be missed.

    Args:
        config: the configuration.
        command: names the client in the brokers' logs.
        offsets: of each partition; one that is behind the log's end is of an earlier topic of that name.
        since_ms: milliseconds since the epoch.

    Raises:
        TopicError: a transaction stays open for 10 s, Kafka cannot be asked, or says nothing for 10 s.
    """
    client_id = f"{config.name}-{command}"
    with open_cluster(config, client_id) as cluster:
        facts = cluster.topics({partition.topic for partition in offsets})
        there = [each for each in offsets if each.topic in facts and each.number < facts[each.topic].partitions]
        ends = cluster.log_ends(there, committed=False)
        firsts, young = cluster.log_starts(there), cluster.offsets_at(there, max(0, since_ms))
    behind = {each: offsets[each] + 1 if offsets[each] < ends[each] else firsts[each] for each in there}
    starts = {each: max(firsts[each], min(behind[each], young[each])) for each in there}
    yield from records_between(config, client_id, starts, ends)


def record_at(config: Config, command: str, place: Place) -> Record | None:
    """The committed record at a place, or None when there is none any more.

    Raises:
        TopicError: Kafka cannot be asked, or says nothing for 10 s.
    """
    client_id, partition = f"{config.name}-{command}", place.partition
    with open_cluster(config, client_id) as cluster:
        facts = cluster.topics([partition.topic]).get(partition.topic)
        if facts is None or partition.number >= facts.partitions:
            return None
        first, end = (
            cluster.log_starts([partition])[partition],
            cluster.log_ends([partition], committed=True)[partition],
        )
    if not first <= place.offset < end:
        return None
    for record in records_between(config, client_id, {partition: place.offset}, {partition: end}):
        return record if record.offset == place.offset else None
    return None


def records_between(
    config: Config, client_id: str, starts: Mapping[Partition, int], every_end: Mapping[Partition, int]
) -> Iterator[Record]:
    """The committed records of some partitions, read by somebody who joins no group.

    Args:
        config: the configuration.
        client_id: names the client in the brokers' logs.
        starts: the first offset of each partition.
        every_end: the offset behind the last one; partitions that are not here are not read.

    Raises:
        TopicError: a partition cannot be read, no broker says anything for 10 s, or a transaction in front of an end
            stays open for so long.
    """
    ends = {partition: end for partition, end in every_end.items() if end > starts[partition]}
    if not ends:
        return
    reader = AssignedReader(
        reader_properties(config.kafka, client_id, client_id), {each: starts[each] for each in ends}
    )
    events, since = 0, time.monotonic()
    try:
        while not reader.has_passed(ends):
            records = reader.read(_WAIT_SECONDS)
            if reader.events > events:
                events, since = reader.events, time.monotonic()
            elif time.monotonic() - since > SILENCE_SECONDS:
                raise TopicError([_why_silent(next(iter(ends)).topic, held_back=reader.is_held_back(ends))])
            yield from (record for record in records if record.offset < ends[record.partition])
    finally:
        reader.close()


def _why_silent(topic: str, *, held_back: bool) -> str:
    if held_back:
        return (
            f"A transaction in {topic} has not ended, and what stands behind it cannot be seen. Look again when it "
            "has; kafka-transactions.sh finds one that hangs."
        )
    return f"No broker says anything about {topic} any more."
