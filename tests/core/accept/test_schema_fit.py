"""What of a route can never match a schema, found without a record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.mapping import Assignment, FieldMapping, mapping_of
from connector.core.accept.path import Path
from connector.core.accept.schema_fit import misfits
from connector.core.accept.source import FieldSource
from connector.core.accept.when import Condition, When, when_of
from connector.core.formats.avro import AvroSchema, SchemaRefused
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


Made = tuple[object, object]
"""A schema and a value of it."""


def _record(fields: dict[str, Made], number: int) -> Made:
    schema = {
        "type": "record",
        "name": f"R{number}",
        "fields": [{"name": name, "type": inner} for name, (inner, _) in fields.items()],
    }
    return schema, {name: value for name, (_, value) in fields.items()}


def _named_anew(node: object, numbers: Iterator[int]) -> object:
    """Every record of a schema under a name of its own: the same one may have been drawn twice."""
    if isinstance(node, dict):
        name = {"name": f"N{next(numbers)}"} if node.get("type") == "record" else {}
        return {key: _named_anew(inner, numbers) for key, inner in node.items()} | name
    return [_named_anew(inner, numbers) for inner in node] if isinstance(node, list) else node


def _places(value: object, steps: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a value where something stands."""
    if value is not None and steps:
        yield steps
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, (*steps, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _places(inner, (*steps, number))


_names = st.sampled_from(["a", "b", "c.d"])
_made: st.SearchStrategy[Made] = st.recursive(
    st.sampled_from([("null", None), ("string", "x"), ("long", 7), ("boolean", True)]),
    lambda inner: (
        st.builds(_record, st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, min_size=1), st.just(0))
        | inner.map(lambda made: ({"type": "array", "items": made[0]}, [made[1]]))
        | st.tuples(_names, inner).map(lambda pair: ({"type": "map", "values": pair[1][0]}, {pair[0]: pair[1][1]}))
        | inner.map(lambda made: (made[0] if isinstance(made[0], list) else ["bytes", made[0]], made[1]))
    ),
    max_leaves=8,
)


@given(_made)
def test_what_a_record_has_is_never_called_impossible(made: Made) -> None:
    try:
        schema = AvroSchema(_named_anew(made[0], count()))
    except SchemaRefused:
        return
    for steps in _places(made[1]):
        path = Path(steps)
        assert path.find(made[1]) is not None
        mapping = FieldMapping((Assignment("metadata", "it", FieldSource(path)),))
        when = When((Condition(FieldSource(path)),))
        assert list(misfits(Route("r", "t", "extract", when=when, mapping=mapping), schema)) == []
