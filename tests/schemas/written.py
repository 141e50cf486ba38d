"""Records as today's code writes them, one list for each schema: together they fill every field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from connector.core.accept.submission import Submission
from connector.core.entry import Entry, State, accept
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Mark, fingerprint_of
from connector.core.record import Record
from connector.core.route import Route
from connector.core.signals.signal import (
    Action,
    Command,
    Doorbell,
    Fact,
    FactOutcome,
    Reply,
    ReplyOutcome,
    SignalCodec,
)
from connector.schema_files import schema_path
from tests.factories.records import TOPIC, decoder, entry_of, record_of, request_of, tag_for

_NAME = "invoices"
_AT_MS = 1_790_000_000_000

_REFERENCES: tuple[dict[str, object], ...] = (
    {
        "url": "https://files.example.com/inv-184467.pdf",
        "name": "invoice-184467.pdf",
        "password": "open sesame",
        "run": "extract",
        "processor": "ex_Xj8mK2pL9nR4vT7qY5wZ",
        "version": "2.1",
        "config": {"baseProcessor": "extraction_light"},
        "priority": 20,
        "metadata": {"team": "claims", "Grüße": "Köln"},
        "document_id": "claim-77",
    },
    {
        "file_id": "file_Zk9mNp3rTq2wYx5vB8sJd",
        "run": "parse",
        "metadata": {"extend:usage_tags": ["kafka"]},
        "create": {"dataRetention": {"inputFiles": "immediate"}},
    },
    {"text": "An invoice over 12 euros.", "run": "classify", "processor": "cl_1"},
    {
        "files": [
            {"url": "https://files.example.com/a.pdf", "name": "a.pdf", "password": "x"},
            {"file_id": "file_1"},
        ],
        "run": "extract",
        "processor": "ex_1",
    },
)


def written(name: str, schema: Mapping[str, object]) -> list[bytes]:
    """Records of a schema, as the connector or a producer writes them.

    Args:
        name: the schema's name without ``.avsc``.
        schema: the schema.
    """
    return _WRITERS[name](Codec(schema))


def _references(codec: Codec) -> list[bytes]:
    submission = Submission(_NAME, TOPIC, [Route("any", TOPIC)], decoder, codec=codec)
    records = [submission.record(json.dumps(each).encode()) for each in _REFERENCES]
    return [record.value or b"" for record in records]


def _results(codec: Codec) -> list[bytes]:
    folder = schema_path("run_result").parent / "examples"
    done, failed = (json.loads(folder.joinpath(f"result-{each}.json").read_text()) for each in ("processed", "failed"))
    elsewhere: dict[str, object] = {
        "output": None,
        "output_state": "offloaded",
        "output_ref": {"uri": "s3://results/exr_1", "size": 6_291_456, "sha256": "0" * 64},
        "value_error": "The output is elsewhere.",
        "failure_reason": None,
    }
    return [codec.encode(each) for each in (done, failed, done | elsewhere)]


def _journal(codec: Codec) -> list[bytes]:
    journal = JournalCodec(codec, _NAME)
    record = record_of(headers=(("traceparent", b"00-abc-def-01"), ("nothing", None)))
    mark = Mark(_NAME, record.partition, "Kxj2eYw4TgO1", record.offset + 1, fingerprint_of(_NAME, 6))
    return [*(journal.encode_entry(entry) for entry in entries(record)), journal.encode_mark(mark)]


def entries(record: Record) -> list[Entry]:
    """An entry of each state."""
    request = replace(request_of(record.value or b"{}"), document_id="doc-1", metadata='{"a":1}', file_id="file_1")
    ready = accept(tag_for(record), replace(request, file_name="invoice.pdf"), record, _AT_MS)
    intent = ready.intend("n0nce")
    started = intent.start("exr_1", _AT_MS + 200, adopted=True)
    parked = intent.park("NOT_FOUND").repeat("NOT_FOUND").intend("again").park("NOT_FOUND")
    found = [ready, intent, started, started.review(), parked, entry_of()]
    assert {entry.state for entry in found} == set(State)
    return found


def _signals(codec: Codec) -> list[bytes]:
    tag = tag_for(record_of())
    signals = (
        Doorbell(tag, "exr_1"),
        Fact(tag, "n0nce", FactOutcome.ID, "exr_1"),
        Fact(tag, "n0nce", FactOutcome.NEVER_SENT),
        Command("c0mmand", tag, "n0nce", Action.ADOPT, "exr_1"),
        Reply("c0mmand", tag, ReplyOutcome.DONE, "The run was adopted."),
    )
    return [SignalCodec(codec).encode(signal, _AT_MS) for signal in signals]


_WRITERS: Mapping[str, Callable[[Codec], list[bytes]]] = {
    "document_reference": _references,
    "run_result": _results,
    "journal_entry": _journal,
    "signal": _signals,
}
NAMES: tuple[str, ...] = tuple(_WRITERS)


def as_json(value: Any) -> Any:  # noqa: ANN401 - a value of any schema
    """A decoded value in Avro's JSON form: bytes as a text of code points up to 255."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Mapping):
        return {name: as_json(item) for name, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value
