from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.config.quantities import Duration, Instant, Quantity, Share, Size


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (Duration(), "20ms", 0.02),
        (Duration(), "15s", 15.0),
        (Duration(), "1.5 m", 90.0),
        (Duration(), " 1h ", 3600.0),
        (Duration(), "1d", 86_400.0),
        (Duration(), "0s", 0.0),
        (Size(), "256MB", 256_000_000),
        (Size(), "256MiB", 268_435_456),
        (Size(), "1.5kB", 1500),
        (Size(), "7B", 7),
        (Share(), "80%", 0.8),
    ],
)
def test_a_number_with_a_unit_is_read(kind: Quantity, text: str, number: float) -> None:
    found = kind.parse(text, needs_unit=True)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (15, "needs a unit (ms, s, m, h, d)"),
        (1.5, "needs a unit"),
        ("15", "needs a unit"),
        ("15 sec", "has a unit that a duration does not have"),
        ("15S", "has a unit that a duration does not have"),
        ("-15s", "must be a duration with its unit"),
        ("1e3s", "must be a duration with its unit"),
        ("\u0661\u0665s", "must be a duration with its unit"),
        ("s", "must be a duration with its unit"),
        ("", "must be a duration with its unit"),
        ("9" * 30 + "s", "must be a duration with its unit"),
        (True, "must be a duration with its unit"),
        (None, "must be a duration with its unit"),
        ([], "must be a duration with its unit"),
    ],
)
def test_what_is_no_duration_is_refused(text: object, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:
        Duration().parse(text, needs_unit=True)
    assert sentence in str(raised.value)
    assert "for example 15s" in str(raised.value)


@pytest.mark.parametrize(("text", "fits"), [("9s", False), ("10s", True), ("15m", True), ("901s", False)])
def test_the_bounds_count_themselves(text: str, fits: bool) -> None:  # noqa: FBT001 - a table
    kind = Duration(least=10, most=900)
    if fits:
        kind.parse(text, needs_unit=True)
    else:
        with pytest.raises(ValueError, match="must be from 10s to 15m"):
            kind.parse(text, needs_unit=True)


def test_python_code_may_give_plain_numbers() -> None:
    assert Duration().parse(2, needs_unit=False) == 2.0
    assert Size(least=1).parse(5, needs_unit=False) == 5
    with pytest.raises(ValueError, match="at least 1B"):
        Size(least=1).parse(0, needs_unit=False)
    with pytest.raises(ValueError):
        Duration().parse(math.nan, needs_unit=False)


@given(milliseconds=st.integers(min_value=0, max_value=10**11))
def test_what_is_shown_is_read_as_the_same(milliseconds: int) -> None:
    kind = Duration()
    seconds = kind.parse(f"{milliseconds}ms", needs_unit=True)
    assert kind.parse(kind.show(seconds), needs_unit=True) == seconds


@given(size=st.integers(min_value=0, max_value=10**14))
def test_a_size_that_is_shown_is_read_as_the_same(size: int) -> None:
    assert Size().parse(Size().show(size), needs_unit=True) == size


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_any_value_is_a_number_in_bounds_or_a_value_error(value: object) -> None:
    for needs_unit in (True, False):
        try:
            found = Duration(least=1, most=60).parse(value, needs_unit=needs_unit)
        except ValueError:
            continue
        assert 1 <= found <= 60


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("earliest", "earliest"),
        ("2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T02:00:00+02:00", datetime(2026, 12, 1, 2, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_an_instant_knows_its_offset(text: str, moment: object) -> None:
    assert Instant.parse(text) == moment


@pytest.mark.parametrize("text", ["latest", "2026-12-01", "2026-12-01T00:00:00", "", None, 5, "Earliest"])
def test_what_is_no_instant_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="2026-12-01T00:00:00Z"):
        Instant.parse(text)
