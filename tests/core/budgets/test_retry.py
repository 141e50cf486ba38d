"""What an answer asks us to wait, however it is written."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.budgets.retry import MAX_RETRY_AFTER, backoff, parse_retry_after, retry_after, wait_seconds

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7\t", 7.0),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("1_000", None),
        ("\u0661\u0667", None),
        ("0x10", None),
        ("7, 8", None),
        ("Wed, 99 Foo 2026 25:61:61 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_a_huge_wait_is_cut() -> None:
    assert retry_after({"retry-after": "999999999"}, NOW) == MAX_RETRY_AFTER
    assert retry_after({"retry-after": "999999999"}, NOW, cap=10) == 10
    assert retry_after({"retry-after": formatdate(NOW + 1e9, usegmt=True)}, NOW, cap=10) == 10


def test_the_reset_counts_when_retry_after_says_nothing() -> None:
    assert retry_after({"x-ratelimit-reset": str(int(NOW) + 9)}, NOW) == 9
    assert retry_after({"retry-after": "garbage", "x-ratelimit-reset": str(int(NOW) + 9)}, NOW) == 9
    assert retry_after({"retry-after": "2", "x-ratelimit-reset": str(int(NOW) + 9)}, NOW) == 2
    assert retry_after({"x-ratelimit-reset": str(int(NOW) - 9)}, NOW) is None
    assert retry_after({"x-ratelimit-reset": "-1"}, NOW) is None
    assert retry_after({}, NOW) is None


def test_instants_are_compared_with_the_answers_own_clock() -> None:
    theirs = NOW - 600
    headers = {"date": formatdate(theirs, usegmt=True)}
    assert retry_after({**headers, "retry-after": formatdate(theirs + 5, usegmt=True)}, NOW) == 5
    assert retry_after({**headers, "x-ratelimit-reset": str(int(theirs) + 5)}, NOW) == 5
    assert retry_after({"date": "garbage", "x-ratelimit-reset": str(int(NOW) + 5)}, NOW) == 5


@given(text=st.text(), date=st.text(), reset=st.text())
def test_no_header_can_break_it_or_make_it_wait_for_ever(text: str, date: str, reset: str) -> None:
    wait = retry_after({"retry-after": text, "date": date, "x-ratelimit-reset": reset}, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@given(st.integers(0, 10**9))
def test_every_date_within_the_cap_is_read_to_the_second(ahead: int) -> None:
    assert parse_retry_after(formatdate(NOW + ahead, usegmt=True), NOW) == ahead


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 1), (1, 2), (5, 32), (6, 60), (100_000, 60)])
def test_backoff_doubles_up_to_its_cap(attempt: int, seconds: float) -> None:
    assert backoff(attempt, 0) == seconds
    assert backoff(attempt, -1) == seconds * 0.75
    assert backoff(attempt, 1) == seconds * 1.25


def test_the_longer_of_header_and_backoff_counts() -> None:
    assert wait_seconds(0, 0, None) == 1
    assert wait_seconds(0, 0, 7) == 7
    assert wait_seconds(5, 0, 7) == 32
