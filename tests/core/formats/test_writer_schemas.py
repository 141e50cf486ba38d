"""What is learnt of a registry's schemas: bounded, never hostile, never changed."""

from __future__ import annotations

import json

import pytest

from connector.core.errors import SchemaAwaited
from connector.core.formats.avro import Undecodable
from connector.core.formats.writer_schemas import ABSENT_SECONDS, REMEMBERED, Learnt, WriterSchemas
from connector.core.reasons import Reason


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def schemas(most: int = 10, most_bytes: int = 100_000) -> WriterSchemas:
    return WriterSchemas(Time().monotonic, most=most, most_bytes=most_bytes)


def record(*fields: str) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": [{"name": name, "type": "string"} for name in fields]})


def refusal(known: WriterSchemas, schema_id: int) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        known.of(schema_id)
    return caught.value


def test_a_schema_is_awaited_until_it_is_learnt() -> None:
    known = schemas()
    with pytest.raises(SchemaAwaited) as caught:
        known.of(7)
    assert caught.value.schema_id == 7
    assert known.learn(7, record("a")) is Learnt.KNOWN
    assert known.of(7).decode(b"\x02x") == {"a": "x"}
    assert not known.knows(8)


def test_the_longest_unused_one_is_forgotten_first() -> None:
    known = schemas(most=2)
    for number in (1, 2):
        known.learn(number, record("a"))
    known.of(1)
    known.learn(3, record("a"))
    assert [number for number in (1, 2, 3) if known.knows(number)] == [1, 3]


def test_texts_are_bounded_together_and_one_always_fits() -> None:
    known = schemas(most_bytes=2_000)
    large = record(*(f"field_{number}" for number in range(40)))
    assert 1_000 < len(large) < 2_000
    known.learn(1, large)
    known.learn(2, large)
    assert [number for number in (1, 2) if known.knows(number)] == [2]
    small = WriterSchemas(Time().monotonic, most_bytes=10)
    small.learn(1, large)
    assert small.of(1).name == "R"


def test_an_id_that_was_learnt_again_counts_once() -> None:
    known = schemas(most_bytes=3 * len(record("a")))
    for _ in range(10):
        known.learn(1, record("a"))
    known.learn(2, record("a"))
    assert known.knows(1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<html>", "no Avro schema"),
        ('syntax = "proto3";', "no Avro schema"),
        ('{"type": "object", "properties": {}}', "'object', which it does not define"),
        ('{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}', "recursive"),
        ('{"type": "array", "items": "null"}', "no bytes"),
        (record(*(f"field_{number}" for number in range(8_000))), "262144 are allowed"),
        ('{"type": "array", "items": ' * 40 + '"int"' + "}" * 40, "deeper than 32"),
        ("[" * 100_000, "deeper"),
        ("17", "not int"),
    ],
)
def test_a_hostile_or_foreign_schema_is_refused_and_named(text: str, why: str) -> None:
    known = schemas()
    assert known.learn(7, text) is Learnt.REFUSED
    error = refusal(known, 7)
    assert error.reason is Reason.UNDECODABLE
    assert "schema 7" in str(error)
    assert why in str(error)


def test_an_id_that_changes_its_schema_is_refused_after_it_was_forgotten_too() -> None:
    known = schemas(most=1)
    known.learn(7, record("a", "b"))
    known.learn(8, record("a"))
    assert known.learn(7, record("b", "a")) is Learnt.CHANGED
    error = refusal(known, 7)
    assert error.reason is Reason.UNKNOWN_SCHEMA
    assert "another schema for id 7" in str(error)
    assert known.learn(7, record("a", "b")) is Learnt.KNOWN


def test_the_same_schema_in_other_words_is_no_change() -> None:
    known = schemas()
    known.learn(7, record("a"))
    assert known.learn(7, json.dumps(json.loads(record("a")) | {"doc": "words"}, indent=2)) is Learnt.KNOWN


def test_what_is_remembered_of_forgotten_schemas_is_bounded() -> None:
    known = schemas(most=1)
    for number in range(REMEMBERED + 2):
        known.learn(number, record("a"))
    assert known.learn(0, record("b")) is Learnt.KNOWN


def test_an_absent_id_is_refused_for_a_while_and_then_asked_for_again() -> None:
    time = Time()
    known = WriterSchemas(time.monotonic)
    known.absent(7)
    error = refusal(known, 7)
    assert (error.reason, str(error)) == (Reason.UNKNOWN_SCHEMA, "The schema registry has no schema with id 7.")
    time.now += ABSENT_SECONDS
    assert not known.knows(7)
    known.learn(7, record("a"))
    assert known.of(7).name == "R"


@pytest.mark.parametrize(
    ("text", "body", "value"), [('"string"', b"\x04ab", "ab"), ('["null", "int"]', b"\x02\x04", 2)]
)
def test_a_schema_need_not_be_a_record(text: str, body: bytes, value: object) -> None:
    known = schemas()
    assert known.learn(7, text) is Learnt.KNOWN
    assert known.of(7).decode(body) == value
