"""The record that says how a run ended: ``schemas/run_result.avsc`` for every status topic.

The run's output is passed through as the API's own bytes. A record that its topic could not take is not an
error: it loses its output, then whatever else is large, and says so; status, topic and ids always arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from connector.core.entry import Entry
from connector.core.record import Headers, OutRecord
from connector.core.run import Run
from connector.core.run_types import FAILED, RUN_TYPES, topic_of
from connector.core.tag import Tag, untagged_file_name
from connector.core.typed.typed_results import TypedOutput

ObservedVia = Literal["sweep", "poll", "webhook", "adopted"]
"""What told the connector that a run had ended."""

CONNECTOR_REASON = "CONNECTOR_"
"""Begins the failure reason of every end that is ours and not the API's."""

RESULT_TOO_LARGE = f"{CONNECTOR_REASON}RESULT_TOO_LARGE"
"""Why a run that has a result is told as FAILED: its topic cannot take the output, and nobody wants to miss that."""


class ResultCodec(Protocol):
    """Encodes results of one route for one topic."""

    def encode(self, datum: Mapping[str, object]) -> bytes:
        """The record's value."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Where a result goes as a failure instead of losing its output (``output.oversize: fail``).

    Attributes:
        topic: the topic of failures.
        max_bytes: what it takes.
        codec: encodes for it.
    """

    topic: str
    max_bytes: int
    codec: ResultCodec


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is about to be sent; parts can be taken out of it."""

    topic: str
    key: bytes | None
    headers: Headers
    fields: dict[str, object]

    def without(self, part: str) -> _Sent:
        """The same without one part, and with a sentence about it."""
        said = self.fields["value_error"]
        text = f"The {part} is left out: the topic cannot take a record of this size."
        fields = self.fields | {"value_error": f"{said} {text}" if said else text}
        if part == "key":
            return replace(self, key=None, fields=fields)
        if part == "headers":
            return replace(self, headers=(), fields=fields)
        if part in _OUTPUT:
            fields["output_state"] = "omitted"
        return replace(self, fields=fields | {part: None})

    @property
    def has_output(self) -> bool:
        """Whether the output is in it, as a text or as a record."""
        return any(self.fields.get(part) for part in _OUTPUT)

    def without_output(self) -> _Sent:
        """The same without the output, if it is in it."""
        sent = self
        for part in _OUTPUT:
            sent = sent.without(part) if self.fields.get(part) else sent
        return sent

    def failed(self, topic: str) -> _Sent:
        """The same as a failure of ours: its output is too large."""
        said = f"The run ended as {self.fields['status']}, but its output is too large for {self.topic}"
        ours = {"failure_reason": RESULT_TOO_LARGE, "failure_message": f"{said}; the run's id fetches it."}
        bare = self.without_output()
        return replace(bare, topic=topic, fields=bare.fields | {"status": FAILED} | ours)

    def record(self, codec: ResultCodec) -> OutRecord:
        return OutRecord(self.topic, self.key, codec.encode(self.fields), self.headers)


_OUTPUT = ("output", "value")
_PARTS = (*_OUTPUT, "failure_message", "metadata", "headers", "key")
"""What is taken out of a record that is too large, in this order."""


def result_record(
    entry: Entry,
    run: Run,
    *,
    prefix: str,
    observed_via: ObservedVia,
    observed_ms: int,
    emitted_ms: int,
    max_bytes: int,
    codec: ResultCodec,
    topic: str | None = None,
    failure: Failure | None = None,
    typed: TypedOutput | None = None,
) -> OutRecord:
    """The result of a run that has ended, or needs a review.

    Args:
        entry: the open document; the result is its next revision.
        run: the run as the GET showed it.
        prefix: of the status topics.
        observed_via: what told us: ``sweep``, ``poll``, ``webhook`` or ``adopted``.
        observed_ms: when the end was seen, milliseconds since the epoch.
        emitted_ms: now, milliseconds since the epoch.
        max_bytes: what the topic takes, compared with ``OutRecord.wire_size``. 0: it has refused the whole
            record, and how much it takes is not known; then the output is left out and nothing else.
        codec: of ``run_result``.
        topic: another topic than the status's own, e.g. ``<prefix>.timed-out``.
        failure: what becomes of a result whose output the topic cannot take; None: it loses the output. A run that
            has failed by itself keeps its own reason.
        typed: what became of the output on a typed route, whose schema has a field ``value``.

    Returns:
        A record with the input record's key and headers. Nothing of it is ever an error: texts that are no
        Unicode are repaired, an output that is no UTF-8 is omitted, and both are told in ``value_error``.
    """
    output, state, value_error = _output(run)
    sent = _Sent(
        topic=topic or topic_of(prefix, run.status),
        key=entry.key,
        headers=entry.headers,
        fields=_about(entry)
        | _of_run(entry, run)
        | {
            "output": output,
            "output_state": state,
            "output_ref": None,
            "value_error": value_error,
            "observed_via": observed_via,
            "times": _times(entry, run.finished_ms, observed_ms, emitted_ms),
        }
        | (_typed(typed, value_error) if typed else {}),
    )
    if failure is None or run.status == FAILED:
        return _fitted(sent, max_bytes, codec, None)
    if run.oversized:
        return _fitted(sent.failed(failure.topic), failure.max_bytes, failure.codec, None)
    return _fitted(sent, max_bytes, codec, failure)


def failed_run(
    entry: Entry,
    *,
    reason: str,
    message: str,
    prefix: str,
    observed_via: ObservedVia,
    observed_ms: int,
    emitted_ms: int,
    max_bytes: int,
    codec: ResultCodec,
    run: Run | None = None,
    topic: str | None = None,
) -> OutRecord:
    """The result of a document whose end is ours and not the API's: ``FAILED``, without an output.

    Args:
        entry: the open document; the result is its next revision.
        reason: a code; ``CONNECTOR_`` is put in front when it does not begin with it.
        message: one sentence for the reader of the topic.
        prefix: of the status topics.
        observed_via: what told us: ``sweep``, ``poll``, ``webhook`` or ``adopted``.
        observed_ms: when the end was decided, milliseconds since the epoch.
        emitted_ms: now, milliseconds since the epoch.
        max_bytes: as in ``result_record``.
        codec: of ``run_result``.
        run: the run as it was last seen, when one is known.
        topic: another topic than ``<prefix>.failed``, e.g. ``<prefix>.timed-out``.
    """
    known = run or Run(id=entry.run_id or "", run_type=entry.request.run_type, status=FAILED)
    ended = replace(
        known,
        status=FAILED,
        output=None,
        failure_reason=reason if reason.startswith(CONNECTOR_REASON) else f"{CONNECTOR_REASON}{reason}",
        failure_message=message,
        finished_ms=None,
    )
    return result_record(
        entry,
        ended,
        prefix=prefix,
        observed_via=observed_via,
        observed_ms=observed_ms,
        emitted_ms=emitted_ms,
        max_bytes=max_bytes,
        codec=codec,
        topic=topic,
    )


def result_id(tag: Tag, revision: int) -> str:
    """The name of one result for ever: ``<tag>@<revision>``."""
    return f"{tag}@{revision}"


def _about(entry: Entry) -> dict[str, object]:
    """What the input record and its reference say."""
    revision = entry.revision + 1
    return {
        "result_id": result_id(entry.tag, revision),
        "revision": revision,
        "run_type": entry.request.run_type,
        "document_id": _text(entry.request.document_id),
        "route": entry.request.route,
        "metadata": _text(entry.request.metadata),
        "source": {
            "topic": entry.partition.topic,
            "partition": entry.partition.number,
            "offset": entry.tag.offset,
            "timestamp": entry.source_timestamp,
        },
    }


def _of_run(entry: Entry, run: Run) -> dict[str, object]:
    """What the run says, and the reference where the run is silent."""
    return {
        "run_id": _text(run.id) or None,
        "status": _text(run.status),
        "processor_id": _text(run.processor_id or entry.request.processor_id),
        "processor_version": _text(run.processor_version),
        "failure_reason": _text(run.failure_reason),
        "failure_message": _text(run.failure_message),
        "reviewed": run.reviewed,
        "credits": run.credits,
        "file_id": _text(run.file_id or entry.request.file_id),
        "file_name": _text(_file_name(entry, run)),
        "dashboard_url": _text(run.dashboard_url),
    }


def _file_name(entry: Entry, run: Run) -> str | None:
    if entry.request.file_name is not None or run.file_name is None:
        return entry.request.file_name
    if RUN_TYPES[entry.request.run_type].rows_carry_metadata:
        return run.file_name
    return untagged_file_name(run.file_name, entry.tag)


def _times(entry: Entry, finished_ms: int | None, observed_ms: int, emitted_ms: int) -> dict[str, object]:
    return {
        "accepted": entry.accepted_ms,
        "started": entry.started_ms,
        "finished": finished_ms,
        "observed": observed_ms,
        "emitted": emitted_ms,
    }


def _output(run: Run) -> tuple[str | None, str, str | None]:
    """Output, its state, and what is wrong with it."""
    output = run.output
    if run.oversized:
        return None, "omitted", "The output is left out: it is larger than output.parse_max_bytes."
    if output is None:
        return None, "none", None
    try:
        return output.decode("utf-8"), "inline", None
    except UnicodeDecodeError as error:
        return None, "omitted", f"The output is left out: it is no valid UTF-8 (at byte {error.start})."


def _typed(typed: TypedOutput, value_error: str | None) -> dict[str, object]:
    """The output as a record. Where that holds all of it, the text would say everything twice."""
    if typed.fit == "whole":
        return {"value": typed.value, "output": None, "output_state": "typed"}
    return {"value": typed.value, "value_error": value_error or typed.error}


def _text(text: str | None) -> str | None:
    """The text, with a question mark for each lone surrogate: UTF-8, and so Avro, cannot hold them."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _fitted(sent: _Sent, max_bytes: int, codec: ResultCodec, failure: Failure | None) -> OutRecord:
    if max_bytes == 0 and (failure is None or not sent.has_output):
        return sent.without_output().record(codec)
    record = sent.record(codec)
    if failure is not None and sent.has_output and record.wire_size > max_bytes:
        return _fitted(sent.failed(failure.topic), failure.max_bytes, failure.codec, None)
    for part in _PARTS:
        if record.wire_size <= max_bytes:
            break
        present = {"key": sent.key, "headers": sent.headers}.get(part, sent.fields.get(part))
        if present:
            sent = sent.without(part)
            record = sent.record(codec)
    return record
