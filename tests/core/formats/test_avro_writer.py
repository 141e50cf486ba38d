"""The writer writes what fastavro does, refuses what fastavro's check refuses, and more where that one is careless."""

from __future__ import annotations

from io import BytesIO

import fastavro
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector.core.formats.avro import DoesNotFit, load_checked
from connector.core.formats.avro_writer import Misfit, Unfit, writer_of
from connector.core.formats.framing import Codec

INNER = {"type": "record", "name": "I", "fields": [{"name": "x", "type": {"type": "long"}}]}
SCHEMA: dict[str, object] = {
    "type": "record",
    "name": "R",
    "namespace": "n",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "real", "type": ["null", "double"], "default": None},
        {"name": "raw", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "E", "symbols": ["a", "b"]}},
        {"name": "many", "type": {"type": "array", "items": ["null", "string", "bytes"]}},
        {"name": "map", "type": {"type": "map", "values": INNER}},
        {"name": "again", "type": ["null", "F"], "default": None},
    ],
}
GOOD: dict[str, object] = {
    "flag": True,
    "small": 1,
    "real": 1.5,
    "raw": b"ab",
    "kind": "b",
    "many": [None, "t", b"b"],
    "map": {"k": {"x": 2}},
    "again": b"cd",
}
write = writer_of(load_checked(SCHEMA))


def written(value: object) -> bytes:
    out = bytearray()
    write(value, out)
    return bytes(out)


def written_by_fastavro(value: object) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), value, strict_allow_default=True)
    return out.getvalue()


def check(value: object) -> Misfit | None:
    try:
        write(value, bytearray())
    except Unfit as error:
        return error.misfit
    return None


def test_a_value_that_fits_has_no_misfit_and_can_be_written() -> None:
    codec = Codec(SCHEMA)
    assert check(GOOD) is None
    assert codec.decode(codec.encode(GOOD)) == GOOD


@pytest.mark.parametrize(
    ("changes", "path", "complaint"),
    [
        ({"flag": 1}, "flag", "a value of type int does not fit boolean"),
        ({"small": 2**31}, "small", "a value of type int does not fit int"),
        ({"small": True}, "small", "a value of type bool does not fit int"),
        ({"real": "1"}, "real", "a value of type str does not fit double"),
        ({"real": True}, "real", "a value of type bool does not fit double"),
        ({"raw": b"abc"}, "raw", "a value of type bytes does not fit n.F"),
        ({"kind": "c"}, "kind", "a value of type str does not fit n.E"),
        ({"many": "text"}, "many", "a value of type str does not fit an array"),
        ({"many": ["a", 1]}, "many.1", "a value of type int does not fit null or string or bytes"),
        ({"map": []}, "map", "a value of type list does not fit a map"),
        ({"map": {1: {"x": 1}}}, "map", "a map has texts as keys"),
        ({"map": {"canary": {"x": 1.5}}}, "map.*.x", "a value of type float does not fit long"),
        ({"map": {"k": {}}}, "map.*.x", "the value is missing"),
        ({"map": {"k": None}}, "map.*", "a value of type NoneType does not fit a record"),
        ({"again": b"c"}, "again", "a value of type bytes does not fit n.F"),
        ({"typo": 1}, "typo", "there is no such field"),
    ],
)
def test_a_misfit_names_its_path_and_not_the_value(changes: dict[str, object], path: str, complaint: str) -> None:
    assert check(GOOD | changes) == Misfit(path, complaint)
    with pytest.raises(DoesNotFit) as caught:
        Codec(SCHEMA).encode(GOOD | changes)
    assert str(caught.value) == f"R.{path}: {complaint}."


def test_a_field_without_a_default_may_not_be_left_out() -> None:
    assert check({name: value for name, value in GOOD.items() if name != "kind"}) == Misfit(
        "kind", "the value is missing"
    )
    assert check({name: value for name, value in GOOD.items() if name not in {"real", "again"}}) is None


_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "k"]), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(list(GOOD)), _any, max_size=3))
def test_it_agrees_with_the_check_of_fastavro(changes: dict[str, object]) -> None:
    datum = GOOD | changes
    assume(datum["many"] != b"")  # fastavro takes empty bytes for an empty array, and only those
    theirs = fastavro.validate(datum, fastavro.parse_schema(SCHEMA), raise_errors=False, strict=True)
    assert (check(datum) is None) == theirs


@given(st.dictionaries(st.sampled_from(list(GOOD)), _any, max_size=3))
def test_what_fits_is_written_as_by_fastavro(changes: dict[str, object]) -> None:
    if check(GOOD | changes) is None:
        assert written(GOOD | changes) == written_by_fastavro(GOOD | changes)


@given(st.integers(-(2**31), 2**31 - 1), st.lists(st.text(max_size=200) | st.binary() | st.none()), st.floats())
def test_numbers_and_lengths_are_written_as_by_fastavro(small: int, many: list[object], real: float) -> None:
    datum = GOOD | {"small": small, "many": many, "real": real}
    assert written(datum) == written_by_fastavro(datum)


@pytest.mark.parametrize("size", [0, 63, 64, 4095, 4096, 8191, 8192, 1 << 20])
def test_a_text_of_any_length_is_written_as_by_fastavro(size: int) -> None:
    datum = GOOD | {"many": ["ä" * size, b"b" * size, *[None] * min(size, 9000)], "map": {"k" * size: {"x": -size}}}
    assert written(datum) == written_by_fastavro(datum)


DEFAULTS: dict[str, object] = {
    "type": "record",
    "name": "D",
    "fields": [
        {"name": "raw", "type": "bytes", "default": "\u00ff\u0000"},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 1}, "default": "\u00fe"},
        {"name": "again", "type": "F", "default": "\u00fd"},
        {"name": "text", "type": ["string", "null"], "default": "t"},
        {"name": "many", "type": {"type": "array", "items": "long"}, "default": [1, -1]},
        {"name": "inner", "type": INNER, "default": {"x": 7}},
    ],
}


def test_what_is_left_out_has_its_default_as_the_specification_says() -> None:
    codec = Codec(DEFAULTS)
    assert codec.decode(codec.encode({})) == {
        "raw": b"\xff\x00",
        "fixed": b"\xfe",
        "again": b"\xfd",
        "text": "t",
        "many": [1, -1],
        "inner": {"x": 7},
    }
