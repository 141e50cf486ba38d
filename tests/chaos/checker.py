"""Whether a history keeps what the connector promises. Linear scans over plain values; nothing is sampled.

==============  ===============================================================================================
kind            what is wrong
==============  ===============================================================================================
duplicate       one reference has two results of one revision, or a result and a dead letter, or two dead letters
lost            an input has no result, no dead letter and no open entry
second run      more than one run was bought for one tag
phantom         a result, dead letter, run or entry that belongs to no input, or whose run is not its own
untrue          a result says something else than its input, its run or its topic
revisions       revisions have a gap, or go on after the last one
torn            the journal is closed and the final result is missing, or the other way round
offset          a committed offset or mark is above an unaccounted input, or below an accounted one
unfinished      the journal holds work that should have ended by now
parked          more are parked than the faults explain
unused run      a run was bought, nobody got its result, and its input is not parked
vacuous         nothing happened that could have broken anything
unjournaled     a POST without a committed intent of its own in front of it
reposted        a POST after one that may have bought a run
split           records that belong together came in different transactions, or without an offset that fences
too early       a request before the time that the API asked to wait for
hanging         a transaction or a partition that has not come to its end
fenced alive    a worker that was well lost its producer to another one
order           a result before the one of an earlier input with its key
leak            a secret where it may not be
==============  ===============================================================================================

Those from *unjournaled* on need a trace (``invariants.py``). ``violation.py`` says which invariant each one breaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connector.core.entry import State
from connector.core.record import Partition
from connector.core.run_types import NEEDS_REVIEW, TIMED_OUT, topic_of
from tests.chaos.history import CreatedRun, Document, History, Joined, Result, join, timeline
from tests.chaos.invariants import check_trace
from tests.chaos.violation import Violation

DEATHS = frozenset({"kill", "exit"})
"""Kinds of fault after which nobody knows any more what a worker had sent. Who sleeps tells it when it wakes."""

_TIMELINES = 5
_LINES = 40


@dataclass(frozen=True, slots=True)
class Rules:
    """What this run promised, and what must have happened in it.

    Attributes:
        prefix: the first part of the status topics' names.
        parked_at_most: parked documents that its faults explain; not looked at with ``settle_ms``.
        run_types: run types that must have been bought at least once.
        statuses: statuses that must be among the results.
        faults: fault kinds, and how often each must have hit open work.
        partitions: input partitions, each of which must have inputs.
        reviews: NEEDS_REVIEW is followed by another revision (``follow.reviews``).
        settle_ms: unclear starts are looked up for so long, and adopted (``start.settle``); None: all are parked.
        max_open: starts that one worker has open at once (``start.max_open``); only with ``settle_ms``.
    """

    prefix: str
    parked_at_most: int
    run_types: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    faults: Mapping[str, int] = field(default_factory=dict)
    partitions: frozenset[Partition] = frozenset()
    reviews: bool = True
    settle_ms: int | None = None
    max_open: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """All broken promises, and how much was looked at."""

    violations: tuple[Violation, ...]
    counts: Mapping[str, int]
    history: History

    @property
    def invariants(self) -> set[str]:
        """The invariants that are broken."""
        return {violation.invariant for violation in self.violations}

    @property
    def kinds(self) -> Counter[str]:
        """How many violations of each kind."""
        return Counter(violation.kind for violation in self.violations)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        if not self.violations:
            return f"every promise kept: {counts}"
        shown = [str(violation) for violation in self.violations[:_LINES]]
        if len(self.violations) > _LINES:
            shown.append(f"... and {len(self.violations) - _LINES} more")
        documents = {v.document.tag: v.document for v in self.violations if v.document is not None}
        # The shortest stories explain the most.
        history = self.history
        stories = (timeline(each, history.faults, history.trace) for each in documents.values())
        shortest = sorted(stories, key=len)
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.kinds.items())
        return "\n".join([f"{kinds} in {counts}", *shown, "", *shortest[:_TIMELINES]])


def check(history: History, rules: Rules) -> Verdict:
    """Hold a finished run (everything drained, nothing running) to its promises.

    Args:
        history: what happened.
        rules: what was promised.
    """
    joined = join(history)
    violations: list[Violation] = []
    held = _held_keys(joined) if history.trace is not None and history.trace.ordered else frozenset()
    for document in joined.documents:
        violations += _accounting(document)
        violations += _runs(document)
        violations += _results(document, rules)
        violations += _journal(document, rules, waits=(document.input.tag.partition, document.input.key) in held)
        violations += _offsets(document, history)
    violations += _strays(joined)
    violations += _marks(history)
    violations += _parked(joined, history, rules)
    violations += _vacuity(history, rules)
    if history.trace is not None:
        violations += check_trace(history, joined.documents, history.trace)
    counts = {
        "inputs": len(history.inputs),
        "results": len(history.results),
        "dead letters": len(history.dead_letters),
        "runs": len(history.runs),
        "parked": sum(entry.state == State.PARKED for entry in history.open_entries),
        "faults": len(history.faults),
    }
    return Verdict(tuple(violations), counts, history)


def _accounted(document: Document) -> bool:
    return bool(document.results or document.dead_letters or document.entries)


def _accounting(document: Document) -> Iterator[Violation]:
    if not _accounted(document):
        yield Violation("lost", f"{document.tag} has no result, no dead letter and no open entry", document)
    for revision, count in Counter(result.revision for result in document.results).items():
        if count > 1:
            yield Violation("duplicate", f"{document.tag} has {count} results of revision {revision}", document)
    letters = len(document.dead_letters)
    if letters > 1:
        yield Violation("duplicate", f"{document.tag} has {letters} dead letters", document)
    if letters and document.results:
        yield Violation("duplicate", f"{document.tag} has a result and a dead letter", document)
    if letters and document.entries:
        yield Violation("torn", f"{document.tag} has a dead letter, and the journal still holds it", document)


def _runs(document: Document) -> Iterator[Violation]:
    if len(document.runs) > 1:
        ids = ", ".join(run.run_id for run in document.runs)
        yield Violation("second run", f"{document.tag} was bought {len(document.runs)} times: {ids}", document)
    delivered = {result.run_id for result in document.results} | {entry.run_id for entry in document.entries}
    if any(entry.state == State.PARKED for entry in document.entries):
        return  # an unclear start: its run may well exist
    for run in document.runs:
        if run.run_id not in delivered:
            yield Violation("unused run", f"nobody got the result of run {run.run_id} of {document.tag}", document)


def _results(document: Document, rules: Rules) -> Iterator[Violation]:
    own = {run.run_id: run for run in document.runs}
    wanted = document.input
    for result in document.results:
        run = own.get(result.run_id or "")
        ours = result.run_id is None and (result.failure_reason or "").startswith("CONNECTOR_")
        if run is None and not ours:
            yield Violation("phantom", f"{result.result_id} shows run {result.run_id}, which is not its own", document)
        said = {
            "result_id": (result.result_id, f"{document.tag}@{result.revision}"),
            "source": (result.source, wanted.tag.partition),
            "source.offset": (result.source_offset, wanted.tag.offset),
            "document_id": (result.document_id, wanted.document_id),
            "key": (result.key, wanted.key),
            "run_type": (result.run_type, run.run_type if run else result.run_type),
            "topic": (result.topic, topic_of(rules.prefix, _end_of(result))),
        }
        for name, (found, right) in said.items():
            if found != right:
                message = f"{result.result_id} says {name} {found!r} instead of {right!r}"
                yield Violation("untrue", message, document)
    yield from _revisions(document)


def _end_of(result: Result) -> str:
    """What names its topic: the status, unless the connector gave up waiting, which no status of the API says."""
    timed_out = result.status == "FAILED" and result.failure_reason == "CONNECTOR_TIMED_OUT"
    return TIMED_OUT if timed_out else result.status


def _revisions(document: Document) -> Iterator[Violation]:
    ordered = sorted(document.results, key=lambda result: result.revision)
    revisions = sorted({result.revision for result in ordered})
    if revisions != list(range(1, len(revisions) + 1)):
        yield Violation("revisions", f"{document.tag} has the revisions {revisions}", document)
    last = revisions[-1] if revisions else 0
    for result in ordered:
        if result.revision < last and result.status != NEEDS_REVIEW:
            message = f"{document.tag} goes on to revision {last} after {result.status} at {result.revision}"
            yield Violation("revisions", message, document)
        if result.revision > 1 and result.status == NEEDS_REVIEW:
            yield Violation("revisions", f"{document.tag} is {NEEDS_REVIEW} again", document)
    if len({result.run_id for result in ordered}) > 1:
        yield Violation("revisions", f"{document.tag} changed its run between revisions", document)


def _held_keys(joined: Joined) -> frozenset[tuple[Partition, bytes | None]]:
    """Keys that a parked document holds: who comes behind it waits for a person too."""
    parked = (d for d in joined.documents if any(entry.state == State.PARKED for entry in d.entries))
    return frozenset((d.input.tag.partition, d.input.key) for d in parked if d.input.key is not None)


def _journal(document: Document, rules: Rules, *, waits: bool) -> Iterator[Violation]:
    final = [r for r in document.results if r.status != NEEDS_REVIEW or not rules.reviews]
    if document.closed and document.results and not final:
        yield Violation("torn", f"{document.tag} is closed, and its final result is missing", document)
    for entry in document.entries:
        if final:
            message = f"{document.tag} has its final result, and the journal holds it as {entry.state}"
            yield Violation("torn", message, document)
            continue
        emitted = max((result.revision for result in document.results), default=0)
        if entry.revision != emitted:
            message = f"{document.tag} has revision {emitted}, and the journal says {entry.revision}"
            yield Violation("torn", message, document)
        if entry.state != State.PARKED and not (waits and entry.state == State.READY):
            yield Violation("unfinished", f"{document.tag} is still {entry.state}", document)


def _offsets(document: Document, history: History) -> Iterator[Violation]:
    tag = document.input.tag
    committed = history.committed.get(tag.partition, 0)
    if tag.offset < committed and not _accounted(document):
        message = f"{tag.partition} is committed up to {committed}, above {document.tag}, which is unaccounted"
        yield Violation("offset", message, document)
    if tag.offset >= committed and _accounted(document):
        message = f"{tag.partition} is committed up to {committed}, below {document.tag}, which is accounted for"
        yield Violation("offset", message, document)


def _marks(history: History) -> Iterator[Violation]:
    """Mark and offset are written in one transaction, always."""
    for partition in history.committed.keys() | history.marks.keys():
        committed, mark = history.committed.get(partition), history.marks.get(partition)
        if committed != mark:
            yield Violation("offset", f"{partition} is committed up to {committed}, and its mark says {mark}")


def _strays(joined: Joined) -> Iterator[Violation]:
    for result in joined.stray_results:
        yield Violation("phantom", f"{result.result_id} at {result.topic} {result.place} belongs to no input")
    for letter in joined.stray_dead_letters:
        yield Violation("phantom", f"the dead letter {letter.place} names {letter.source}@{letter.source_offset}")
    for run in joined.stray_runs:
        yield Violation("phantom", f"run {run.run_id} was bought for {run.tag!r}, which is no input")
    for entry in joined.stray_entries:
        yield Violation("phantom", f"the journal holds {entry.tag}, which is no input")


def _parked(joined: Joined, history: History, rules: Rules) -> Iterator[Violation]:
    parked = [d for d in joined.documents if any(entry.state == State.PARKED for entry in d.entries)]
    if rules.settle_ms is not None:
        yield from _not_adopted(parked, history, rules.settle_ms, rules.max_open)
    elif len(parked) > rules.parked_at_most:
        message = f"{len(parked)} documents are parked; the faults explain {rules.parked_at_most}"
        yield Violation("parked", message, parked[0])


def _not_adopted(
    parked: Sequence[Document],
    history: History,
    settle_ms: int,
    max_open: int,
) -> Iterator[Violation]:
    """Parked is what the API never created, or created after the window. A sudden death may leave a little more.

    Where a create came in and a fault withheld its run, nobody can do better. Where none came, its worker ended
    between the intent and the POST: so many starts can be open in one worker. Where a run was created in time, its
    worker died, and one run for each death may be such that no list shows it.
    """
    deaths = sum(fault.kind in DEATHS for fault in history.faults)
    never_sent = [d for d in parked if not d.runs and not d.withheld]
    if len(never_sent) > deaths * max_open:
        message = f"{len(never_sent)} documents are parked that no POST ever came for; {deaths} workers died"
        yield Violation("parked", message, never_sent[0])
    in_time = [d for d in parked if any(not _created_late(run, d, settle_ms) for run in d.runs)]
    kills = sum(fault.kind == "kill" for fault in history.faults)
    if len(in_time) > kills:
        message = f"{len(in_time)} documents are parked whose runs the API had in time; {kills} workers were killed"
        yield Violation("parked", message, in_time[0])


def _created_late(run: CreatedRun, document: Document, settle_ms: int) -> bool:
    return any(run.at_ms - create.at_ms > settle_ms for create in document.withheld)


def _vacuity(history: History, rules: Rules) -> Iterator[Violation]:
    if not history.inputs:
        yield Violation("vacuous", "there was no input")
    filled = {each.tag.partition for each in history.inputs}
    for partition in sorted(rules.partitions - filled):
        yield Violation("vacuous", f"{partition} had no input")
    for name in sorted(rules.run_types - {run.run_type for run in history.runs}):
        yield Violation("vacuous", f"no {name} run was bought")
    for status in sorted(rules.statuses - {result.status for result in history.results}):
        yield Violation("vacuous", f"no result is {status}")
    hits = Counter(fault.kind for fault in history.faults if fault.hit)
    for kind, wanted in rules.faults.items():
        if hits[kind] < wanted:
            yield Violation("vacuous", f"{kind} met open work {hits[kind]} times instead of {wanted}")
