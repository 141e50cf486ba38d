"""Journal records as a worker writes them, without a worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from connector.core.entry import Entry, Request, State
from connector.core.formats.framing import Codec
from connector.core.journal_record import WRITER_HEADER, JournalCodec, Mark
from connector.core.record import Partition, Record
from connector.core.tag import Tag, tag_of
from connector.core.topics import companion_partition, journal_topic
from connector.schema_files import load_schema
from tests.kafka.project import Project

SECONDS = 30.0
JOURNAL_PARTITIONS = 2


class JournalWriter:
    """Writes what is told in one transaction each."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._codec = JournalCodec(Codec(load_schema("journal_entry")), project.name)
        self._id = f"{project.name}-worker-1"
        self.producer = Producer({"bootstrap.servers": project.servers, "transactional.id": self._id})
        self.producer.init_transactions(SECONDS)

    def entry(self, offset: int, *, partition: int = 0, key: bytes | None = None, accepted_ms: int = 1) -> Entry:
        """A document that was just accepted."""
        place = Partition(self._project.topic, partition)
        tag = tag_of(self._project.name, "topic-id", Record(place, offset, key, b"secret-content"))
        request = Request(
            "extract", "documents", b'{"secret-content": 1}', "ex_1", f"d{offset}", '{"secret-content": 1}'
        )
        return Entry(
            tag=tag,
            state=State.READY,
            request=request,
            key=key,
            headers=(),
            value=b"secret-content",
            source_timestamp=1,
            accepted_ms=accepted_ms,
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together."""
        self.producer.begin_transaction()
        yield
        self.producer.commit_transaction(SECONDS)

    def commit(self, *entries: Entry | Tag | Mark) -> None:
        """Write entries, tombstones (as tags) and marks, and commit them."""
        with self.transaction():
            for each in entries:
                self.write(each)

    def write(self, what: Entry | Tag | Mark) -> None:
        """Write one record inside of a transaction."""
        partition, value = self._record(what)
        key = what.key if isinstance(what, Mark) else str(what.tag if isinstance(what, Entry) else what).encode()
        self.producer.produce(
            journal_topic(self._project.name),
            value,
            key=key,
            partition=companion_partition(partition.number, JOURNAL_PARTITIONS),
            headers=[(WRITER_HEADER, self._id.encode())],
        )

    def _record(self, what: Entry | Tag | Mark) -> tuple[Partition, bytes | None]:
        if isinstance(what, Mark):
            return what.partition, self._codec.encode_mark(what)
        if isinstance(what, Tag):
            return what.partition, None
        return what.partition, self._codec.encode_entry(what)


def parked(entry: Entry, nonce: str = "nonce-1", reason: str = "NO_ANSWER") -> Entry:
    """The document after a start without an answer."""
    return entry.intend(nonce).park(reason)


def ago(minutes: float) -> int:
    """Milliseconds since the epoch, so many minutes before now."""
    return int((time.time() - minutes * 60) * 1000)
