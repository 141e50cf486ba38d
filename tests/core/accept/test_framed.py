"""Records in a schema registry's framing: of any schema, through a mapping, and references."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.mapping import mapping_of
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.accept.when import when_of
from connector.core.entry import Request
from connector.core.errors import RecordRejected, SchemaAwaited
from connector.core.formats.avro import AvroSchema
from connector.core.formats.framing import confluent_header
from connector.core.formats.writer_schemas import WriterSchemas
from connector.core.reasons import Reason
from connector.core.record import Headers
from connector.core.route import Route
from connector.schema_files import load_schema
from tests.factories.records import TOPIC, record_of, reference_codec, tag_for

URL = "https://files.example.com/a.pdf"
ORDER: dict[str, object] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["INVOICE", "RECEIPT"]}},
        {
            "name": "payload",
            "type": [
                "null",
                {"type": "record", "name": "Scan", "fields": [{"name": "at", "type": ["null", "string"]}]},
                {
                    "type": "record",
                    "name": "Upload",
                    "fields": [{"name": "pages", "type": {"type": "array", "items": "string"}}],
                },
            ],
        },
        {"name": "labels", "type": {"type": "map", "values": ["null", "string", "double"]}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
    ],
}
DATUM: dict[str, object] = {
    "id": 4711,
    "kind": "INVOICE",
    "payload": {"at": URL},
    "labels": {"customer": "ACME", "none": None, "share": 0.5},
    "day": 20_000,
    "total": b"\x04\xd2",
    "digest": b"abcd",
}


def writers(*schemas: object) -> WriterSchemas:
    """Schemas with the ids from 1."""
    known = WriterSchemas(lambda: 0.0)
    for number, schema in enumerate(schemas, 1):
        known.learn(number, json.dumps(schema))
    return known


def framed(datum: object, schema: object = ORDER, schema_id: int = 1) -> bytes:
    return AvroSchema(schema).encode(datum, confluent_header(schema_id))


DECODER = ReferenceDecoder(reference_codec, writers(ORDER, load_schema("document_reference")))


def route(fields: dict[str, object] | None = None, when: dict[str, object] | None = None) -> Route:
    return Route(
        "inv",
        TOPIC,
        run="extract",
        processor="ex_1",
        when=None if when is None else when_of(when),
        mapping=None if fields is None else mapping_of(fields),
    )


def asked(value: bytes, *routes: Route, headers: Headers = ()) -> Request:
    record = record_of(value, headers=headers)
    return resolve(record, routes, tag_for(record), DECODER)


def refused(value: bytes, *routes: Route) -> RecordRejected:
    with pytest.raises(RecordRejected) as caught:
        asked(value, *routes)
    return caught.value


def metadata_of(source: str) -> object:
    request = asked(framed(DATUM), route({"url": "payload.at", "metadata.it": source}))
    return json.loads(request.metadata or "{}")["it"]


def test_a_record_of_any_schema_is_mapped() -> None:
    request = asked(
        framed(DATUM),
        route({"url": "payload.at", "document_id": "id", "metadata.customer": "labels.customer"}, {"kind": "INVOICE"}),
    )
    assert json.loads(request.body)["file"] == {"url": URL}
    assert (request.document_id, request.metadata) == ("4711", '{"customer":"ACME"}')


def test_of_a_union_the_branch_that_was_written_is_seen() -> None:
    upload = DATUM | {"payload": {"pages": [URL, "b"]}}
    assert json.loads(asked(framed(upload), route({"url": "payload.pages[0]"})).body)["file"] == {"url": URL}
    error = refused(framed(upload), route({"url": "payload.at"}))
    assert (error.reason, str(error)) == (Reason.PATH_NOT_FOUND, "url from payload.at: payload has no at")
    error = refused(framed(DATUM | {"payload": None}), route({"url": "payload.at"}))
    assert str(error) == "url from payload.at: payload is null"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("kind", "INVOICE"),
        ("day", 20_000),
        ("labels", {"customer": "ACME", "none": None, "share": 0.5}),
        ("total", "BNI="),
        ("digest", "YWJjZA=="),
        ("id", 4711),
    ],
)
def test_a_mapping_sees_plain_values(source: str, seen: object) -> None:
    assert metadata_of(source) == seen


def test_bytes_are_no_text() -> None:
    error = refused(framed(DATUM), route({"url": "payload.at", "document_id": "digest"}))
    assert (error.reason, str(error)) == (
        Reason.BAD_FIELD,
        "document_id from digest: a text belongs here, not bytes",
    )


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_cannot_hold_is_refused_and_never_null(number: float) -> None:
    value = framed(DATUM | {"labels": {"share": number}})
    assert refused(value, route({"url": "payload.at", "metadata": "labels"})).reason == Reason.BAD_FIELD


def test_the_first_route_whose_conditions_hold_takes_it() -> None:
    receipts = route({"url": "payload.at"}, {"kind": "RECEIPT"})
    error = refused(framed(DATUM), receipts)
    assert (error.reason, error.stage) == (Reason.NO_ROUTE, "route")


def test_an_unknown_schema_is_awaited_and_no_condition_hides_that() -> None:
    value = framed(DATUM, schema_id=9)
    with pytest.raises(SchemaAwaited) as caught:
        asked(value, route(when={"kind": "INVOICE"}), route({"url": "payload.at"}))
    assert caught.value.schema_id == 9


def test_a_route_that_looks_at_headers_alone_needs_no_schema() -> None:
    wanted = route({"url": "header(at)"}, {"header(type)": "scan"})
    headers = (("type", b"scan"), ("at", URL.encode()))
    assert json.loads(asked(framed(DATUM, schema_id=9), wanted, headers=headers).body)["file"] == {"url": URL}


def test_a_reference_in_a_registrys_framing_is_a_reference() -> None:
    fields = {"url": URL, "metadata_json": '{"n": 1}', "config": '{"a": []}', "document_id": "7"}
    value = framed(fields, load_schema("document_reference"), 2)
    request = asked(value, route())
    assert (request.metadata, request.document_id) == ('{"n":1}', "7")
    assert json.loads(request.body)["extractor"]["overrideConfig"] == {"a": []}


def test_an_older_or_newer_reference_is_resolved_to_todays() -> None:
    schema = dict(load_schema("document_reference"))
    fields = schema["fields"]
    assert isinstance(fields, list)
    newer = {**schema, "fields": [*fields[:1], {"name": "later", "type": "int"}]}
    decoder = ReferenceDecoder(reference_codec, writers(newer))
    reference = decoder.decode(framed({"url": URL, "later": 1}, newer))
    assert reference.file is not None
    assert reference.file.value == URL


def test_an_unmapped_record_with_the_fields_of_a_reference_is_one_and_others_are_named() -> None:
    schema = {"type": "record", "name": "Scan", "fields": [{"name": "url", "type": "string"}]}
    decoder = ReferenceDecoder(reference_codec, writers(schema))
    assert decoder.decode(framed({"url": URL}, schema)).file is not None
    assert refused(framed(DATUM), route()).reason == Reason.UNKNOWN_FIELD


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        (b"\x00", Reason.UNDECODABLE, "1 bytes are too few"),
        (b"\x00\x00\x00\x00\x01", Reason.UNDECODABLE, "cut short"),
        (framed(DATUM)[:-1], Reason.UNDECODABLE, "cut short"),
        (framed(DATUM) + b"\x00", Reason.UNDECODABLE, "1 bytes are left over"),
        (framed(DATUM)[:5] + b"\xff" * 40, Reason.UNDECODABLE, "is "),
    ],
)
def test_bytes_that_their_schema_cannot_read_are_refused(value: bytes, reason: Reason, message: str) -> None:
    error = refused(value, route({"url": "payload.at"}))
    assert error.reason == reason
    assert message in str(error)


@given(st.binary(max_size=64))
def test_no_bytes_behind_the_framing_bring_a_decoder_down(body: bytes) -> None:
    try:
        DECODER.decode(b"\x00\x00\x00\x00" + body)
    except (RecordRejected, SchemaAwaited):
        return


@pytest.mark.parametrize("kind", [{"type": "fixed", "size": 3}, {"type": "enum", "symbols": ["A"]}])
def test_what_has_the_name_of_a_reference_and_no_fields_is_none(kind: dict[str, object]) -> None:
    decoder = ReferenceDecoder(reference_codec, writers({**kind, "name": reference_codec.schema.name}))
    body = b"abc" if kind["type"] == "fixed" else b"\0"
    with pytest.raises(RecordRejected) as caught:
        decoder.decode(confluent_header(1) + body)
    assert caught.value.reason is Reason.NOT_AN_OBJECT
