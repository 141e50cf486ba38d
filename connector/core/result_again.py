"""A result that is told once more, from what the API shows of its run now: the next revision, and no new run.

What the journal knew of the document is gone; its last result says all that the next one needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from connector.core.entry import Entry, Request, State
from connector.core.lookup import proves
from connector.core.record import Headers, Record
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES, is_terminal
from connector.core.tag import Tag

_OF_THE_TELLING = frozenset({"result_id", "revision", "observed_via", "times"})
"""Fields that differ although the run is told in the same way."""


class _Source(msgspec.Struct, frozen=True):
    timestamp: int | None


class _Times(msgspec.Struct, frozen=True):
    accepted: int | None
    started: int | None


class _Facts(msgspec.Struct, frozen=True):
    """What the next result takes from the last one."""

    revision: int
    run_id: str | None
    run_type: str
    document_id: str | None
    route: str
    processor_id: str | None
    source: _Source
    metadata: str | None
    file_id: str | None
    file_name: str | None
    times: _Times


class NotAgain(Exception):  # noqa: N818 - it names what happened
    """A result is not told once more; the message is the end of a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """The last result of a document, as it stands in its topic.

    Attributes:
        key: the record's key, which is the input record's.
        headers: likewise.
        fields: the decoded value.
    """

    key: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    fields: Mapping[str, object] = field(repr=False)

    @property
    def revision(self) -> int:
        """Its revision."""
        return self._facts.revision

    def run(self) -> tuple[str, str]:
        """Type and id of its run.

        Raises:
            NotAgain: it has none that can be read.
        """
        facts = self._facts
        if facts.run_id is None:
            raise NotAgain("its document was ended before a run was known")
        if facts.run_type not in RUN_TYPES:
            raise NotAgain(f"{facts.run_type} is no run type of this version")
        return facts.run_type, facts.run_id

    def entry(self, tag: Tag) -> Entry:
        """The document as its journal entry was, so far as a result depends on it."""
        facts = self._facts
        request = Request(
            run_type=facts.run_type,
            route=facts.route,
            body=b"",
            processor_id=facts.processor_id,
            document_id=facts.document_id,
            metadata=facts.metadata,
            file_id=facts.file_id,
            file_name=facts.file_name,
        )
        return Entry(
            tag=tag,
            state=State.STARTED,
            request=request,
            key=self.key,
            headers=self.headers,
            value=None,
            source_timestamp=facts.source.timestamp,
            accepted_ms=facts.times.accepted or 0,
            run_id=facts.run_id,
            started_ms=facts.times.started,
            revision=facts.revision,
        )

    def says_as_much_as(self, other: Mapping[str, object]) -> bool:
        """Whether a result of the same run says nothing else than this one."""
        names = (self.fields.keys() | other.keys()) - _OF_THE_TELLING
        return all(self.fields.get(name) == other.get(name) for name in names)

    @property
    def _facts(self) -> _Facts:
        return msgspec.convert(self.fields, _Facts)


def later(told: Told | None, record: Record, fields: Mapping[str, object]) -> Told:
    """The later one of two results of a document."""
    found = Told(record.key, record.headers, fields)
    return found if told is None or found.revision > told.revision else told


def check_run(run: Run, tag: Tag) -> None:
    """See that a run is this document's, and has come to an end.

    Raises:
        NotAgain: it is not, or has not.
    """
    if not proves(run, tag):
        raise NotAgain(f"the API shows the run {run.id} under another tag: {run.tag or 'none'}")
    if not is_terminal(run.status):
        raise NotAgain(f"the run {run.id} has not ended: it is {run.status}")
