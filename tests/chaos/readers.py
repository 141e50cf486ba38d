"""Readers of their own: confluent-kafka and fastavro directly, none of the connector's reading code.

Only names are shared with the connector (tags, header names): those are what it promises to others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, TopicPartition
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

from connector.core.record import Headers, Partition
from connector.core.run_types import dead_letter_topic, status_topics
from connector.core.tag import Tag
from tests.chaos.history import CreatedRun, DeadLetter, Fault, History, Input, OpenEntry, Result, Withheld

ROOT = Path(__file__).parents[2]

_SECONDS = 60.0
_AGAIN_SECONDS = 0.1
_T = TypeVar("_T")
_MARK = "mark:"


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as it stands in a topic."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at_ms: int

    @property
    def place(self) -> str:
        """Partition and offset, for messages."""
        return f"{self.partition.number}@{self.offset}"


class AvroReader:
    """Reads Avro of one schema file, with fastavro alone: single objects, and what a registry's id stands before."""

    def __init__(self, name: str) -> None:
        schema: Any = json.loads((ROOT / "schemas" / f"{name}.avsc").read_text())
        self._schema = parse_schema(schema)
        canonical = to_parsing_canonical_form(self._schema)
        self._head = b"\xc3\x01" + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))

    def read(self, data: bytes) -> dict[str, Any]:
        """The value.

        Raises:
            ValueError: it is framed in another way, or bytes are left over.
        """
        framed = data.startswith(b"\x00")  # four bytes of an id follow, whose schema is a test's own business
        if not framed and not data.startswith(self._head):
            raise ValueError(f"the value begins with {data[:10].hex()} instead of {self._head.hex()}")
        body = BytesIO(data[5 if framed else len(self._head) :])
        value: Any = schemaless_reader(body, self._schema, None)
        if body.read():
            raise ValueError("bytes are left over after the value")
        return dict(value)


@cache
def avro_reader(name: str) -> AvroReader:
    """The reader of a schema; parsing one takes longer than reading a thousand values."""
    return AvroReader(name)


def patiently(look: Callable[[], _T], within: float = _SECONDS) -> _T:
    """What a look at the cluster says; again while it is refused, because leaders and coordinators have just moved.

    Args:
        look: it may be called any number of times.
        within: seconds during which refusals are taken for a moment's.

    Raises:
        KafkaException: it is refused all the same.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return look()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_SECONDS)


def read_committed(bootstrap_servers: str, topics: Iterable[str], within: float = _SECONDS) -> list[Raw]:
    """All committed records of some topics, up to the log ends of now.

    Args:
        bootstrap_servers: the cluster.
        topics: they must exist.
        within: seconds.

    Raises:
        TimeoutError: a partition's log end was not reached; an open transaction stands in front of it.
    """
    return patiently(lambda: _read_once(bootstrap_servers, list(topics), within))


def _read_once(bootstrap_servers: str, topics: Sequence[str], within: float) -> list[Raw]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # the end is told with the answer to a fetch at the end
            "auto.offset.reset": "error",
            "log_level": 0,
        },
    )
    try:
        return _read(consumer, _ends(bootstrap_servers, topics), within)
    finally:
        consumer.close()


def _ends(bootstrap_servers: str, topics: Iterable[str]) -> dict[Partition, tuple[int, int]]:
    """Beginning and log end of every partition; read_uncommitted, because read_committed shows less."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader",
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        },
    )
    try:
        partitions = _partitions(consumer, topics)
        # A leader of a moment ago knows no end yet, and says so by an error.
        return {each: patiently(partial(_bounds, consumer, each)) for each in partitions}
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topics: Iterable[str]) -> list[Partition]:
    """Raises KafkaException for a topic that a broker does not know yet: one left out would look like an empty one."""
    known = consumer.list_topics(timeout=_SECONDS).topics
    partitions: list[Partition] = []
    for topic in topics:
        found = known.get(topic)
        if found is None or found.error is not None:
            raise KafkaException(found.error if found is not None else KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        partitions.extend(Partition(topic, number) for number in found.partitions)
    return partitions


def _bounds(consumer: Consumer, partition: Partition) -> tuple[int, int]:
    return consumer.get_watermark_offsets(TopicPartition(*partition), _SECONDS)


def _read(consumer: Consumer, bounds: Mapping[Partition, tuple[int, int]], within: float) -> list[Raw]:
    ends = {partition: high for partition, (low, high) in bounds.items() if high > low}
    consumer.assign([TopicPartition(*partition, bounds[partition][0]) for partition in ends])
    read: list[Raw] = []
    deadline = time.monotonic() + within
    while ends:
        if time.monotonic() > deadline:
            left = ", ".join(f"{partition} up to {end}" for partition, end in sorted(ends.items()))
            raise TimeoutError(f"not readable within {within:g} s: {left}; a transaction may be open there")
        for message in consumer.consume(1_000, 0.1):
            partition = Partition(str(message.topic()), int(message.partition() or 0))
            offset = int(message.offset() or 0)
            error = message.error()
            if error is None:
                kind, at_ms = message.timestamp()
                headers = _headers(message.headers())
                at_ms = 0 if kind == TIMESTAMP_NOT_AVAILABLE else at_ms
                read.append(Raw(partition, offset, _bytes(message.key()), _bytes(message.value()), headers, at_ms))
                reached = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                reached = offset  # the only sign of control records at the end
            else:
                raise KafkaException(error)
            if reached >= ends.get(partition, reached + 1):
                del ends[partition]
    return read


def _headers(headers: Any) -> Headers:  # noqa: ANN401 - the client's type allows what it never returns from a read
    return tuple((name, _bytes(value)) for name, value in headers or ())


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def results_in(records: Iterable[Raw]) -> tuple[Result, ...]:
    """The records of status topics."""
    avro = avro_reader("run_result")
    results = []
    for record in records:
        value = avro.read(record.value or b"")
        source = value["source"]
        results.append(
            Result(
                topic=record.partition.topic,
                place=record.place,
                result_id=value["result_id"],
                revision=value["revision"],
                run_id=value["run_id"],
                run_type=value["run_type"],
                status=value["status"],
                document_id=value["document_id"],
                source=Partition(source["topic"], source["partition"]),
                source_offset=source["offset"],
                key=record.key,
                failure_reason=value["failure_reason"],
                observed_via=value["observed_via"],
                output=value["output"],
                at_ms=record.at_ms,
            ),
        )
    return tuple(results)


def dead_letters_in(records: Iterable[Raw]) -> tuple[DeadLetter, ...]:
    """The records of the dead-letter topic. The last header of a name counts: earlier ones were the input's own."""
    letters = []
    for record in records:
        headers = {name: (value or b"").decode() for name, value in record.headers}
        partition = Partition(headers["__connect.errors.topic"], int(headers["__connect.errors.partition"]))
        offset = int(headers["__connect.errors.offset"])
        letters.append(DeadLetter(record.place, partition, offset, headers["extend.reason"], record.at_ms))
    return tuple(letters)


def journal_in(records: Iterable[Raw]) -> tuple[tuple[OpenEntry, ...], dict[Partition, int]]:
    """The journal, folded to what it still holds: open entries and marks."""
    folded: dict[tuple[int, bytes], Raw] = {}
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        folded[record.partition.number, record.key or b""] = record
    avro = avro_reader("journal_entry")
    entries, marks = [], {}
    for (_, key), record in folded.items():
        if record.value is None:
            continue
        value = avro.read(record.value)
        text = key.decode()
        if text.startswith(_MARK):
            _, topic, number = text.removeprefix(_MARK).split("/")
            marks[Partition(topic, int(number))] = int(value["next_offset"])
            continue
        tag = Tag.parse(text)
        if tag is None:
            raise ValueError(f"the journal has the key {text!r} at {record.partition} {record.place}")
        entries.append(OpenEntry(tag, value["state"], value["run_id"], value["revision"], record.at_ms))
    return tuple(entries), marks


def rung_in(records: Iterable[Raw]) -> list[str]:
    """The runs that the doorbells of a signals topic are about, one for each ring."""
    avro = avro_reader("signal")
    signals = (avro.read(record.value or b"") for record in records)
    return [signal["run_id"] for signal in signals if signal["kind"] == "doorbell"]


def runs_in(ledger: bytes) -> tuple[CreatedRun, ...]:
    """The lines of the simulator's ledger."""
    runs = []
    for line in ledger.splitlines():
        run = json.loads(line)
        runs.append(CreatedRun(run["run_id"], run["run_type"], run["tag"], _milliseconds(run["time"])))
    return tuple(runs)


def withheld_in(book: bytes) -> tuple[Withheld, ...]:
    """The lines of the simulator's book of creates that a fault withheld."""
    creates = map(json.loads, book.splitlines())
    return tuple(Withheld(create["tag"], _milliseconds(create["time"])) for create in creates)


def _milliseconds(time_text: str) -> int:
    return int(datetime.fromisoformat(time_text).timestamp() * 1000)


def committed_offsets(bootstrap_servers: str, group: str, topics: Iterable[str]) -> dict[Partition, int]:
    """The group's stable offsets; partitions without one are left out."""
    answers = patiently(lambda: _committed_once(bootstrap_servers, group, list(topics)))
    return {Partition(a.topic, a.partition): a.offset for a in answers if a.offset >= 0}


def _committed_once(bootstrap_servers: str, group: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Raises KafkaException also for a single partition's error: one left out would look like one never committed."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0})
    try:
        asked = [TopicPartition(*partition) for partition in _partitions(consumer, topics)]
        answers = consumer.committed(asked, _SECONDS)
    finally:
        consumer.close()
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return answers


def read_history(
    bootstrap_servers: str,
    *,
    name: str,
    prefix: str,
    inputs: Sequence[Input],
    ledger: bytes,
    withheld: bytes = b"",
    faults: Sequence[Fault] = (),
) -> History:
    """Everything that a finished run has left behind.

    Args:
        bootstrap_servers: the cluster.
        name: the connector's name.
        prefix: the first part of its status topics.
        inputs: what was acknowledged.
        ledger: the simulator's ledger, JSON lines.
        withheld: its book of creates that a fault withheld, JSON lines.
        faults: what the harness did meanwhile.

    Raises:
        TimeoutError: a transaction is still open on one of its topics.
        ValueError: a record is not framed or not named as promised.
    """
    records = read_committed(bootstrap_servers, [*status_topics(prefix), dead_letter_topic(prefix), f"{name}.journal"])
    by_topic: dict[str, list[Raw]] = {}
    for record in records:
        by_topic.setdefault(record.partition.topic, []).append(record)
    results = [record for topic in status_topics(prefix) for record in by_topic.get(topic, ())]
    entries, marks = journal_in(by_topic.get(f"{name}.journal", ()))
    topics = sorted({each.tag.partition.topic for each in inputs})
    return History(
        inputs=tuple(inputs),
        results=results_in(results),
        dead_letters=dead_letters_in(by_topic.get(dead_letter_topic(prefix), ())),
        runs=runs_in(ledger),
        open_entries=entries,
        committed=committed_offsets(bootstrap_servers, name, topics),
        marks=marks,
        faults=tuple(faults),
        withheld=withheld_in(withheld),
    )
