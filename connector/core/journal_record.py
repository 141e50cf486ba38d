"""Journal records: entries and marks as bytes and back.

The key names what the value is about, so that a restore can fold a partition to its last values before it decodes
any of them: 20,000 open documents behind a million old records cost 20,000 decodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector.core.entry import Entry, Request, State
from connector.core.errors import JournalError
from connector.core.formats.avro import Undecodable
from connector.core.formats.framing import Codec
from connector.core.record import Partition
from connector.core.tag import Tag

VERSION = 1
WRITER_HEADER = "extend.writer"
"""Header of every journal record: the ``transactional.id`` of its writer, which a successor may have to fence."""

_MARK = "mark"
_MARK_KEY = b"mark:"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one input partition is accounted for. Permanent, one per input partition.

    Attributes:
        name: the connector's name.
        partition: the input partition.
        topic_id: the id of the topic when the mark was written.
        next_offset: the first offset that is not accounted for.
        fingerprint: what must not change under a journal; see ``fingerprint_of``.
    """

    name: str
    partition: Partition
    topic_id: str
    next_offset: int
    fingerprint: str

    @property
    def key(self) -> bytes:
        """The journal key."""
        return mark_key(self.name, self.partition)


def mark_key(name: str, partition: Partition) -> bytes:
    """The journal key of a partition's mark."""
    return _MARK_KEY + f"{name}/{partition}".encode()


def fingerprint_of(name: str, journal_partitions: int) -> str:
    """What the place of every entry in the journal depends on."""
    return f"v{VERSION}/{name}/{journal_partitions}"


@dataclass(frozen=True, slots=True)
class Restored:
    """What the journal says about one input partition.

    Attributes:
        mark: its mark, or None when nothing was ever accepted from it.
        entries: its open documents, in offset order.
    """

    mark: Mark | None
    entries: tuple[Entry, ...]


class JournalCodec:
    """Journal values as bytes and back."""

    def __init__(self, codec: Codec, name: str) -> None:
        self._codec = codec
        self._name = name

    def encode_entry(self, entry: Entry) -> bytes:
        """The journal value of an open document."""
        request = entry.request
        return self._codec.encode(
            {
                "version": VERSION,
                "state": entry.state.value,
                "run_type": request.run_type,
                "route": request.route,
                "body": request.body,
                "processor_id": request.processor_id,
                "document_id": request.document_id,
                "metadata": request.metadata,
                "file_id": request.file_id,
                "file_name": request.file_name,
                "key": entry.key,
                "headers": [{"name": name, "value": value} for name, value in entry.headers],
                "value": entry.value,
                "source_timestamp": entry.source_timestamp,
                "accepted_ms": entry.accepted_ms,
                "nonce": entry.nonce,
                "attempts": entry.attempts,
                "run_id": entry.run_id,
                "started_ms": entry.started_ms,
                "revision": entry.revision,
                "reason": entry.reason,
                "adopted": entry.adopted,
                "repeats": entry.repeats,
            },
        )

    def encode_mark(self, mark: Mark) -> bytes:
        """The journal value of a mark."""
        return self._codec.encode(
            {
                "version": VERSION,
                "state": _MARK,
                "body": b"",  # fastavro writes the schema's default of a bytes field as a text
                "topic_id": mark.topic_id,
                "next_offset": mark.next_offset,
                "fingerprint": mark.fingerprint,
            },
        )

    def restore(
        self,
        folded: Mapping[bytes, bytes],
        partitions: Iterable[Partition],
    ) -> dict[Partition, Restored | JournalError]:
        """Turn the folded records of a journal partition into what they say about input partitions.

        Args:
            folded: the last value of every key that has no tombstone.
            partitions: the input partitions that are asked for; entries of others are left alone.

        Returns:
            For each, its entries in offset order, or the error that must stop that partition alone.
        """
        wanted = {partition: (mark_key(self._name, partition), list[tuple[int, Entry]]()) for partition in partitions}
        restored: dict[Partition, Restored | JournalError] = {}
        for key, value in folded.items():
            tag = self._tag_of(key)
            if tag is None or tag.name != self._name or tag.partition not in wanted:
                continue
            try:
                wanted[tag.partition][1].append((tag.offset, self._entry(tag, value)))
            except JournalError as error:
                restored[tag.partition] = error
        for partition, (key, entries) in wanted.items():
            if partition in restored:
                continue
            try:
                mark = self._mark(partition, folded[key]) if key in folded else None
            except JournalError as error:
                restored[partition] = error
                continue
            entries.sort(key=lambda item: item[0])
            restored[partition] = Restored(mark, tuple(entry for _, entry in entries))
        return restored

    def tag_of(self, key: bytes) -> Tag | None:
        """The document that a record is about, or None: a mark, or another connector's."""
        tag = self._tag_of(key)
        return tag if tag is not None and tag.name == self._name else None

    def entry(self, tag: Tag, value: bytes) -> Entry:
        """The open document that a record's value shows.

        Raises:
            JournalError: damaged, or of a newer version.
        """
        return self._entry(tag, value)

    def _tag_of(self, key: bytes) -> Tag | None:
        if key.startswith(_MARK_KEY):
            return None
        try:
            return Tag.parse(key.decode())
        except UnicodeDecodeError:
            return None

    def _decode(self, what: str, value: bytes) -> dict[str, object]:
        try:
            datum = self._codec.decode(value)
        except Undecodable as error:
            raise JournalError(
                f"The journal record of {what} cannot be read ({error}). It is damaged, or a newer version of the "
                "connector wrote it: run that version again, or see docs/operations.md.",
            ) from error
        if datum["version"] != VERSION:
            raise JournalError(
                f"The journal record of {what} has version {datum['version']}, this connector knows {VERSION}: "
                "a newer version of the connector wrote it; run that version again.",
            )
        return datum

    def _mark(self, partition: Partition, value: bytes) -> Mark:
        datum = self._decode(f"the mark of {partition}", value)
        topic_id, offset, fingerprint = datum["topic_id"], datum["next_offset"], datum["fingerprint"]
        if not (isinstance(topic_id, str) and isinstance(offset, int) and isinstance(fingerprint, str)):
            raise JournalError(
                f"The mark of {partition} in the journal lacks its topic id, its offset or its fingerprint. It is "
                "damaged; see docs/operations.md.",
            )
        return Mark(self._name, partition, topic_id, offset, fingerprint)

    def _entry(self, tag: Tag, value: bytes) -> Entry:
        datum = self._decode(str(tag), value)
        try:
            entry = _entry_of(tag, datum)
        except ValueError as error:
            raise JournalError(
                f"The journal record of {tag} has the state {datum['state']!r}, which this connector does not know: "
                "a newer version of the connector wrote it; run that version again.",
            ) from error
        if entry.state in (State.STARTED, State.REVIEW) and not entry.run_id:
            raise JournalError(f"The journal record of {tag} is {entry.state.value} and names no run: it is damaged.")
        return entry


def _entry_of(tag: Tag, datum: dict[str, object]) -> Entry:
    fields: dict[str, object] = dict(datum)
    for name in ("version", "topic_id", "next_offset", "fingerprint"):
        del fields[name]
    request = Request(
        **{
            name: fields.pop(name)
            for name in (
                "run_type",
                "route",
                "body",
                "processor_id",
                "document_id",
                "metadata",
                "file_id",
                "file_name",
            )
        },  # type: ignore[arg-type]  # the Avro schema fixes these types; a test holds it to this class
    )
    headers = tuple((header["name"], header["value"]) for header in fields.pop("headers"))  # type: ignore[attr-defined]  # as above
    state = State(str(fields.pop("state")))
    return Entry(tag=tag, state=state, request=request, headers=headers, **fields)  # type: ignore[arg-type]  # as above
