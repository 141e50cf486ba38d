"""What the generator takes from a JSON Schema, and what it refuses."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.typed.avro_record import avro_name, record_of, unique_names
from connector.core.typed.json_schema import Inexpressible, read_schema
from tests.core.typed.schemas import NAMES, Schema


def record(**properties: object) -> list[dict[str, object]]:
    """The fields of the record for an object with some properties."""
    made = record_of(read_schema({"type": "object", "properties": properties}), "Value")
    return cast("list[dict[str, object]]", made["fields"])


def test_every_field_may_be_null_and_missing() -> None:
    (field,) = record(total={"type": "integer", "description": " Amount due "})
    assert field == {"name": "total", "type": ["null", "long"], "default": None, "doc": "Amount due"}


@pytest.mark.parametrize(
    ("schema", "avro"),
    [
        ({"type": ["string", "null"]}, "string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"enum": ["a", "b", None]}, "string"),
        ({"const": "a"}, "string"),
        ({"type": ["integer", "number"]}, "double"),
        ({"type": "number", "multipleOf": 5}, "double"),
        ({"type": "number", "multipleOf": 0.05}, "double"),
        (
            {"type": "number", "multipleOf": 0.001},
            {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 3},
        ),
        ({"type": ["string", "null"], "extend:type": "date"}, {"type": "int", "logicalType": "date"}),
        ({"type": "string", "format": "date-time"}, "string"),
        ({"x-avro": "json", "oneOf": []}, {"type": "string", "holds": "json"}),
        ({"type": "array", "items": {"type": "string"}}, {"type": "array", "items": "string"}),
        ({"type": "array", "items": {"type": ["string", "null"]}}, {"type": "array", "items": ["null", "string"]}),
    ],
)
def test_each_type_has_its_counterpart(schema: Schema, avro: object) -> None:
    (field,) = record(a=schema)
    assert field["type"] == ["null", avro]


def test_the_texts_of_an_enum_are_told_and_not_enforced() -> None:
    (field,) = record(state={"type": ["string", "null"], "enum": ["paid", "open", None], "description": "State."})
    assert (field["type"], field["doc"]) == (["null", "string"], "State. One of: paid, open.")


def test_records_are_named_after_their_path() -> None:
    group = {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"type": "string"}}}}}
    (field,) = record(a={"type": "array", "items": group})
    inner = cast("list[dict[str, dict[str, object]]]", field["type"])[1]["items"]
    assert inner["name"] == "Value_a"
    assert "'name': 'Value_a_b'" in str(inner)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "a: oneOf has no counterpart in Avro; write out"),
        ({"$ref": "#/$defs/x"}, r"a: \$ref has no counterpart"),
        ({"type": ["string", "integer"]}, "a: it may be string or integer; give it one type"),
        ({}, "a: it has no type; give it one"),
        ({"type": "null"}, "a: it has no type; give it one"),
        ({"enum": [1, "a"]}, "a: it has no type; give it one"),
        ({"type": "text"}, "a: 'text' is no type of JSON Schema"),
        ({"type": {}}, "a: {} is no type of JSON Schema"),
        ({"type": [{"a": 1}, "string"]}, "a: {'a': 1} is no type of JSON Schema"),
        ({"type": "object", "properties": {"\ud800": {"type": "string"}}}, "its name is no text that UTF-8 can hold"),
        ({"type": "object", "properties": {5: {"type": "string"}}}, r"a\.5: its name is no text"),
        (True, "a: its schema is no object; describe it"),
        ({"type": "object"}, "a: it is an object without properties; name its properties"),
        ({"type": "object", "patternProperties": {}}, "a: patternProperties leaves open which"),
        ({"type": "array"}, "a: it is an array without items; say what"),
        ({"type": "array", "prefixItems": []}, "a: its items have a schema for each place; make it an object"),
        ({"type": "array", "items": {"type": "object"}}, r"a\[\]: it is an object without properties"),
        ({"type": "object", "properties": {"b": {"not": {}}}}, r"a\.b: not has no counterpart"),
    ],
)
def test_what_avro_cannot_say_is_refused_with_the_way_out(schema: object, says: str) -> None:
    with pytest.raises(Inexpressible, match=says):
        record(a=schema)


@pytest.mark.parametrize("word", ["format", "extend:type"])
@pytest.mark.parametrize("value", [["date"], {}, None, 5])
def test_a_format_that_is_no_text_says_nothing(word: str, value: object) -> None:
    assert record(a={"type": "string", word: value}) == record(a={"type": "string"})


WORDS = st.sampled_from(
    ["type", "format", "extend:type", "properties", "items", "enum", "const", "multipleOf", "anyOf", "description"]
)
VALUES = st.sampled_from(
    ["object", "array", "string", "number", "null", "date", "currency", "\ud800", "", 0.01, 1, None]
)
SCHEMAS = st.recursive(
    VALUES | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b-c", "\ud800", ""]), SCHEMAS, min_size=1, max_size=3))
def test_any_schema_is_read_or_refused(properties: dict[str, object]) -> None:
    with suppress(Inexpressible):
        json.dumps(record(**properties), ensure_ascii=False).encode()


@pytest.mark.parametrize("schema", [{"type": "string"}, {"x-avro": "json"}, [], None])
def test_the_root_is_an_object(schema: object) -> None:
    with pytest.raises(Inexpressible, match=r"^the schema: "):
        read_schema(schema)


def test_a_schema_without_an_end_is_refused() -> None:
    deep: Schema = {"type": "string"}
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    with pytest.raises(Inexpressible, match="nests too deep"):
        record(a=deep)


@given(st.lists(NAMES, unique=True, min_size=1))
def test_names_are_avro_and_all_different(texts: list[str]) -> None:
    names = unique_names(texts)
    assert len(set(names.values())) == len(texts)
    assert all(avro_name(name) == name for name in names.values())
    assert all(names[text] == text for text in texts if avro_name(text) == text)


@given(st.lists(NAMES, unique=True, min_size=1), st.randoms())
def test_names_do_not_depend_on_the_order(texts: list[str], random: object) -> None:
    shuffled = sorted(texts, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert unique_names(texts) == unique_names(shuffled)
