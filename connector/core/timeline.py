"""One document's timeline: what journal, results, dead letters and the API say of it, in the order of time.

Only what happened is kept, never what a document says: no value, no output, no metadata, no file name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from connector.core.accept.dead_letter import CONNECT
from connector.core.accept.replay import replayed_as
from connector.core.entry import Entry, State
from connector.core.journal_record import WRITER_HEADER
from connector.core.record import Headers, Partition, Record
from connector.core.run import Run
from connector.core.sought import Place, place_in, place_of, tag_of_result
from connector.core.tag import Tag

Details = tuple[tuple[str, object], ...]

CLOSED = "closed"
"""What a tombstone in the journal says."""


class Source(StrEnum):
    """Who says so."""

    JOURNAL = "journal"
    RESULT = "result"
    DEAD_LETTER = "dead letter"
    API = "api"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that is known of a document.

    Attributes:
        place: the input record.
        source: who says so.
        what: a state of the journal, a status, or a reason code.
        at_ms: milliseconds since the epoch, or None.
        tag: the document's tag; a dead letter does not carry it.
        record: the record that says so: partition and offset; None for the API.
        details: what else it says, by name.
    """

    place: Place
    source: Source
    what: str
    at_ms: int | None
    tag: str | None = None
    record: tuple[Partition, int] | None = None
    details: Details = ()

    def line(self) -> dict[str, object]:
        """The event as an object of JSON."""
        record = self.record and {
            "topic": self.record[0].topic,
            "partition": self.record[0].number,
            "offset": self.record[1],
        }
        return {
            "document": str(self.place),
            "tag": self.tag,
            "at_ms": self.at_ms,
            "source": self.source.value.replace(" ", "-"),
            "what": self.what,
            "record": record,
            **dict(self.details),
        }


def journal_event(tag: Tag, record: Record, entry: Entry | None) -> Event:
    """What a record of the journal says.

    Args:
        tag: the document.
        record: the record.
        entry: its value; None for a tombstone.
    """
    writer = _header(record.headers, WRITER_HEADER)
    details = _given(writer=writer) if entry is None else _of_entry(entry, writer)
    what = CLOSED if entry is None else entry.state.value
    return _event(place_of(tag), Source.JOURNAL, what, record, details, str(tag))


def result_event(record: Record, fields: Mapping[str, object]) -> Event | None:
    """What a result says, or None when it names no document."""
    tag = tag_of_result(fields)
    if tag is None:
        return None
    names = ("run_type", "route", "document_id", "revision", "run_id", "observed_via", "output_state", "value_error")
    ends = ("failure_reason", "failure_message", "reviewed", "credits", "dashboard_url")
    details = _given(**{name: fields.get(name) for name in (*names, *ends)}, replay_of=_replay_of(record.headers))
    return _event(place_of(tag), Source.RESULT, str(fields.get("status")), record, details, str(tag))


def letter_event(record: Record) -> Event | None:
    """What a dead letter says, or None when it does not say where its record stood."""
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    partition, offset = headers.get(f"{CONNECT}partition", ""), headers.get(f"{CONNECT}offset", "")
    if not (partition.isdecimal() and offset.isdecimal()):
        return None
    place = Place(Partition(headers.get(f"{CONNECT}topic", ""), int(partition)), int(offset))
    details = _given(
        stage=headers.get(f"{CONNECT}stage"),
        message=headers.get(f"{CONNECT}exception.message"),
        api_code=headers.get("extend.api.code"),
        request_id=headers.get("extend.api.request_id"),
        replay_of=_replay_of(record.headers),
    )
    return _event(place, Source.DEAD_LETTER, headers.get("extend.reason", "?"), record, details, None)


def api_event(tag: Tag, run: Run, now_ms: int) -> Event:
    """What the API says of the run now."""
    details = _given(
        run_id=run.id,
        # The run of another document under this document's name would be a mistake worth seeing.
        tag_at_api=run.tag if run.tag != str(tag) else None,
        processor_id=run.processor_id,
        processor_version=run.processor_version,
        failure_reason=run.failure_reason,
        failure_message=run.failure_message,
        reviewed=run.reviewed,
        credits=run.credits,
        created_ms=run.created_ms,
        finished_ms=run.finished_ms,
        dashboard_url=run.dashboard_url,
    )
    return Event(place_of(tag), Source.API, run.status, now_ms, str(tag), None, details)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Document by document in the order of time; of one partition in the order in which it was written.

    Clocks of two workers differ, and the order within a partition is certain: so no record counts as older than one
    that stands before it there.
    """
    found = sorted(events, key=lambda event: event.record or (Partition("", 0), 0))
    latest: dict[Partition, int] = {}

    def when(event: Event) -> int:
        at = event.at_ms or 0
        if event.record is not None:
            at = latest[event.record[0]] = max(at, latest.get(event.record[0], 0))
        return at

    timed = [(when(event), event) for event in found]
    timed.sort(key=lambda item: (item[1].place.partition, item[1].place.offset, item[0], _rank(item[1])))
    return [event for _, event in timed]


def runs_of(events: Iterable[Event]) -> Iterator[tuple[Tag, str, str]]:
    """The runs that the events name, each once: tag, run type, run id."""
    seen: set[str] = set()
    for event in events:
        details = dict(event.details)
        run_id, run_type = details.get("run_id"), details.get("run_type")
        tag = Tag.parse(event.tag or "")
        if tag is not None and isinstance(run_id, str) and isinstance(run_type, str) and run_id not in seen:
            seen.add(run_id)
            yield tag, run_type, run_id


def _rank(event: Event) -> int:
    """What comes first within a millisecond: a result and the end of its entry are one transaction."""
    if event.source is Source.JOURNAL:
        return 2 if event.what == CLOSED else 0
    return 1


def _of_entry(entry: Entry, writer: str | None) -> Details:
    parked = entry.state is State.PARKED
    return _given(
        run_type=entry.request.run_type,
        route=entry.request.route,
        document_id=entry.request.document_id,
        run_id=entry.run_id,
        reason=entry.reason,
        attempts=entry.attempts or None,
        repeats=entry.repeats or None,
        nonce=entry.nonce if parked or entry.state is State.INTENT else None,
        revision=entry.revision or None,
        adopted=entry.adopted or None,
        replay_of=_replay_of(entry.headers),
        writer=writer,
    )


def _replay_of(headers: Headers) -> str | None:
    """The dead letter that `replay` sent again as this document; anything but a place is somebody else's header."""
    place = place_in(replayed_as(headers) or "")
    return None if place is None else str(place)


def _event(place: Place, source: Source, what: str, record: Record, details: Details, tag: str | None) -> Event:  # noqa: PLR0917 - the event's own parts
    return Event(place, source, what, record.timestamp, tag, (record.partition, record.offset), details)


def _given(**details: object) -> Details:
    return tuple((name, value) for name, value in details.items() if value is not None)


def _header(headers: Headers, wanted: str) -> str | None:
    found = [content for name, content in headers if name == wanted and content is not None]
    return found[-1].decode("utf-8", "replace") if found else None
