"""Input records, routes, entries and runs for tests: plain values with defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping

from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.entry import Entry, Request, State
from connector.core.formats.framing import Codec
from connector.core.record import Headers, Partition, Record
from connector.core.route import Route
from connector.core.run import Run
from connector.core.tag import Tag, tag_of
from connector.schema_files import load_schema

TOPIC = "documents"
URL = "https://files.example.com/in/invoice.pdf?sig=canary"

reference_codec = Codec(load_schema("document_reference"))
result_codec = Codec(load_schema("run_result"))
decoder = ReferenceDecoder(reference_codec)


def record_of(
    value: bytes | None = b'{"url": "https://files.example.com/invoice.pdf"}',
    *,
    key: bytes | None = b"customer-7",
    headers: Headers = (("traceparent", b"00-abc-def-01"),),
    topic: str = TOPIC,
    offset: int = 41,
) -> Record:
    return Record(Partition(topic, 3), offset, key, value, headers, 1_790_000_000_000)


def tag_for(record: Record) -> Tag:
    return tag_of("invoices", "topic-id", record)


def request_of(reference: Mapping[str, object] | bytes, route: Route | None = None) -> Request:
    """The request that a JSON reference resolves to."""
    value = reference if isinstance(reference, bytes) else json.dumps(reference).encode()
    record = record_of(value)
    routes = (route or Route("inv", TOPIC, run="extract", processor="ex_1", version="2.1"),)
    return resolve(record, routes, tag_for(record), decoder)


def body_of(reference: Mapping[str, object] | bytes, route: Route | None = None) -> dict[str, object]:
    """The create body that a JSON reference resolves to."""
    body = json.loads(request_of(reference, route).body)
    assert isinstance(body, dict)
    return body


def entry_of(request: Request | None = None, *, revision: int = 0, headers: Headers | None = None) -> Entry:
    """An open document whose run has started."""
    record = record_of() if headers is None else record_of(headers=headers)
    return Entry(
        tag=tag_for(record),
        state=State.STARTED,
        request=request or Request("extract", "inv", b"", "ex_1", "doc-1", '{"a":1}', None, "invoice.pdf"),
        key=record.key,
        headers=record.headers,
        value=None,
        source_timestamp=record.timestamp,
        accepted_ms=1_790_000_000_100,
        run_id="exr_1",
        started_ms=1_790_000_000_200,
        revision=revision,
    )


def run_of(status: str = "PROCESSED", **changes: object) -> Run:
    known: dict[str, object] = {
        "id": "exr_1",
        "run_type": "extract",
        "status": status,
        "output": b'{"value":{"total":1.50}}',
        "reviewed": False,
        "credits": 8.0,
        "processor_id": "ex_1",
        "processor_version": "2.1",
        "file_id": "file_1",
        "file_name": "invoice.pdf",
        "dashboard_url": "https://dashboard.extend.ai/runs/exr_1",
        "finished_ms": 1_790_000_005_000,
    }
    return Run(**(known | changes))  # type: ignore[arg-type] # tests change any field by its name
