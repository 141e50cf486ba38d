"""Which differences of two schemas a reader would notice."""

from __future__ import annotations

from typing import Any

import pytest

from connector.core.formats.avro import AvroSchema
from connector.core.formats.same_schema import same_for_readers

DECIMAL: dict[str, object] = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}


def record(kind: object, **more: object) -> dict[str, object]:
    return {"type": "record", "name": "A", "fields": [{"name": "a", "type": kind, **more}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (record(DECIMAL), record({**DECIMAL, "scale": 3})),
        (record(["null", DECIMAL]), record(["null", {**DECIMAL, "precision": 9}])),
        (record(DECIMAL), record("bytes")),
        (record("bytes", logicalType="decimal", precision=38, scale=2), record(DECIMAL)),
        (record({"type": "array", "items": DECIMAL}), record({"type": "array", "items": {**DECIMAL, "scale": 3}})),
        (record({"type": "map", "values": DECIMAL}), record({"type": "map", "values": "bytes"})),
        (record({"type": "int", "logicalType": "date"}), record("int")),
        (record("string", jsonName="a-b"), record("string", jsonName="a b")),
        (record({"type": "string", "holds": "json"}), record("string")),
        (record(["string", DECIMAL]), record([{"type": "string", "holds": "json"}, DECIMAL])),
        (record({**record(DECIMAL), "name": "B"}), record({**record({**DECIMAL, "scale": 0}), "name": "B"})),
    ],
)
def test_what_fingerprints_leave_out_makes_another_schema(one: Any, other: Any) -> None:  # noqa: ANN401 - a row
    assert AvroSchema(one).fingerprint == AvroSchema(other).fingerprint
    assert not same_for_readers(one, other)
    assert same_for_readers(one, dict(reversed(one.items())))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (record("string"), record({"type": "string"}, doc="Said of the field.")),
        (record("string"), {**record("string"), "doc": "Said of the record."}),
        (record({**record("int"), "name": "B", "namespace": "c"}), record({**record("int"), "name": "c.B"})),
        ("string", {"type": "string"}),
    ],
)
def test_documentation_and_notation_make_none(one: object, other: object) -> None:
    assert same_for_readers(one, other)


@pytest.mark.parametrize("other", [record("int"), record("nothing"), None, [], {"type": "record"}])
def test_another_structure_and_no_schema_are_not_the_same(other: object) -> None:
    assert not same_for_readers(record("string"), other)
    assert not same_for_readers(other, record("string"))
