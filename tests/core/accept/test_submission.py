from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.mapping import mapping_of
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.submission import Submission, avro_datum, key_of
from connector.core.errors import RecordRejected
from connector.core.formats.framing import MARKER, Codec
from connector.core.reasons import Reason
from connector.core.route import Route
from connector.schema_files import load_schema

CODEC = Codec(load_schema("document_reference"))
DECODER = ReferenceDecoder(CODEC)
ROUTES = (Route("documents", "documents", "extract", "ex_1"),)


def submission(*, key_field: str | None = None, avro: bool = False) -> Submission:
    return Submission("invoices", "documents", ROUTES, DECODER, key_field, CODEC if avro else None)


def test_json_is_sent_byte_for_byte() -> None:
    text = b'{ "url": "https://example.com/a.pdf",  "document_id": "4711" }'
    record = submission().record(text)
    assert (record.topic, record.key, record.value) == ("documents", None, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{}", Reason.NO_FILE),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"{", Reason.UNDECODABLE),
        (b'{"url": "ftp://example.com/a"}', Reason.URL_NOT_ALLOWED),
        (b'{"url": "https://example.com/a", "colour": 1}', Reason.UNKNOWN_FIELD),
        (b'{"url": "https://example.com/a", "run": "extracted"}', Reason.UNKNOWN_RUN_TYPE),
        (b'{"text": "a", "run": "split", "processor": "spl_1"}', Reason.FILE_FORM),
    ],
)
@pytest.mark.parametrize("avro", [False, True])
def test_what_would_become_a_dead_letter_is_not_sent(text: bytes, reason: Reason, avro: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    with pytest.raises(RecordRejected) as caught:
        submission(avro=avro).record(text)
    assert caught.value.reason == reason


def test_metadata_must_leave_room_for_the_connectors_own_key() -> None:
    metadata = {"a": "x" * (10 * 1024 - 40)}
    with pytest.raises(RecordRejected) as caught:
        submission().record(json.dumps({"url": "https://example.com/a", "metadata": metadata}).encode())
    assert caught.value.reason == Reason.METADATA_TOO_LARGE


@pytest.mark.parametrize(
    ("path", "key"),
    [("document_id", b"4711"), ("metadata.customer", "müller".encode()), ("priority", b"7")],
)
def test_a_field_becomes_the_key(path: str, key: bytes) -> None:
    reference = {
        "url": "https://example.com/a",
        "document_id": "4711",
        "priority": 7,
        "metadata": {"customer": "müller"},
    }
    assert submission(key_field=path).record(json.dumps(reference).encode()).key == key


@pytest.mark.parametrize("path", ["nothing", "metadata", "metadata.customer.name", "flag", "none", "share"])
def test_a_key_that_is_not_there_is_an_error_that_names_the_field(path: str) -> None:
    reference = {"metadata": {"customer": "m"}, "flag": True, "none": None, "share": 0.5}
    with pytest.raises(RecordRejected, match=path):
        key_of(reference, path)


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_NAMES = st.text("abcxyz", min_size=1, max_size=6)
_PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS
_OBJECTS = st.dictionaries(_NAMES, _PLAIN | st.lists(_PLAIN, max_size=3), max_size=4)


@given(
    reference=st.fixed_dictionaries(
        {"url": st.just("https://example.com/a.pdf")},
        optional={
            "name": _NAMES,
            "document_id": _NAMES,
            "priority": st.integers(1, 100),
            "config": _OBJECTS,
            "metadata": st.dictionaries(_NAMES, _TEXTS, max_size=4) | _OBJECTS,
        },
    ),
)
def test_avro_means_what_the_json_means(reference: dict[str, Any]) -> None:
    text = json.dumps(reference).encode()
    value = submission(avro=True).record(text).value
    assert value is not None
    assert value.startswith(MARKER)
    assert DECODER.decode(value) == DECODER.decode(text)


def test_create_fields_of_the_api_reach_it_through_avro() -> None:
    reference = {
        "url": "https://example.com/a",
        "run": "workflow",
        "processor": "workflow_1",
        "secrets": {"token": "s"},
        "outputs": None,
    }
    value = submission(avro=True).record(json.dumps(reference).encode()).value
    assert value is not None
    assert DECODER.decode(value).create == {"secrets": {"token": "s"}}
    assert avro_datum({**reference, "create": {"outputs": []}})["create"] == '{"outputs":[],"secrets":{"token":"s"}}'


def mapped(fields: Mapping[str, object], key_field: str | None = None, codec: Codec | None = None) -> Submission:
    routes = (Route("own", "documents", "extract", "ex_1", mapping=mapping_of(fields)),)
    return Submission("invoices", "documents", routes, DECODER, key_field, codec)


def test_records_of_another_shape_are_checked_as_their_route_reads_them() -> None:
    text = b'{"order": {"nr": 7}, "at": "https://example.com/a.pdf"}'
    fields = {"url": "at", "document_id": "order.nr", "metadata.customer": "key()"}
    record = mapped(fields, "order.nr").record(text)
    assert (record.key, record.value) == (b"7", text)
    with pytest.raises(RecordRejected, match=r"metadata.customer from key\(\): the record has no key"):
        mapped(fields).record(text)
    with pytest.raises(RecordRejected, match="url from att: the value has no att; did you mean at\\?"):
        mapped({"url": "att"}).record(text)


def test_a_record_that_is_no_object_can_be_sent_and_has_no_field_for_a_key() -> None:
    text = b'["https://example.com/a.pdf"]'
    assert mapped({"url": "[0]"}).record(text).value == text
    for submission in (mapped({"url": "[0]"}, key_field="id"), mapped({"url": "[0]"}, codec=CODEC)):
        with pytest.raises(RecordRejected, match="an object belongs here, not an array"):
            submission.record(text)


HEADERS = (("source", b"erp"), ("source", b""))


@pytest.mark.parametrize("avro", [False, True])
def test_key_and_headers_are_those_of_every_record(avro: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    given = replace(submission(avro=avro), key=b"customer-17", headers=HEADERS)
    record = given.record(b'{"url": "https://example.com/a.pdf"}')
    assert (record.key, record.headers) == (b"customer-17", HEADERS)
    unchecked = given.unchecked(b"nonsense")
    assert (unchecked.key, unchecked.value, unchecked.headers) == (b"customer-17", b"nonsense", HEADERS)


def test_a_field_as_key_leaves_the_headers() -> None:
    record = replace(submission(key_field="document_id"), headers=HEADERS).record(
        b'{"url": "https://example.com/a.pdf", "document_id": "4711"}'
    )
    assert (record.key, record.headers) == (b"4711", HEADERS)


def test_a_mapping_reads_the_key_and_the_headers() -> None:
    fields = {"url": "location", "document_id": "key()", "metadata.source": "header(source)"}
    routes = (Route("erp", "documents", "extract", "ex_1", mapping=mapping_of(fields)),)
    text = b'{"location": "https://example.com/a.pdf"}'
    given = replace(submission(), routes=routes, key=b"4711", headers=HEADERS[:1])
    assert given.record(text).value == text
    for lacking in (replace(given, key=None), replace(given, headers=())):
        with pytest.raises(RecordRejected) as caught:
            lacking.record(text)
        assert caught.value.reason == Reason.PATH_NOT_FOUND
