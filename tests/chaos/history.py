"""What happened in a run of the connector, as plain values: noted by the harness and read from the topics.

Nothing here comes from the connector's own logs or metrics: those are evidence for a person, not truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from connector.core.record import Partition
from connector.core.tag import Tag
from tests.chaos.trace import Trace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Input:
    """A record whose write the broker acknowledged. Records without an acknowledgement are no inputs.

    Attributes:
        tag: its name, computed by the harness from topic id, position and bytes.
        document_id: the caller's own id in the reference, or None.
        key: the record's key.
        at_ms: the record's timestamp.
    """

    tag: Tag
    document_id: str | None
    key: bytes | None = None
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """A record of a status topic, as a read_committed reader saw it.

    Attributes:
        topic: the status topic.
        place: partition and offset there, for messages.
        result_id: ``<tag>@<revision>``.
        source: the input partition that the value names.
        source_offset: the input offset that the value names.
        observed_via: how the run's end was seen; ``adopted`` where the run itself had to be found.
        at_ms: the record's timestamp.
        output: the API's own JSON text, or None.
    """

    topic: str
    place: str
    result_id: str
    revision: int
    run_id: str | None
    run_type: str
    status: str
    document_id: str | None
    source: Partition
    source_offset: int
    key: bytes | None = None
    failure_reason: str | None = None
    observed_via: str = ""
    at_ms: int = 0
    output: str | None = None

    @property
    def tag(self) -> str:
        """The input's name, from the result's id."""
        return self.result_id.rpartition("@")[0]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic, as a read_committed reader saw it.

    Attributes:
        place: partition and offset there, for messages.
        source: the input partition that its headers name.
        source_offset: the input offset that its headers name.
        reason: its reason code.
        at_ms: the record's timestamp.
    """

    place: str
    source: Partition
    source_offset: int
    reason: str
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """A line of the simulator's ledger: a run that was bought.

    Attributes:
        tag: the whole tag, or ``~k<partition>-<hash>`` where only the file name carries it, or None.
        at_ms: when it was created.
    """

    run_id: str
    run_type: str
    tag: str | None
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Withheld:
    """A line of the simulator's book of creates that came in, and that a fault kept from creating a run, or delayed.

    Attributes:
        tag: as a run's.
        at_ms: when the create came.
    """

    tag: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """What the folded journal still holds about a document.

    Attributes:
        tag: the document.
        state: ``intent``, ``ready``, ``started``, ``review`` or ``parked``.
        run_id: its run, where the journal knows one.
        revision: the last revision that was emitted.
        at_ms: timestamp of its last record.
    """

    tag: Tag
    state: str
    run_id: str | None = None
    revision: int = 0
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the harness did to a process.

    Attributes:
        kind: ``kill``, ``stop``, ``restart``, ...
        target: the process.
        at_ms: when it began.
        until_ms: when it was over.
        hit: it met open work: the stop-point was reached, or documents were open.
    """

    kind: str
    target: str
    at_ms: int
    until_ms: int
    hit: bool = True


@dataclass(frozen=True, slots=True)
class History:
    """Everything that is known about one run.

    Attributes:
        committed: the group's offsets at the end.
        marks: the next offsets that the journal's marks say at the end.
        withheld: creates that came to nothing, or late.
        trace: what only a harness that sees everything knows.
    """

    inputs: tuple[Input, ...]
    results: tuple[Result, ...]
    dead_letters: tuple[DeadLetter, ...]
    runs: tuple[CreatedRun, ...]
    open_entries: tuple[OpenEntry, ...]
    committed: Mapping[Partition, int]
    marks: Mapping[Partition, int]
    faults: tuple[Fault, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    trace: Trace | None = None


@dataclass(slots=True)
class Document:
    """All that is known about one input."""

    input: Input
    results: list[Result] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    runs: list[CreatedRun] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    entries: list[OpenEntry] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """Its name."""
        return str(self.input.tag)

    @property
    def closed(self) -> bool:
        """The journal does not hold it any more, or never did."""
        return not self.entries


@dataclass(frozen=True, slots=True)
class Joined:
    """A history by document, and what belongs to none."""

    documents: tuple[Document, ...]
    stray_results: tuple[Result, ...]
    stray_dead_letters: tuple[DeadLetter, ...]
    stray_runs: tuple[CreatedRun, ...]
    stray_entries: tuple[OpenEntry, ...]


def short_tag(tag: Tag) -> str:
    """The part of a file name that stands for a tag where a run carries no metadata."""
    return f"~k{tag.partition.number}-{tag.hash}"


def join(history: History) -> Joined:
    """Bring everything about one input together, by tag and by position."""
    documents = [Document(each) for each in history.inputs]
    by_tag = {document.tag: document for document in documents}
    by_tag |= {short_tag(document.input.tag): document for document in documents}
    by_position = {(d.input.tag.partition, d.input.tag.offset): d for d in documents}
    _add_each(history.withheld, lambda create: by_tag.get(create.tag or ""), lambda document: document.withheld)
    return Joined(
        tuple(documents),
        _add_each(history.results, lambda result: by_tag.get(result.tag), lambda document: document.results),
        _add_each(
            history.dead_letters,
            lambda letter: by_position.get((letter.source, letter.source_offset)),
            lambda document: document.dead_letters,
        ),
        _add_each(history.runs, lambda run: by_tag.get(run.tag or ""), lambda document: document.runs),
        _add_each(history.open_entries, lambda entry: by_tag.get(str(entry.tag)), lambda document: document.entries),
    )


def _add_each(
    events: Iterable[T],
    document_of: Callable[[T], Document | None],
    place: Callable[[Document], list[T]],
) -> tuple[T, ...]:
    """Put each event into its document; returns those that have none."""
    strays = []
    for event in events:
        document = document_of(event)
        if document is None:
            strays.append(event)
        else:
            place(document).append(event)
    return tuple(strays)


def timeline(document: Document, faults: Iterable[Fault], trace: Trace | None = None) -> str:
    """All events of one document in the order of time, with the faults that fall between its first and last."""
    tag = document.input.tag
    events = [(document.input.at_ms, f"input {tag.partition}@{tag.offset} document {document.input.document_id}")]
    events += [(run.at_ms, f"run {run.run_id} created ({run.run_type})") for run in document.runs]
    events += [(create.at_ms, "a create came in, and a fault withheld its run") for create in document.withheld]
    events += [
        (r.at_ms, f"result {r.topic} {r.place} revision {r.revision} {r.status} run {r.run_id}")
        for r in document.results
    ]
    events += [(letter.at_ms, f"dead letter {letter.place} {letter.reason}") for letter in document.dead_letters]
    events += [
        (e.at_ms, f"journal still holds it: {e.state}, run {e.run_id}, revision {e.revision}") for e in document.entries
    ]
    if trace is not None:
        events += [
            (line.at_ms, f"journal: {line.state or 'closed'} by {line.writer} in transaction {line.transaction}")
            for line in trace.journaled
            if line.tag == document.tag
        ]
        events += [
            (post.at_ms, f"POST by {post.sender}: {post.outcome}{'' if post.clear else ', not heard'}")
            for post in trace.posts
            if post.tag in (document.tag, short_tag(tag))
        ]
    last = max(at for at, _ in events)
    events += [
        (fault.at_ms, f"-- {fault.kind} of {fault.target} for {fault.until_ms - fault.at_ms} ms")
        for fault in faults
        if fault.until_ms >= document.input.at_ms and fault.at_ms <= last
    ]
    begin = document.input.at_ms
    lines = [f"  {(at - begin) / 1000:+9.3f} s  {text}" for at, text in sorted(events)]
    return "\n".join([document.tag, *lines])
