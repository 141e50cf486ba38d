"""The invariants that need a trace: what must hold at every instant, and not only in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from connector.core.entry import State
from connector.core.record import Partition
from tests.chaos.history import Document, History
from tests.chaos.trace import Emitted, Journaled, Trace
from tests.chaos.violation import Violation


def check_trace(history: History, documents: Iterable[Document], trace: Trace) -> Iterator[Violation]:
    """Hold a trace to what was promised.

    Args:
        history: the run.
        documents: its inputs with all that is known about them.
        trace: what the harness saw.
    """
    by_tag = {document.tag: document for document in documents}
    yield from _intents(trace, by_tag)
    yield from _posts(trace, by_tag)
    yield from _atomic(trace, by_tag)
    yield from _offsets(history, trace)
    yield from _truth(history, trace, by_tag)
    yield from _parked(trace, by_tag)
    yield from _order(history, trace, by_tag)
    for what in trace.hanging:
        yield Violation("hanging", what)
    for what in trace.fenced_alive:
        yield Violation("fenced alive", what)
    for what in trace.too_early:
        yield Violation("too early", what)
    for what in trace.leaks:
        yield Violation("leak", what)


def _intents(trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """Each POST has a committed intent of its own in front of it."""
    intended: dict[str, list[int]] = {}
    for line in trace.journaled:
        if line.state == "intent":
            intended.setdefault(_name(line.tag), []).append(line.at_ms)
    for post in trace.posts:
        places = intended.get(_name(post.tag), [])
        if not places or places[0] > post.at_ms:
            yield Violation("unjournaled", f"{post.tag} was POSTed without an intent", by_tag.get(post.tag))
        else:
            places.pop(0)


def _posts(trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """After a POST that may have bought a run there is no other."""
    spent: dict[str, str] = {}
    for post in trace.posts:
        before = spent.get(post.tag)
        if before is not None:
            yield Violation("reposted", f"{post.tag} was POSTed after a POST that was {before}", by_tag.get(post.tag))
        if post.run_id is not None or not post.clear:
            spent[post.tag] = post.outcome


def _atomic(trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """What belongs together is in one transaction: a record, what it does to the journal, and the offset."""
    # A result closes its entry, or says that it waits for a person; any other state there is not its own.
    journal = {(line.transaction, line.tag) for line in trace.journaled if line.state in {None, State.REVIEW}}
    fences = {(step.transaction, step.partition) for step in trace.advanced}
    seen: set[str] = {line.tag for line in trace.journaled}
    for record in trace.emitted:
        if (record.transaction, record.tag) not in journal and record.tag in seen:
            message = f"{record.tag} came to {record.topic} in a transaction that does not write its journal entry"
            yield Violation("split", message, by_tag.get(record.tag))
        if (record.transaction, record.source) not in fences:
            message = f"{record.tag} came to {record.topic} in a transaction without an offset of {record.source}"
            yield Violation("split", message, by_tag.get(record.tag))
    for line in trace.journaled:
        partition = _partition_of(line.tag)
        if partition is not None and (line.transaction, partition) not in fences:
            message = f"{line.tag} became {line.state or 'closed'} in a transaction without an offset of {partition}"
            yield Violation("split", message, by_tag.get(line.tag))


def _offsets(history: History, trace: Trace) -> Iterator[Violation]:
    """An offset never passes an input that is not accounted for yet, and never goes back."""
    since = _accounted_since(trace.journaled, trace.emitted)
    inputs: dict[Partition, list[tuple[int, str]]] = {}
    for given in history.inputs:
        inputs.setdefault(given.tag.partition, []).append((given.tag.offset, str(given.tag)))
    last: dict[Partition, int] = {}
    for step in trace.advanced:
        if step.transaction is None:
            last[step.partition] = step.offset
            continue
        if step.offset < last.get(step.partition, 0):
            message = f"{step.partition} went back from {last[step.partition]} to {step.offset}"
            yield Violation("offset", message)
        for offset, tag in inputs.get(step.partition, []):
            if last.get(step.partition, 0) <= offset < step.offset and since.get(tag, step.at_ms + 1) > step.at_ms:
                yield Violation("offset", f"{step.partition} was committed to {step.offset}, past {tag}")
        last[step.partition] = step.offset


def _accounted_since(journaled: Iterable[Journaled], emitted: Iterable[Emitted]) -> dict[str, int]:
    since: dict[str, int] = {}
    seen = [*((line.tag, line.at_ms) for line in journaled), *((record.tag, record.at_ms) for record in emitted)]
    for tag, at_ms in seen:
        since[tag] = min(at_ms, since.get(tag, at_ms))
    return since


def _truth(history: History, trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """A result shows an end that its run really came to, and the output of that end."""
    runs = {run_id for run_id, _ in trace.outputs}
    for result in history.results:
        if result.run_id not in runs:
            continue  # no such run: that is a phantom
        output = trace.outputs.get((result.run_id or "", result.status))
        if output is None:
            message = f"{result.result_id} shows {result.status}, which run {result.run_id} never was"
            yield Violation("untrue", message, by_tag.get(result.tag))
        elif result.output is not None and result.output != output:
            message = f"{result.result_id} shows another output than run {result.run_id}"
            yield Violation("untrue", message, by_tag.get(result.tag))


def _parked(trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """Parked is only what nobody could know."""
    for tag, document in by_tag.items():
        if tag not in trace.excused and any(entry.state == "parked" for entry in document.entries):
            yield Violation("parked", f"{tag} is parked, and what became of its POST was known", document)


def _order(history: History, trace: Trace, by_tag: dict[str, Document]) -> Iterator[Violation]:
    """Results of one key in the order of its inputs."""
    if not trace.ordered:
        return
    first: dict[str, int] = {}
    for record in trace.emitted:
        first.setdefault(record.tag, record.transaction)
    newest: dict[tuple[Partition, bytes], tuple[int, str]] = {}
    for given in sorted(history.inputs, key=lambda each: each.tag.offset):
        transaction = first.get(str(given.tag))
        if given.key is None or transaction is None:
            continue
        place = (given.tag.partition, given.key)
        before = newest.get(place)
        if before is not None and transaction < before[0]:
            message = f"{given.tag} has its result before {before[1]}, whose key is the same"
            yield Violation("order", message, by_tag.get(str(given.tag)))
        newest[place] = (transaction, str(given.tag))


def _name(tag: str) -> str:
    """The end of a tag, which also a file name carries."""
    return tag[-22:]


def _partition_of(tag: str) -> Partition | None:
    name, _, rest = tag.rpartition("#")[0].partition("/")
    topic, _, number = rest.rpartition("/")[0].rpartition("/")
    return Partition(topic, int(number)) if name and number.isdecimal() else None
