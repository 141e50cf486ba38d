"""What of a route can never match a schema, found without a record."""

from __future__ import annotations

import pytest

from connector.core.accept.mapping import mapping_of
from connector.core.accept.schema_fit import misfits
from connector.core.accept.when import when_of
from connector.core.formats.avro import AvroSchema
from connector.core.route import Route
from tests.core.accept.test_framed import ORDER

SCHEMA = AvroSchema(
    {
        **ORDER,
        "fields": [
            *(ORDER["fields"] if isinstance(ORDER["fields"], list) else []),
            {"name": "other", "type": ["null", "Upload"]},
            {"name": "nothing", "type": "null"},
            {"name": "gone", "type": ["null", {"type": "map", "values": {"type": "array", "items": "Scan"}}]},
            {"name": "paid", "type": "boolean"},
        ],
    }
)


def found(fields: dict[str, object] | None = None, when: dict[str, object] | None = None) -> list[tuple[str, str]]:
    mapping = None if fields is None else mapping_of(fields)
    route = Route("r", "t", "extract", when=None if when is None else when_of(when), mapping=mapping)
    return [(".".join(each.key), each.message) for each in misfits(route, SCHEMA)]


@pytest.mark.parametrize(
    "source",
    [
        "payload.at",
        "payload.pages[3]",
        "other.pages[0]",
        "gone.anything[1].at",
        "labels.customer",
        "kind",
        "header(at)",
        "key(a.b)",
        "key()",
    ],
)
def test_what_a_record_may_have_is_no_misfit(source: str) -> None:
    assert (
        found({"url": source}, {"kind": ["INVOICE", "NEW"], "paid": True, "id": 3, "payload": {"exists": True}}) == []
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("payload.att", "payload has no att; did you mean at?"),
        ("payload.at.x", "payload.at is null or string, not a record"),
        ("payload[0]", "payload is null or record, not an array"),
        ("pages", "the value has no pages"),
        ("payload.page[0]", "payload has no page; did you mean pages?"),
        ("gone.a.b", "gone.a is array, not a record"),
        ("gone.a[0].pages", "gone.a[0] has no pages"),
        ("nothing", "nothing is always null"),
        ("nothing.x", "nothing is null, not a record"),
        ("payload", "payload is record, which url does not take"),
        ("digest", "digest is fixed, which url does not take"),
    ],
)
def test_a_path_that_no_record_has_is_named_with_the_nearest_field(source: str, message: str) -> None:
    assert found({"url": source}) == [("fields.url", message)]


def test_a_field_that_need_not_be_there_is_no_reason_to_refuse() -> None:
    route = Route("r", "t", "extract", mapping=mapping_of({"url": "payload.at", "name": "nme?", "priority": "prio"}))
    assert [(".".join(each.key), each.fatal) for each in misfits(route, SCHEMA)] == [
        ("fields.name", False),
        ("fields.priority", True),
    ]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"knd": "INVOICE"}, "the value has no knd; did you mean kind?"),
        ({"kind": "invoice"}, "kind is enum, and never what is wanted here; there are INVOICE, RECEIPT"),
        ({"id": "3"}, "id is long, and never what is wanted here"),
        ({"paid": "true"}, "paid is boolean, and never what is wanted here"),
        ({"day": True}, "day is int, and never what is wanted here"),
        ({"payload.nowhere": {"exists": True}}, "payload has no nowhere"),
    ],
)
def test_a_condition_that_no_record_fulfils_is_named(when: dict[str, object], message: str) -> None:
    assert [text for _, text in found(when=when)] == [message]


def test_a_condition_that_something_is_not_there_may_always_hold() -> None:
    assert found(when={"draft": {"exists": False}}) == []


@pytest.mark.parametrize("schema", ["string", ["null", "int"], {"type": "array", "items": "string"}])
def test_records_that_have_no_fields_match_no_path(schema: object) -> None:
    route = Route("r", "t", "extract", mapping=mapping_of({"url": "at"}))
    (misfit,) = misfits(route, AvroSchema(schema))
    assert misfit.message.startswith("the value is ")
