"""JSON Schemas that the generator takes, each with values that are valid under it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import strategies as st

Schema = dict[str, object]
Pair = tuple[Schema, st.SearchStrategy[object]]

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False)
LONG = st.integers(-(2**63), 2**63 - 1)
NAMES = st.sampled_from(["total", "a-b", "a_b", "a b", "2nd", "Ünïcode", "", "_2nd", "value", "A"]) | TEXT


def exact(scale: int) -> st.SearchStrategy[object]:
    """Numbers with so many decimal places, as 38 digits hold them."""
    return st.integers(-(10**38) + 1, 10**38 - 1).map(lambda unscaled: plain(unscaled, scale))


def plain(unscaled: int, scale: int) -> Decimal:
    """A decimal without arithmetic, which would round."""
    return Decimal((int(unscaled < 0), tuple(int(digit) for digit in str(abs(unscaled))), -scale))


def nullable(pair: Pair) -> Pair:
    """The same, or null."""
    schema, values = pair
    return {**schema, "type": [schema["type"], "null"]}, st.none() | values


SCALARS: st.SearchStrategy[Pair] = st.sampled_from(
    [
        ({"type": "string"}, TEXT),
        ({"type": "string", "format": "date-time"}, TEXT),
        ({"type": "string", "enum": ["paid", "open"]}, st.sampled_from(["paid", "open"])),
        ({"type": "boolean"}, st.booleans()),
        ({"type": "integer"}, LONG),
        ({"type": "number"}, DOUBLE),
        ({"type": "number", "multipleOf": 0.1}, exact(1)),
        ({"type": "number", "multipleOf": 0.01}, exact(2)),
        ({"type": "number", "multipleOf": 0.000001}, exact(6)),
        ({"type": "string", "extend:type": "date"}, st.dates().map(date.isoformat)),
        ({"type": "string", "format": "date"}, st.dates().map(date.isoformat)),
    ]
)


def arrays(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Arrays of something."""
    return inner.map(lambda pair: ({"type": "array", "items": pair[0]}, st.lists(pair[1], max_size=3)))


def objects(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Objects with properties, all of which may be missing."""
    return st.dictionaries(NAMES, inner, min_size=1, max_size=4).map(
        lambda pairs: (
            {"type": "object", "properties": {name: schema for name, (schema, _) in pairs.items()}},
            st.fixed_dictionaries({}, optional={name: values for name, (_, values) in pairs.items()}),
        )
    )


KINDS: st.SearchStrategy[Pair] = st.recursive(
    SCALARS | SCALARS.map(nullable),
    lambda inner: arrays(inner) | objects(inner) | objects(inner).map(nullable),
    max_leaves=8,
)
OBJECTS = objects(KINDS)
