"""The event loop's door to what is durable: each method is one thing that is written down, as an awaitable.

An awaitable ends when the transaction that carries the write has committed. It raises ``OwnershipLost`` when the
partition is not ours any more, or when nobody knows how the transaction ended: then the journal decides, not we.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from connector.clock import Clock
from connector.core.commit import Kind, Write
from connector.core.entry import Entry
from connector.core.journal_record import WRITER_HEADER, JournalCodec, Mark
from connector.core.record import Headers, OutRecord, Partition, Record
from connector.core.signals.signal import Reply
from connector.core.signals.signals_topic import SignalsTopic
from connector.documents import Holding
from connector.journal.crossing import Settled
from connector.journal.restore import JournalPlace

Written = asyncio.Future[float]
"""Ends with the commit; the result is when the transaction began, on the monotonic clock."""


class Writer(Protocol):
    """Takes writes; the Kafka thread."""

    def submit(self, write: Write) -> None:
        """Queue a write."""


def entry_bytes(codec: JournalCodec, writer_id: str, entry: Entry) -> int:
    """Bytes that an entry takes as a journal record, batch included, when this writer writes it."""
    return OutRecord("", str(entry.tag).encode(), codec.encode_entry(entry), _header(writer_id)).wire_size


def _header(writer_id: str) -> Headers:
    return ((WRITER_HEADER, writer_id.encode()),)


class Journal:
    """What the pipeline writes down."""

    def __init__(
        self,
        *,
        writer: Writer,
        codec: JournalCodec,
        signals: SignalsTopic,
        place: JournalPlace,
        writer_id: str,
        clock: Clock,
    ) -> None:
        """Build the door.

        Args:
            writer: takes the writes.
            codec: journal values.
            signals: where replies to operators go.
            place: where the journal is.
            writer_id: the ``transactional.id``; a successor finds it in every journal record.
            clock: the time.
        """
        self._writer = writer
        self._codec = codec
        self._signals = signals
        self._place = place
        self._clock = clock
        self._header = _header(writer_id)
        self._waiting: dict[Write, Written] = {}

    def intend(self, holding: Holding, intent: Entry, next_offset: int | None) -> Written:
        """A POST will follow at once."""
        return self._write("intent", holding, [self._entry(intent)], next_offset)

    def accept(self, holding: Holding, entry: Entry, next_offset: int) -> Written:
        """The document is ours and waits its turn."""
        return self._write("ready", holding, [self._entry(entry)], next_offset)

    def reject(self, holding: Holding, dead_letter: OutRecord, next_offset: int) -> Written:
        """The record can never become a run."""
        return self._write("reject", holding, [dead_letter], next_offset)

    def skip(self, holding: Holding, record: Record) -> Written:
        """The record needs nothing."""
        return self._write("skip", holding, [], record.next_offset)

    def started(self, holding: Holding, entry: Entry, reply: Reply | None = None) -> Written:
        """The run is known."""
        return self._write("started", holding, [self._entry(entry), *self._replies(reply)])

    def ready(self, holding: Holding, entry: Entry, reply: Reply | None = None) -> Written:
        """It waits its turn again: certainly no run exists, or somebody has taken the risk that one does."""
        return self._write("ready", holding, [self._entry(entry), *self._replies(reply)])

    def parked(self, holding: Holding, entry: Entry) -> Written:
        """The start is unclear; a person or a find decides."""
        return self._write("parked", holding, [self._entry(entry)])

    def review(self, holding: Holding, entry: Entry, result: OutRecord) -> Written:
        """The NEEDS_REVIEW is emitted and the document stays open."""
        return self._write("review", holding, [result, self._entry(entry)])

    def finish(self, holding: Holding, entry: Entry, result: OutRecord) -> Written:
        """The result and the tombstone: together or not at all."""
        return self._write("result", holding, [result, self._tombstone(entry)])

    def bury(self, holding: Holding, entry: Entry, dead_letter: OutRecord, reply: Reply | None = None) -> Written:
        """The dead letter of an open document and the tombstone. Unlike a result it has no smaller form."""
        return self._write("reject", holding, [dead_letter, self._tombstone(entry), *self._replies(reply)])

    def answer(self, holding: Holding, reply: Reply) -> Written:
        """An operator is told how far a command has come. Only the owner can: the partition's offset goes with it."""
        return self._write("reply", holding, self._replies(reply))

    def mark(self, partition: Partition, topic_id: str, next_offset: int) -> OutRecord:
        """The record that says how far a partition is accounted for; one goes into every transaction."""
        mark = Mark(self._place.name, partition, topic_id, next_offset, self._place.fingerprint)
        return self._record(partition, mark.key, self._codec.encode_mark(mark))

    def settled(self, writes: Sequence[Settled]) -> None:
        """The Kafka thread says what became of writes."""
        for settled in writes:
            future = self._waiting.pop(settled.write, None)
            if future is None or future.done():
                continue
            if settled.error is None:
                future.set_result(settled.begun)
            else:
                future.set_exception(settled.error)

    def _write(
        self,
        kind: Kind,
        holding: Holding,
        records: Sequence[OutRecord],
        next_offset: int | None = None,
    ) -> Written:
        write = Write(kind, holding.partition, holding.assignment, tuple(records), next_offset)
        future: Written = asyncio.get_running_loop().create_future()
        self._waiting[write] = future
        self._writer.submit(write)
        return future

    def _entry(self, entry: Entry) -> OutRecord:
        return self._record(entry.partition, str(entry.tag).encode(), self._codec.encode_entry(entry))

    def _replies(self, reply: Reply | None) -> list[OutRecord]:
        return [] if reply is None else [self._signals.record(reply, self._clock.wall_ms())]

    def _tombstone(self, entry: Entry) -> OutRecord:
        return self._record(entry.partition, str(entry.tag).encode(), None)

    def _record(self, partition: Partition, key: bytes, value: bytes | None) -> OutRecord:
        return OutRecord(self._place.topic, key, value, self._header, self._place.of(partition).number)
