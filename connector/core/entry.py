"""A journal entry: all that must survive about one open document.

State by state: ``intent`` a POST may be on its way; ``ready`` accepted, certainly no run; ``started`` the
run is known; ``review`` its NEEDS_REVIEW is out and a person has not decided; ``parked`` an unclear start. A
tombstone means done. Until ``started`` an entry holds the original record and the resolved request, so that a changed
route cannot buy another run; afterwards only what the result needs. What a document says is left out of every
``repr``: an entry in a stack trace must not tell it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from connector.core.record import Headers, Partition, Record
from connector.core.tag import Tag


class State(StrEnum):
    """Where an open document is."""

    INTENT = "intent"
    READY = "ready"
    STARTED = "started"
    REVIEW = "review"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Request:
    """A resolved create request: what will be POSTed, whatever becomes of the configuration.

    Attributes:
        run_type: name of the run type.
        route: name of the route that matched.
        body: the JSON bytes of the create body, tag included.
        processor_id: extractor, classifier, splitter, workflow or template id, or None.
        document_id: the caller's own id, or None.
        metadata: JSON text of the caller's metadata (without our key), or None.
        file_id: the id of the file at the API, when the reference named one.
        file_name: the original file name, or None.
    """

    run_type: str
    route: str
    body: bytes = field(repr=False)
    processor_id: str | None = None
    document_id: str | None = None
    metadata: str | None = field(default=None, repr=False)
    file_id: str | None = None
    file_name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One open document.

    Attributes:
        tag: its name for ever; the journal's key.
        state: where it is.
        request: what was or will be asked of the API. Its ``body`` is empty from ``started`` on.
        key: the input record's key.
        headers: the input record's headers, passed through to the result.
        value: the input record's value until ``started``, then None.
        source_timestamp: the input record's timestamp in milliseconds, or None.
        accepted_ms: when it was accepted, milliseconds since the epoch.
        nonce: names one POST of this entry; fresh for every intent.
        attempts: how many intents were written for it.
        run_id: the run, from ``started`` on.
        started_ms: when the run was known, or None.
        revision: the last revision that was emitted; 0 before the first.
        reason: why it is parked or waiting, a code; or None.
        adopted: the run was found and not answered by our own POST.
        repeats: how many of its unclear starts were given up and started again: each may have left a run.
    """

    tag: Tag
    state: State
    request: Request
    key: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    value: bytes | None = field(repr=False)
    source_timestamp: int | None
    accepted_ms: int
    nonce: str | None = None
    attempts: int = 0
    run_id: str | None = None
    started_ms: int | None = None
    revision: int = 0
    reason: str | None = None
    adopted: bool = False
    repeats: int = 0

    @property
    def partition(self) -> Partition:
        """The input partition that owns this entry."""
        return self.tag.partition

    @property
    def size(self) -> int:
        """Bytes that the document itself takes in memory, for the byte limit."""
        return len(self.request.body) + len(self.value or b"") + len(self.key or b"")

    def intend(self, nonce: str) -> Entry:
        """A POST will follow at once under this nonce."""
        return replace(self, state=State.INTENT, nonce=nonce, attempts=self.attempts + 1, reason=None)

    def wait(self, reason: str) -> Entry:
        """Certainly no run exists; it waits its turn."""
        return replace(self, state=State.READY, nonce=None, reason=reason)

    def park(self, reason: str) -> Entry:
        """The last POST is unclear: no POST follows without a person."""
        return replace(self, state=State.PARKED, reason=reason)

    def repeat(self, reason: str) -> Entry:
        """The last POST is unclear, and somebody takes the risk: it may be started again, and buy a second run."""
        return replace(self, state=State.READY, nonce=None, reason=reason, repeats=self.repeats + 1)

    def start(self, run_id: str, now_ms: int, *, adopted: bool = False) -> Entry:
        """The run exists. The original record is not needed any more."""
        return replace(
            self,
            state=State.STARTED,
            request=replace(self.request, body=b""),
            value=None,
            nonce=None,
            run_id=run_id,
            started_ms=now_ms,
            reason=None,
            adopted=adopted,
        )

    def review(self) -> Entry:
        """A NEEDS_REVIEW was emitted; the person's decision will be the next revision."""
        return replace(self, state=State.REVIEW, revision=self.revision + 1)


def accept(tag: Tag, request: Request, record: Record, now_ms: int) -> Entry:
    """A new entry for a record: ``ready``, nothing asked yet."""
    return Entry(
        tag=tag,
        state=State.READY,
        request=request,
        key=record.key,
        headers=record.headers,
        value=record.value,
        source_timestamp=record.timestamp,
        accepted_ms=now_ms,
    )
