"""Schemas that would let a few bytes exhaust a reader are refused when they are loaded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.avro import AvroSchema, load_checked
from connector.core.formats.schema_limits import MAX_FREE_VALUES, MAX_LEVELS, SchemaRefused


def record(name: str, *types: object) -> dict[str, object]:
    fields = [{"name": f"f{index}", "type": each} for index, each in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields}


def nested(levels: int) -> object:
    schema: object = "int"
    for _ in range(levels - 1):
        schema = {"type": "array", "items": schema}
    return schema


def bomb(levels: int) -> dict[str, object]:
    """Each record holds the next one twice: 2 to the power of levels values in no byte at all."""
    schema = record("R0", "null")
    for level in range(1, levels):
        schema = record(f"R{level}", schema, f"R{level - 1}")
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (record("A", ["null", "A"]), "recursive: A"),
        (record("A", {"type": "array", "items": "A"}), "recursive: A"),
        (record("A", {"type": "map", "values": record("B", ["null", "A"])}), "recursive: A"),
        ({"type": "record", "name": "A", "namespace": "n.s", "fields": [{"name": "f", "type": "n.s.A"}]}, "recursive"),
        ({"type": "record", "name": "A", "namespace": "n.s", "fields": [{"name": "f", "type": "A"}]}, "recursive"),
        (record("A", {"type": "array", "items": "null"}), "no bytes"),
        (record("A", {"type": "map", "values": "null"}), "no bytes"),
        (record("A", {"type": "array", "items": record("E")}), "no bytes"),
        (record("A", {"type": "array", "items": record("E", "null", record("F", "null"))}), "no bytes"),
        (record("A", {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "no bytes"),
        (record("A", {"type": "array", "items": record("E", "int", *["null"] * 9)}), "9 values that take no bytes"),
        (record("A", {"type": "map", "values": record("E", "int", *["null"] * 9)}), "9 values that take no bytes"),
        (bomb(20), "no bytes"),
        (record("A", *["null"] * (MAX_FREE_VALUES + 1)), "no bytes"),
        (record("A", nested(MAX_LEVELS)), "deeper than 32"),
        (record("A", "B"), "does not define"),
        (record("A", *[{"type": "enum", "name": f"E{n}", "symbols": ["a"]} for n in range(512)]), "512 named"),
        (record("A" * 513, "int"), "longer than 512"),
        (record("A", record("B", "int"), record("B", "int")), "twice"),
        ({**record("A", "int"), "doc": "x" * 300_000}, "262144 are allowed"),
        ({"type": "record", "name": "A"}, "list of fields"),
        ({"type": "record", "name": "A", "fields": [{"name": "f", "type": 7}]}, "not int"),
        ({"type": "record", "fields": []}, "no valid Avro"),
        ({"type": "record", "name": "A", "fields": [{"type": "int"}]}, "no valid Avro"),
        ({"type": "enum", "name": "E", "symbols": ["a", "a"]}, "no valid Avro"),
    ],
)
def test_a_dangerous_or_broken_schema_is_refused(schema: dict[str, object], said: str) -> None:
    with pytest.raises(SchemaRefused, match=said):
        load_checked(schema)


def test_a_schema_nested_without_end_is_refused_and_not_followed() -> None:
    with pytest.raises(SchemaRefused, match="deeper"):
        load_checked(record("A", nested(100_000)))


@pytest.mark.parametrize(
    "schema",
    [
        record("A", nested(MAX_LEVELS - 1)),
        record("A", record("B", "int"), "B", {"type": "array", "items": "B"}),
        record("A", {"type": "array", "items": ["null", "int"]}),
        record("A", *["null"] * (MAX_FREE_VALUES - 1)),
        record("A", *[["null", "int"]] * 2 * MAX_FREE_VALUES),
        record("A", {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["a"]}}),
    ],
)
def test_an_ordinary_schema_is_loaded(schema: dict[str, object]) -> None:
    assert load_checked(schema)


_words = st.sampled_from(["record", "array", "map", "enum", "fixed", "null", "int", "string", "A", "n.A", "", "union"])
_schemas = st.recursive(
    _words | st.integers(-1, 3) | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "namespace", "fields", "items", "values", "symbols", "size", "default"])
            | st.sampled_from(["aliases", "logicalType", "precision", "doc"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


def refused(schema: object) -> bool:
    try:
        AvroSchema(schema)
    except SchemaRefused:
        return True
    return False


@given(_schemas)
def test_no_schema_raises_anything_but_its_refusal(schema: object) -> None:
    assert refused(schema) in {True, False}


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _schemas, min_size=1))
def test_no_record_raises_anything_but_its_refusal(fields: dict[str, object]) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": each} for name, each in fields.items()]}
    assert refused(schema) in {True, False}
