"""When a list is relied on, and what it takes to be relied on again."""

from __future__ import annotations

import pytest

from connector.core.follow.list_health import (
    FAILURES_IN_A_ROW,
    GOOD_PASSES,
    LATE_SECONDS,
    STRIKE_WINDOW_SECONDS,
    TRIAL_SECONDS,
    ListHealth,
    Trouble,
)


def passes_until_good(health: ListHealth, now: float) -> int:
    for number in range(1, 1000):
        health.passed(now + number * TRIAL_SECONDS)
        if health.good:
            return number
    raise AssertionError("never again")


def struck(health: ListHealth, now: float) -> None:
    health.missed("run_1", now)
    health.missed("run_2", now)


def test_failures_count_only_in_a_row() -> None:
    health = ListHealth()
    for _ in range(10):
        for _ in range(FAILURES_IN_A_ROW - 1):
            health.failed(Trouble.UNAVAILABLE, 0.0)
        assert health.good
        health.passed(0.0)
    for _ in range(FAILURES_IN_A_ROW):
        health.failed(Trouble.REFUSED, 0.0)
    assert health.trouble is Trouble.REFUSED


def test_one_run_is_no_reason_and_two_are_unless_they_are_far_apart() -> None:
    health = ListHealth()
    for number in range(5):
        health.missed("run_1", float(number))
    assert health.good
    health.missed("run_2", STRIKE_WINDOW_SECONDS + 10.0)
    assert health.good
    health.missed("run_3", STRIKE_WINDOW_SECONDS + 11.0)
    assert health.trouble is Trouble.INCOMPLETE


def test_changes_that_show_late_are_a_reason_and_their_lag_is_forgotten_after_a_minute() -> None:
    health = ListHealth()
    for number in range(5):
        health.sighted(f"run_{number}", LATE_SECONDS - 1.0, 10.0)
    assert health.good
    assert health.lag(20.0) == LATE_SECONDS - 1.0
    assert health.lag(100.0) == 0.0
    health.sighted("run_1", LATE_SECONDS, 100.0)
    health.sighted("run_2", LATE_SECONDS, 100.0)
    assert health.trouble is Trouble.LAGGING


def test_each_relapse_takes_twice_as_many_good_passes() -> None:
    health, now, needed = ListHealth(), 0.0, []
    for _ in range(4):
        struck(health, now)
        needed.append(passes_until_good(health, now))
        now += needed[-1] * TRIAL_SECONDS + 60.0
    assert needed == [GOOD_PASSES, 2 * GOOD_PASSES, 4 * GOOD_PASSES, 8 * GOOD_PASSES]
    struck(health, now + 7200.0)
    assert passes_until_good(health, now + 7200.0) == GOOD_PASSES


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.UNAVAILABLE, Trouble.UNREADABLE])
def test_a_list_that_can_be_read_again_is_relied_on_at_once_unless_it_had_shown_too_little(trouble: Trouble) -> None:
    health = ListHealth()
    for _ in range(FAILURES_IN_A_ROW):
        health.failed(trouble, 0.0)
    health.passed(1.0)
    assert health.good
    struck(health, 2.0)
    health.failed(trouble, 3.0)
    assert health.trouble is Trouble.INCOMPLETE
    health.passed(4.0)
    assert not health.good


def test_what_is_off_stays_off() -> None:
    health = ListHealth(Trouble.OFF)
    struck(health, 0.0)
    health.start_over()
    passes = 0
    while passes < 100:
        health.passed(passes * 100.0)
        passes += 1
    assert health.trouble is Trouble.OFF
