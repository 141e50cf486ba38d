"""A run as the API shows it, and a page of runs: read with care, kept byte for byte.

Only the id is indispensable. Unknown fields are ignored, unknown statuses kept, and a known field of another
type than documented is taken as absent: the API may grow (API versioning page), and runs from before
2026-02-09 come in older shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import Raw

from connector.core.formats.json_limits import MAX_DEPTH, is_too_deep, is_utf8
from connector.core.run_types import RUN_TYPES, is_terminal
from connector.core.tag import METADATA_KEY

MAX_ID_CHARS = 255
"""Ids may grow to this length without a new API version (API versioning page)."""

NOT_KNOWN_TO_HAVE_ENDED = "PENDING"
"""The status of a run that shows none: it must neither count as ended nor make its create unclear."""

Fields = Mapping[str, Raw]
T = TypeVar("T")

_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_number = msgspec.json.Decoder(float)
_raw = msgspec.json.Decoder(Raw)


class UnreadableRun(ValueError):  # noqa: N818 - it names what was read
    """An answer that is no run, or no page of runs.

    Attributes:
        reason: ``TOO_DEEP``, ``NOT_JSON`` or ``NO_ID``.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Everything but id, type and status may be unknown (None).

    Attributes:
        id: the API's id.
        run_type: name of the run type.
        status: the API's own word, unknown ones too.
        output: the API's own JSON text of ``output`` (a workflow's ``stepRuns``), byte for byte.
        output_url: a link to the output instead, which was asked for; it is a key to the document for some minutes.
        oversized: its output is larger than may be fetched.
        failure_reason: a code; the list is open.
        failure_message: a sentence of the API.
        reviewed: whether a person has reviewed it.
        credits: what it cost: ``usage.totalCredits``, else ``usage.credits``.
        tag: the tag in its metadata.
        processor_id: extractor, classifier, splitter or workflow.
        processor_version: the version as the run shows it.
        file_id: the id of its file, when it has exactly one.
        file_name: the name of that file at the API.
        dashboard_url: where a person can look at it.
        created_ms: milliseconds since the epoch; parse and edit runs do not show it.
        updated_ms: milliseconds since the epoch.
        started_ms: milliseconds since the epoch; only workflow runs show it.
        finished_ms: milliseconds since the epoch: ``endTime``, else the last update of a run that has ended.
    """

    id: str
    run_type: str
    status: str
    output: bytes | None = None
    output_url: str | None = field(default=None, repr=False)
    oversized: bool = False
    failure_reason: str | None = None
    failure_message: str | None = None
    reviewed: bool | None = None
    credits: float | None = None
    tag: str | None = None
    processor_id: str | None = None
    processor_version: str | None = None
    file_id: str | None = None
    file_name: str | None = None
    dashboard_url: str | None = None
    created_ms: int | None = None
    updated_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One run in a list: enough to know whether it ended and whose it is.

    Attributes:
        id: the API's id.
        run_type: name of the run type.
        status: the API's own word.
        tag: the tag in its metadata; workflow and edit rows have none.
        file_names: the names of its files: where the tag stands for those types.
        created_ms: milliseconds since the epoch, or None.
        updated_ms: milliseconds since the epoch, or None.
    """

    id: str
    run_type: str
    status: str
    tag: str | None = None
    file_names: tuple[str, ...] = ()
    created_ms: int | None = None
    updated_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        rows: its readable rows, in the API's order.
        next_token: asks for the next page; None on the last one.
        unreadable: rows without a usable id.
    """

    rows: tuple[Row, ...]
    next_token: str | None = None
    unreadable: int = 0


def parse_run(run_type: str, body: bytes) -> Run:
    """The run in an answer of create, get, cancel or a synchronous endpoint.

    Args:
        run_type: name of the run type that was asked for.
        body: the answer's bytes.

    Raises:
        UnreadableRun: (a ValueError) too deep, not JSON, or without a usable id.
    """
    run_row = RUN_TYPES[run_type]
    fields = _answer(body)
    run_id = _id(fields)
    if run_id is None:
        raise UnreadableRun("NO_ID", "The answer holds no usable run id.")
    status = _status(fields)
    files = _files(fields)
    file = files[0] if len(files) == 1 else {}
    usage = _inner(fields, "usage")
    updated_ms = _instant(fields, "updatedAt")
    finished_ms = _instant(fields, "endTime")
    if finished_ms is None and is_terminal(status):
        finished_ms = updated_ms
    processor = None if run_row.processor_is_id else run_row.processor_field
    return Run(
        id=run_id,
        run_type=run_type,
        status=status,
        output=_bytes(fields, "stepRuns" if run_type == "workflow" else "output"),
        output_url=_read(_text, fields, "outputUrl"),
        failure_reason=_read(_text, fields, "failureReason"),
        failure_message=_read(_text, fields, "failureMessage"),
        reviewed=_read(_flag, fields, "reviewed"),
        credits=_first(_read(_number, usage, "totalCredits"), _read(_number, usage, "credits")),
        tag=_tag(fields),
        processor_id=_read(_text, _inner(fields, processor), "id") if processor else None,
        processor_version=_read(_text, _inner(fields, f"{processor}Version"), "version") if processor else None,
        file_id=_read(_text, file, "id"),
        file_name=_read(_text, file, "name"),
        dashboard_url=_read(_text, fields, "dashboardUrl"),
        created_ms=_first(_instant(fields, "createdAt"), _instant(fields, "initialRunAt")),
        updated_ms=updated_ms,
        started_ms=_instant(fields, "startTime"),
        finished_ms=finished_ms,
    )


def with_output(run: Run, body: bytes) -> Run:
    """The run with an output that was fetched by its link, byte for byte.

    Raises:
        UnreadableRun: (a ValueError) too deep, or not JSON.
    """
    if is_too_deep(body):
        raise UnreadableRun("TOO_DEEP", f"It nests deeper than {MAX_DEPTH} levels, or is cut off.")
    text = _decode(_raw, body) if is_utf8(body) else None
    if text is None:
        raise UnreadableRun("NOT_JSON", "It is no JSON.")
    output = bytes(text)
    return replace(run, output=None if output == b"null" else output)


def parse_page(run_type: str, body: bytes) -> Page:
    """A page of a list. A row that cannot be read is counted, not fatal.

    Args:
        run_type: name of the run type that was listed.
        body: the answer's bytes.

    Raises:
        UnreadableRun: (a ValueError) too deep, not JSON, or without an array ``data``.
    """
    fields = _answer(body)
    data = _read(_array, fields, "data")
    if data is None:
        raise UnreadableRun("NOT_JSON", "The answer is no list: it has no array `data`.")
    rows = [row for row in (_row(run_type, raw) for raw in data) if row is not None]
    token = _read(_text, fields, "nextPageToken")
    return Page(tuple(rows), token or None, len(data) - len(rows))


def _row(run_type: str, raw: Raw) -> Row | None:
    fields = _decode(_object, raw)
    run_id = None if fields is None else _id(fields)
    if fields is None or run_id is None:
        return None
    names = (_read(_text, file, "name") for file in _files(fields))
    return Row(
        id=run_id,
        run_type=run_type,
        status=_status(fields),
        tag=_tag(fields),
        file_names=tuple(name for name in names if name),
        created_ms=_first(_instant(fields, "createdAt"), _instant(fields, "initialRunAt")),
        updated_ms=_instant(fields, "updatedAt"),
    )


def _answer(body: bytes) -> Fields:
    if is_too_deep(body):
        raise UnreadableRun("TOO_DEEP", f"The answer nests deeper than {MAX_DEPTH} levels, or is cut off.")
    # The output is skipped over by the parser, and its bytes become text in a result.
    fields = _decode(_object, body) if is_utf8(body) else None
    if fields is None:
        raise UnreadableRun("NOT_JSON", "The answer is no JSON object.")
    return fields


def _decode(decoder: msgspec.json.Decoder[T], text: bytes | Raw) -> T | None:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _read(decoder: msgspec.json.Decoder[T], fields: Fields, name: str) -> T | None:
    raw = fields.get(name)
    return None if raw is None else _decode(decoder, raw)


def _inner(fields: Fields, name: str) -> Fields:
    return _read(_object, fields, name) or {}


def _bytes(fields: Fields, name: str) -> bytes | None:
    raw = fields.get(name)
    text = b"null" if raw is None else bytes(raw)
    return None if text == b"null" else text


def _id(fields: Fields) -> str | None:
    run_id = _read(_text, fields, "id")
    return run_id if run_id and len(run_id) <= MAX_ID_CHARS and run_id.isprintable() else None


def _status(fields: Fields) -> str:
    return _read(_text, fields, "status") or NOT_KNOWN_TO_HAVE_ENDED


def _tag(fields: Fields) -> str | None:
    return _read(_text, _inner(_inner(fields, "metadata"), METADATA_KEY), "tag")


def _files(fields: Fields) -> list[Fields]:
    file = _inner(fields, "file")
    if file:
        return [file]
    files = (_decode(_object, raw) for raw in _read(_array, fields, "files") or ())
    return [each for each in files if each]


def _instant(fields: Fields, name: str) -> int | None:
    text = _read(_text, fields, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _first(one: T | None, other: T | None) -> T | None:
    return other if one is None else one
