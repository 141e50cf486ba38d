"""Whatever the generator takes, and whatever is valid under it: what a reader gets is what the API wrote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import cast

import fastavro
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.framing import HEADER_BYTES
from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import TypedResults, typed_schema
from connector.schema_files import load_schema
from tests.core.typed.schemas import OBJECTS, Schema

ENVELOPE = load_schema("run_result")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def typed(schema: Schema, run_type: str = "extract") -> TypedResults:
    """The typed results of a JSON Schema."""
    return TypedResults(typed_schema(ENVELOPE, "invoices", read_schema(schema)), ENVELOPE, run_type)


def datum(value: object) -> dict[str, object]:
    """A result around a value."""
    source = {"topic": "documents", "partition": 0, "offset": 1}
    texts = ("result_id", "run_type", "status", "route", "output_state", "observed_via")
    return {**dict.fromkeys(texts, "x"), "revision": 1, "source": source, "times": {}, "value": value}


@given(OBJECTS.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_every_valid_value_comes_back(pair: tuple[Schema, object]) -> None:
    schema, value = pair
    results = typed(schema)

    found = results.typed("extract", b'{"value":' + _encode(value) + b"}")
    assert found is not None
    assert (found.error, found.fit) == (None, "whole")
    written = results.codec.encode(datum(found.value))
    read = cast("Mapping[str, object]", results.codec.decode(written))["value"]

    assert results.restore(read) == full(schema, value)


@given(OBJECTS.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_a_reader_that_knows_the_schema_alone_reads_the_same(pair: tuple[Schema, object]) -> None:
    schema, value = pair
    results = typed(schema)
    found = results.typed("extract", b'{"value":' + _encode(value) + b"}")
    assert found is not None

    body = results.codec.encode(datum(found.value))[HEADER_BYTES:]
    read = fastavro.schemaless_reader(BytesIO(body), fastavro.parse_schema(dict(results.schema)), None)

    assert by_json_names(value_type(results.schema), cast("Mapping[str, object]", read)["value"]) == full(schema, value)


def full(schema: Schema, value: object) -> object:
    """The value with null for what is missing."""
    if isinstance(value, list):
        return [full(cast("Schema", schema["items"]), item) for item in value]
    if isinstance(value, dict):
        properties = cast("dict[str, Schema]", schema["properties"])
        return {name: full(inner, value.get(name)) for name, inner in properties.items()}
    return value


def value_type(schema: Mapping[str, object]) -> object:
    """The type of the field value."""
    return cast("list[Mapping[str, object]]", schema["fields"])[-1]["type"]


def by_json_names(avro: object, value: object) -> object:
    """What a reader of Avro has, as JSON would have it: by an independent reading of the schema."""
    if value is None:
        return None
    if isinstance(avro, list):
        return by_json_names(avro[1], value)
    if isinstance(avro, Mapping) and avro["type"] == "array":
        return [by_json_names(avro["items"], item) for item in cast("list[object]", value)]
    if isinstance(avro, Mapping) and avro["type"] == "record":
        held = cast("Mapping[str, object]", value)
        return {
            field.get("jsonName", field["name"]): by_json_names(field["type"], held[field["name"]])
            for field in avro["fields"]
        }
    return value.isoformat() if isinstance(value, date) else value


def test_money_is_exact() -> None:
    money = {
        "type": "object",
        "extend:type": "currency",
        "properties": {
            "amount": {"type": ["number", "null"]},
            "iso_4217_currency_code": {"type": ["string", "null"]},
        },
    }
    results = typed({"type": "object", "properties": {"total": money}})
    found = results.typed("extract", b'{"value":{"total":{"amount":1284.1,"iso_4217_currency_code":"EUR"}}}')
    assert found is not None
    restored = cast("dict[str, dict[str, object]]", results.restore(found.value))
    assert restored["total"] == {"amount": Decimal("1284.1"), "iso_4217_currency_code": "EUR"}
