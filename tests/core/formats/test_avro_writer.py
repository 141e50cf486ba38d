"""The value check agrees with fastavro's own, and is stricter where that one is careless."""

from __future__ import annotations

import fastavro
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector.core.formats.avro import DoesNotFit, load_checked
from connector.core.formats.framing import Codec
from connector.core.formats.value_check import Misfit, check_of

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
check = check_of(load_checked(SCHEMA))


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
def test_what_fits_can_be_written(changes: dict[str, object]) -> None:
    if check(GOOD | changes) is None:
        assert Codec(SCHEMA).encode(GOOD | changes)
