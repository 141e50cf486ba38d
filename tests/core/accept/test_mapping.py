"""Records of another shape: which field is which, what is not there, and what must never reach a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.mapping import UnknownTarget, assignment_of, mapping_of
from connector.core.accept.path import NotationError
from connector.core.accept.reference import EXTRA_FIELDS, FIELDS
from connector.core.accept.request import resolve
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Headers
from connector.core.route import Route
from connector.core.tag import METADATA_KEY
from tests.core.accept.test_path import JSON
from tests.factories.records import TOPIC, decoder, record_of, reference_codec, tag_for

U = "https://files.example.com/in/a.pdf"
THEIRS = {
    "id": 4711,
    "payload": {"location": U, "file.name": "a.pdf", "pages": [{"text": "one"}, {"text": "two"}], "secret": "canary"},
    "customer": {"name": "ACME", "vip": True, "vat": None},
}


def request(
    fields: Mapping[str, object],
    value: object = THEIRS,
    *,
    key: bytes | None = None,
    headers: Headers = (),
    run: str = "extract",
) -> dict[str, object]:
    """Body, document id and metadata of what a record becomes."""
    return resolved(fields, json.dumps(value).encode(), key=key, headers=headers, run=run)


def resolved(
    fields: Mapping[str, object],
    value: bytes,
    *,
    key: bytes | None = None,
    headers: Headers = (),
    run: str = "extract",
) -> dict[str, object]:
    route = Route("theirs", TOPIC, run=run, mapping=mapping_of(fields))
    record = record_of(value, key=key, headers=headers)
    found = resolve(record, (route,), tag_for(record), decoder)
    body = json.loads(found.body)
    del body["metadata"][METADATA_KEY]
    return {**body, "document_id": found.document_id}


def rejected(fields: Mapping[str, object], value: object = THEIRS, **more: object) -> RecordRejected:
    with pytest.raises(RecordRejected) as caught:
        request(fields, value, **more)  # type: ignore[arg-type]  # of the caller's own
    return caught.value


def test_fields_are_taken_from_where_the_mapping_says() -> None:
    fields = {
        "url": "payload.location",
        "name": "payload.`file.name`",
        "document_id": "id",
        "metadata.customer": "customer.name",
        "metadata.vip": "customer.vip",
        "metadata.second": "payload.pages[1].text",
        "metadata.origin": {"value": "kafka"},
    }
    assert request(fields) == {
        "file": {"url": U, "name": "a.pdf"},
        "metadata": {"customer": "ACME", "vip": True, "second": "two", "origin": "kafka"},
        "document_id": "4711",
    }


def test_headers_and_the_key_are_sources_too() -> None:
    fields = {
        "url": "payload.location",
        "priority": "header(priority)",
        "name": "header(file name)",
        "document_id": "key()",
    }
    headers = (("priority", b"90"), ("file name", b"first"), ("priority", b"7"), ("file name", "ü.pdf".encode()))
    found = request(fields, key=b"customer-7", headers=headers)
    assert (found["priority"], found["document_id"]) == (7, "customer-7")
    assert found["file"] == {"url": U, "name": "ü.pdf"}
    found = request({"url": "payload.location", "metadata.tenant": "key(tenant.id)"}, key=b'{"tenant": {"id": 7}}')
    assert found["metadata"] == {"tenant": 7}


def test_what_is_not_mapped_never_reaches_a_request() -> None:
    value = {**THEIRS, "url": "https://evil.example.com", "processor": "ex_9", "metadata": {"canary": 1}}
    assert request({"url": "payload.location"}, value) == {"file": {"url": U}, "metadata": {}, "document_id": None}


def test_a_value_that_nobody_asks_for_need_not_be_readable() -> None:
    fields = {"text": "header(text)", "document_id": "key()"}
    found = resolved(fields, b"\xff\xd8 a picture", key=b"7", headers=(("text", b"hello"),))
    assert (found["file"], found["document_id"]) == ({"text": "hello"}, "7")
    with pytest.raises(RecordRejected) as caught:
        resolved({"url": "location"}, b"\xff\xd8 a picture")
    assert caught.value.reason == Reason.UNDECODABLE


def test_a_list_can_be_the_top_of_a_record() -> None:
    assert request({"url": "[1]"}, [1, U])["file"] == {"url": U}


def test_a_field_with_a_question_mark_need_not_be_there() -> None:
    fields = {"url": "payload.location", "document_id": "nr?", "metadata.vat": "customer.vat?", "name": "header(n)?"}
    fields |= {"metadata.tenant": "key(tenant)?"}
    assert request(fields) == {"file": {"url": U}, "metadata": {}, "document_id": None}


def test_our_own_avro_is_a_source_too() -> None:
    datum = {"url": U, "config": '{"rules": {"depth": 3}}', "metadata": {"customer": "ACME"}}
    fields = {"url": "url", "document_id": "metadata.customer", "metadata.depth": "config.rules.depth"}
    assert resolved(fields, reference_codec.encode(datum)) == {
        "file": {"url": U},
        "metadata": {"depth": 3},
        "document_id": "ACME",
    }


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        (
            {"url": "payload.locaton"},
            Reason.PATH_NOT_FOUND,
            "url from payload.locaton: payload has no locaton; did you mean location?",
        ),
        ({"url": "customer.vat"}, Reason.PATH_NOT_FOUND, "url from customer.vat: customer.vat is null"),
        (
            {"url": "payload.location", "metadata.page": "payload.pages[7].text"},
            Reason.PATH_NOT_FOUND,
            "metadata.page from payload.pages[7].text: payload.pages has 2 items, and none at [7]",
        ),
        (
            {"url": "payload.location", "name": "header(name)"},
            Reason.PATH_NOT_FOUND,
            "name from header(name): the record has no such header",
        ),
        (
            {"url": "payload.location", "name": "key()"},
            Reason.PATH_NOT_FOUND,
            "name from key(): the record has no key",
        ),
        ({"url": "payload"}, Reason.BAD_FIELD, "url from payload: a text belongs here, not an object"),
        ({"url": "id"}, Reason.BAD_FIELD, "url from id: a text belongs here, not a number"),
        (
            {"url": "payload.location", "document_id": "customer.vip"},
            Reason.BAD_FIELD,
            "document_id from customer.vip: a text belongs here, not a boolean",
        ),
        (
            {"url": "payload.location", "priority": "id"},
            Reason.BAD_FIELD,
            "priority from id: a priority is 1 to 100; lower runs first",
        ),
        ({"url": "payload.secret"}, Reason.URL_NOT_ALLOWED, "url from payload.secret: only http and https URLs"),
        (
            {"files": "payload.pages"},
            Reason.FILE_FORM,
            "files[0].text from payload.pages: a package takes no texts",
        ),
        (
            {"url": "payload.location", "create.outputs": "payload.pages"},
            Reason.UNKNOWN_FIELD,
            "outputs from payload.pages: extract runs take no outputs",
        ),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_told_with_both_places(
    fields: Mapping[str, object], reason: Reason, said: str
) -> None:
    error = rejected(fields)
    assert error.reason == reason
    assert str(error).startswith(said)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("key", "headers", "said"),
    [
        (b"\xff", (), "key(): the bytes are no UTF-8 text"),
        (b"{", (), "key(): the key is read as JSON, and is"),
        (b'{"a": 1}', (), "name from key(id): the key has no id"),
        (b'{"id": 1}', (("kind", b"\xff"),), "header(kind): the bytes are no UTF-8 text"),
        (b'{"id": 1}', (("kind", None),), "metadata.kind from header(kind): the header is null"),
    ],
)
def test_a_key_or_header_that_cannot_be_read_is_told(key: bytes, headers: Headers, said: str) -> None:
    fields = {"url": "payload.location", "name": "key(id)", "metadata.kind": "header(kind)"}
    assert str(rejected(fields, key=key, headers=headers)).startswith(said)


@pytest.mark.parametrize(
    ("target", "notation", "said"),
    [
        ("uri", "a", "is no field of a reference"),
        ("fileId", "a", "is no field of a reference"),
        ("create", "a", "must be create.<name>"),
        ("create.timeout", "a", "is no field of a reference"),
        ("metadata.a.b", "a", "must be metadata.<key>"),
        ("metadata[0]", "a", "is no field of a reference"),
        ("metadata.kafka_connector", "a", "the connector's own key"),
        ("url", "a?", "leave the question mark out"),
        ("url", "", "is empty"),
        ("url", "?", "is empty"),
        ("url", 7, "must be a path such as"),
        ("url", None, "must be a path such as"),
        ("url", ["a"], "must be a path such as"),
        ("url", {"value": None}, "must be a path such as"),
        ("url", {"path": "a"}, "must be a path such as"),
        ("url", {"header": "a"}, "write header(name), in one text"),
        ("url", {"key": True}, "write key(), in one text"),
        ("url", "header(a", "is not closed"),
        ("url", "header( )", "names no header"),
        ("url", "key(a..b)", "a name is missing before this dot"),
        ("password", {"value": "canary"}, "may not be a constant"),
        ("create.secrets", {"value": {"a": "canary"}}, "may not be a constant"),
    ],
)
def test_what_cannot_be_mapped_is_a_sentence(target: str, notation: object, said: str) -> None:
    with pytest.raises(NotationError) as caught:
        assignment_of(target, notation)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_names_of_the_api_are_translated() -> None:
    with pytest.raises(UnknownTarget) as caught:
        assignment_of("fileId", "a")
    assert caught.value.renamed == "file_id"


def test_a_constant_does_not_show() -> None:
    assert "canary" not in repr(mapping_of({"text": {"value": "canary"}}))


def test_every_field_of_a_reference_can_be_mapped() -> None:
    for target in (*FIELDS, "metadata.key", *(f"create.{name}" for name in EXTRA_FIELDS)):
        assert assignment_of(target, "a.b").target == target


# Properties

ANY_ROUTE = Route("any", TOPIC, run="extract")
REFERENCES = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from([U, f"{U}?sig=1", "ftp://x"]),
        "file_id": st.sampled_from(["file_1", ""]),
        "text": st.text(max_size=5),
        "files": st.lists(st.sampled_from([{"url": U}, {"file_id": "f", "name": "n"}, {"url": 1}]), max_size=2),
        "name": st.sampled_from(["a.pdf", None, "\n"]),
        "password": st.text(min_size=1, max_size=3),
        "run": st.sampled_from(["extract", "workflow", "parse", "edit", "dance"]),
        "processor": st.sampled_from(["ex_1", None, True]),
        "version": st.sampled_from(["2.1", 2.1]),
        "config": st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
        "priority": st.integers(0, 101),
        "metadata": st.dictionaries(st.sampled_from(["a", "b.c", "kafka_connector"]), JSON, max_size=2),
        "document_id": st.sampled_from(["1", "x" * 2000, None]),
        "create": st.dictionaries(st.sampled_from([*EXTRA_FIELDS]), st.just({}), max_size=1),
    },
)


def outcome(value: object, route: Route) -> object:
    """The request, or the reason why there is none."""
    record = record_of(json.dumps(value).encode())
    try:
        return resolve(record, (route,), tag_for(record), decoder)
    except RecordRejected as error:
        return error.reason


@given(REFERENCES)
def test_a_mapping_of_every_field_to_itself_changes_nothing(reference: dict[str, object]) -> None:
    optional = {"name", "processor", "document_id"}
    identity: dict[str, object] = {name: f"{name}?" if name in optional else name for name in reference}
    create = reference.get("create")
    if isinstance(create, dict):
        del identity["create"]
        identity |= {f"create.{name}": f"create.{name}" for name in create}
    mapped = outcome(reference, replace(ANY_ROUTE, mapping=mapping_of(identity)))
    assert mapped == outcome(reference, ANY_ROUTE)


SOURCES = st.sampled_from(["a", "a.b", "a[0]", "b?", "`é.`?", "[0]", "header(h)", "header(h)?", "key()?", "key(a)?"])


@given(
    JSON | st.binary(max_size=30),
    st.dictionaries(st.sampled_from([*FIELDS, "metadata.x", "create.outputs"]), SOURCES | JSON, max_size=4),
    st.none() | st.binary(max_size=8) | JSON.map(lambda value: json.dumps(value).encode()),
    st.none() | st.binary(max_size=8),
)
def test_whatever_comes_in_is_a_request_or_a_rejection(
    value: object, fields: dict[str, object], key: bytes | None, header: bytes | None
) -> None:
    try:
        mapping = mapping_of(fields)
    except NotationError:
        return
    record = record_of(
        value if isinstance(value, bytes) else json.dumps(value).encode(), key=key, headers=(("h", header),)
    )
    with suppress(RecordRejected):
        resolve(record, (replace(ANY_ROUTE, mapping=mapping),), tag_for(record), decoder)
    with suppress(RecordRejected):
        mapping.sample()
