"""The schedule of the official SDK, value for value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.follow.polling import PollingOptions, delay_ms

SDK_VALUES = [
    (0, 1_000),
    (29_999, 1_000),
    (30_000, 1_000),
    (31_000, 1_150),
    (32_150, 1_322),
    (40_000, 2_313),
    (60_000, 5_350),
    (120_000, 14_232),
    (180_000, 21_645),
    (240_000, 28_625),
    (300_000, 30_000),
    (3_600_000, 30_000),
]


@pytest.mark.parametrize(("elapsed_ms", "expected"), SDK_VALUES)
def test_the_delays_are_those_of_the_sdk(elapsed_ms: int, expected: int) -> None:
    assert delay_ms(PollingOptions(), elapsed_ms, 0) == expected


def test_the_defaults_are_those_of_the_sdk() -> None:
    assert PollingOptions() == PollingOptions(None, 30_000, 1_000, 1_000, 30_000, 1.15, 0.25)


@pytest.mark.parametrize(("u", "fast", "longest"), [(-1, 750, 22_500), (1, 1_250, 37_500)])
def test_jitter_is_a_quarter_and_comes_after_the_cap(u: float, fast: int, longest: int) -> None:
    assert delay_ms(PollingOptions(), 0, u) == fast
    assert delay_ms(PollingOptions(), 3_600_000, u) == longest


def test_a_multiplier_of_one_keeps_the_first_delay() -> None:
    options = PollingOptions(backoff_multiplier=1, initial_delay_ms=700)
    assert delay_ms(options, 10_000_000, 0) == 700


def test_the_first_delay_is_cut_to_the_longest() -> None:
    options = PollingOptions(fast_poll_duration_ms=0, initial_delay_ms=5_000, max_delay_ms=2_000)
    assert delay_ms(options, 0, 0) == 2_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_wait_ms", -1),
        ("fast_poll_duration_ms", -1),
        ("fast_poll_interval_ms", 0),
        ("initial_delay_ms", 0),
        ("max_delay_ms", math.nan),
        ("backoff_multiplier", 0.9),
        ("backoff_multiplier", math.inf),
        ("jitter_fraction", 1.1),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        PollingOptions(**{name: value})


@given(
    elapsed_ms=st.floats(0, 1e15),
    u=st.floats(-1, 1),
    ratio=st.floats(1, 10),
    first=st.floats(1, 1e6),
    longest=st.floats(1, 1e6),
)
def test_every_delay_lies_between_nothing_and_the_longest_with_jitter(
    elapsed_ms: float, u: float, ratio: float, first: float, longest: float
) -> None:
    options = PollingOptions(backoff_multiplier=ratio, initial_delay_ms=first, max_delay_ms=longest)
    bound = max(longest, options.fast_poll_interval_ms) * 1.25
    assert 0 <= delay_ms(options, elapsed_ms, u) <= round(bound)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=2))
def test_the_delay_never_shrinks_as_time_passes(times: list[float]) -> None:
    early, late = sorted(times)
    assert delay_ms(PollingOptions(), early, 0) <= delay_ms(PollingOptions(), late, 0)
