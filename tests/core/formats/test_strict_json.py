"""Strict JSON: what the standard parser lets through is refused, and nothing brings it down."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.strict_json import NotJson, parse_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ('{"a": 1} x', "Extra data"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": -Infinity}', "-Infinity is no JSON value"),
        ('{"a": 1e999}', "too large for a double"),
        ('{"a": 9223372036854775808}', "does not fit 64 bits"),
        ('{"a": -9223372036854775809}', "does not fit 64 bits"),
        ('{"a": ' + "1" * 5000 + "}", "does not fit 64 bits"),
        ('{"a": 1, "a": 2}', "the key a stands twice"),
        ('{"b": {"a": 1, "\\u0061": 2}}', "the key a stands twice"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\udfff": 1}', "lone surrogate"),
        ('{"a": "\ud800"}', "lone surrogate"),
        ('{"a": "\x01"}', "control character"),
        ("[" * 65 + "]" * 65, "deeper than 64"),
        ("[" * 100_000, "deeper than 64"),
        ('{"a":' * 70 + "1" + "}" * 70, "deeper than 64"),
        ("\ufeff{}", "Expecting value"),
    ],
)
def test_what_is_not_plain_json_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotJson, match=said):
        parse_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 64 + "]" * 64,
        '{"a": "' + "[" * 1000 + '"}',
        '{"a": "\\"' + "[" * 1000 + '"}',
        '{"a": "\\ud83d\\ude00"}',
        '{"a": 9223372036854775807, "b": -9223372036854775808}',
        '[{"a": 1}, {"a": 2}]',
        " \n\t[1.5e3] ",
    ],
)
def test_plain_json_is_read_as_the_standard_parser_reads_it(text: str) -> None:
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize("number", ["1e-9999999999999999999", "-0.1E-99999999999999999999", "0e9999999999999999999"])
def test_an_exact_number_has_an_exponent_that_can_be_counted_with(number: str) -> None:
    with pytest.raises(NotJson, match="exponent is too large"):
        parse_json(f"[{number}]", exact=True)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,25})?", fullmatch=True), st.booleans())
def test_any_number_is_read_or_refused(number: str, exact: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    with suppress(NotJson):
        assert isinstance(parse_json(number, exact=exact), int | float | Decimal)


@given(json_values)
def test_every_json_value_comes_back(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9) | st.integers(-(10**300), 10**300))
def test_exact_numbers_keep_every_digit(number: Decimal | int) -> None:
    read = parse_json(str(number), exact=True)
    assert isinstance(read, int | Decimal)
    assert Decimal(read) == Decimal(number)


@pytest.mark.parametrize("text", ["1e999", "1e99999999999999999999", "9" * 400, "0." + "1" * 1000])
def test_exact_numbers_have_limits(text: str) -> None:
    with pytest.raises(NotJson, match="a number"):
        parse_json(text, exact=True)


@given(st.text() | st.text(alphabet='[]{}",:\\u0d8 1eN-'))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parse_json(text)
    except NotJson:
        return
