"""What changes between two versions of a schema, judged by what an independent reader can do."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.typed.avro_record import record_of
from connector.core.typed.difference import Change, changes
from connector.core.typed.json_schema import read_schema
from tests.core.typed.schemas import OBJECTS, Schema


def avro(properties: Mapping[str, object]) -> Schema:
    """The record of an object with these properties."""
    return record_of(read_schema({"type": "object", "properties": properties}), "Value")


def between(old: Mapping[str, object], new: Mapping[str, object]) -> list[Change]:
    """What changes."""
    return changes(avro(old), avro(new))


TEXT: Schema = {"type": "string"}
GROUP: Schema = {"type": "object", "properties": {"b": TEXT}}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": TEXT}, {"a": TEXT}, []),
        ({"a": TEXT}, {"a": TEXT | {"description": "other"}}, []),
        ({"a": TEXT}, {"a": TEXT, "b": TEXT}, [Change("b", "added", "string", readable=True)]),
        ({"a": TEXT, "b": TEXT}, {"a": TEXT}, [Change("b", "removed", "string", readable=True)]),
        ({"a": TEXT}, {"a": {"type": "integer"}}, [Change("a", "changed", "string → long", readable=False)]),
        (
            {"a": {"type": "number"}},
            {"a": {"type": "integer"}},
            [Change("a", "changed", "double → long", readable=True)],
        ),
        (
            {"a": {"type": "number", "multipleOf": 0.1}},
            {"a": {"type": "number", "multipleOf": 0.01}},
            [Change("a", "changed", "decimal(38, 1) → decimal(38, 2)", readable=False)],
        ),
        ({"a": TEXT}, {"a": {"x-avro": "json"}}, [Change("a", "changed", "string → text of json", readable=False)]),
        (
            {"a": {"type": "array", "items": TEXT}},
            {"a": {"type": "array", "items": {"type": ["string", "null"]}}},
            [Change("a[]", "changed", "string → string or null", readable=False)],
        ),
        (
            {"a": {"type": "array", "items": GROUP}},
            {"a": {"type": "array", "items": {"type": "object", "properties": {"b": TEXT, "c": GROUP}}}},
            [
                Change("a[].c", "added", "record", readable=True),
                Change("a[].c.b", "added", "string", readable=True),
            ],
        ),
    ],
)
def test_changes_are_named(old: Schema, new: Schema, found: list[Change]) -> None:
    assert between(old, new) == found


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"fields": {}},
        {"fields": [{"type": "string"}, {"name": "b"}, 5]},
        {"fields": [{"name": "a", "type": []}, {"name": "b", "type": ["null", {"type": "array"}]}]},
        {"fields": [{"name": "a", "type": ["null", {"type": "record"}]}]},
    ],
)
def test_an_old_schema_may_be_damaged(damaged: Schema) -> None:
    new = avro({"a": GROUP, "b": {"type": "array", "items": TEXT}})
    assert {change.path.split(".")[0].removesuffix("[]") for change in changes(damaged, new)} == {"a", "b"}


@given(OBJECTS, OBJECTS.flatmap(lambda pair: st.tuples(st.just(pair[0]), st.booleans())))
def test_what_is_called_readable_is_read(old: tuple[Schema, object], new: tuple[Schema, bool]) -> None:
    before = record_of(read_schema(old[0]), "Value")
    after = record_of(read_schema(new[0]), "Value")
    if all(change.readable for change in changes(before, after)):
        names = [str(field["name"]) for field in cast("list[Mapping[str, object]]", after["fields"])]
        body = BytesIO()
        fastavro.schemaless_writer(body, fastavro.parse_schema(after), dict.fromkeys(names))
        body.seek(0)
        read = fastavro.schemaless_reader(body, fastavro.parse_schema(after), fastavro.parse_schema(before))
        assert isinstance(read, dict)
