"""Which doorbells are relied on: judged by the ends that they announced."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.follow.doorbells import (
    CHECK_SECONDS,
    FEWEST_ENDS,
    GRACE_SECONDS,
    MISSES_IN_A_ROW,
    MOST_PENDING,
    QUIET_SECONDS,
    WINDOW,
    Bell,
    Doorbells,
)
from connector.core.run_types import RUN_TYPES, has_event

SAFETY = 30.0
ROUTE = "documents"


def bells() -> Doorbells:
    return Doorbells([ROUTE], SAFETY)


def end(doorbells: Doorbells, at: float, *, rang: bool) -> None:
    """A run ended, and is found so late that a doorbell cannot come any more."""
    found = at + GRACE_SECONDS
    doorbells.ended(ROUTE, f"run_{at}", ended_at=at, rang_at=at + 0.2 if rang else -inf, now=found)


def ringing(until: float = 100.0) -> Doorbells:
    made = bells()
    for number in range(WINDOW):
        end(made, until - WINDOW + number, rang=True)
    assert made.bells() == {ROUTE: (Bell.RINGING, 1.0)}
    return made


def state(doorbells: Doorbells) -> Bell:
    return doorbells.bells()[ROUTE][0]


def test_nothing_is_proven_before_a_few_ends() -> None:
    made = bells()
    for number in range(FEWEST_ENDS):
        assert state(made) is Bell.UNPROVEN
        assert made.rest_until([ROUTE], 0.0) == -inf
        assert made.rest(ROUTE) == 0.0
        end(made, number, rang=True)
    assert state(made) is Bell.RINGING
    assert made.rest(ROUTE) == SAFETY


def test_a_route_whose_webhooks_never_came_is_silent() -> None:
    made = bells()
    for number in range(FEWEST_ENDS):
        assert state(made) is Bell.UNPROVEN
        end(made, number, rang=False)
    assert state(made) is Bell.SILENT
    assert [(turn.bell, turn.reason) for turn in made.turns()] == [(Bell.SILENT, "few")]
    assert made.turns() == []


@pytest.mark.parametrize(("later", "bell"), [(GRACE_SECONDS - 0.1, Bell.RINGING), (GRACE_SECONDS + 0.1, Bell.SILENT)])
def test_a_doorbell_may_come_a_little_after_the_end_was_found(later: float, bell: Bell) -> None:
    made = bells()
    for number in range(FEWEST_ENDS):
        ended = 100.0 * number
        made.ended(ROUTE, f"run_{number}", ended_at=ended, rang_at=-inf, now=ended + 1.0)
        made.settle(ended + later)
        made.rang(f"run_{number}", ended + later)
    assert state(made) is bell


def test_an_old_doorbell_announces_no_end() -> None:
    made = ringing()
    for number in range(WINDOW):
        ended = 200.0 + number
        made.ended(ROUTE, f"late_{number}", ended_at=ended, rang_at=ended - 60.0, now=ended + GRACE_SECONDS)
    assert state(made) is Bell.SILENT


def test_one_miss_or_a_short_quiet_is_no_silence() -> None:
    made = ringing(100.0)
    end(made, 101.0, rang=False)
    made.settle(10_000.0)
    assert state(made) is Bell.RINGING
    assert made.next_due() == inf


def test_silence_begins_so_long_after_the_last_doorbell_once_enough_was_missed() -> None:
    made = ringing(100.0)
    rung = 99.2
    for number in range(MISSES_IN_A_ROW):
        end(made, 105.0 + number, rang=False)
    assert made.next_due() == rung + QUIET_SECONDS
    made.settle(rung + QUIET_SECONDS - 0.1)
    assert state(made) is Bell.RINGING
    made.settle(rung + QUIET_SECONDS)
    assert state(made) is Bell.SILENT
    assert [turn.reason for turn in made.turns()] == ["announced", "quiet"]
    assert made.rest_until([ROUTE], 130.0) == -inf
    end(made, 140.0, rang=True)
    assert state(made) is Bell.RINGING


def test_misses_from_before_the_last_doorbell_are_no_silence() -> None:
    made = ringing(100.0)
    for number in range(MISSES_IN_A_ROW):
        end(made, 95.0 + number, rang=False)
    made.settle(10_000.0)
    assert state(made) is Bell.RINGING


def test_a_list_rests_for_the_interval_and_is_checked_once_when_doorbells_stop() -> None:
    made = ringing(100.0)
    check = 99.2 + CHECK_SECONDS
    assert made.rest_until([ROUTE], 80.0) == 80.0 + SAFETY
    assert made.rest_until([ROUTE], 100.0) == check
    assert made.rest_until([ROUTE], check) == check + SAFETY
    assert made.rest_until([ROUTE, "another"], 100.0) == -inf


def test_whoever_does_not_count_on_doorbells_never_rests() -> None:
    made = Doorbells([ROUTE], None)
    for number in range(WINDOW):
        end(made, number, rang=True)
    assert made.bells() == {}
    assert made.rest(ROUTE) == 0.0
    assert made.rest_until([ROUTE], 0.0) == -inf
    assert made.next_due() == inf


def test_ends_that_wait_for_their_doorbell_are_bounded() -> None:
    made = bells()
    for number in range(MOST_PENDING + 100):
        made.ended(ROUTE, f"run_{number}", ended_at=0.0, rang_at=-inf, now=0.0)
    assert not made.rang("run_0", 1.0)
    assert made.rang(f"run_{MOST_PENDING}", 1.0)
    made.settle(GRACE_SECONDS)
    assert made.next_due() == inf


@given(
    st.lists(
        st.tuples(st.floats(0.01, 20.0), st.floats(0.0, 40.0), st.sampled_from([None, -60.0, 0.2, 9.0, 25.0])),
        max_size=80,
    )
)
def test_a_route_that_rings_has_announced_half_of_its_last_ends_and_the_last_doorbell_is_not_long_ago(
    ends: list[tuple[float, float, float | None]],
) -> None:
    made = bells()
    now = 0.0
    for number, (after, found_after, rings_after) in enumerate(ends):
        now += after
        rang_at = -inf if rings_after is None else now - found_after + min(rings_after, found_after)
        made.ended(ROUTE, str(number), ended_at=now - found_after, rang_at=rang_at, now=now)
        made.settle(now)
        known = made._routes[ROUTE]
        if known.bell is Bell.RINGING:
            assert known.share >= 0.5
            assert not known.is_missing or now < known.rang_at + QUIET_SECONDS
        assert made.next_due() > now


@pytest.mark.parametrize(
    ("run_type", "silent"),
    [
        *((name, {"CANCELLED", "NEEDS_REVIEW", "REJECTED"}) for name in RUN_TYPES if name != "workflow"),
        ("workflow", set()),
    ],
)
def test_the_table_of_run_types_says_for_which_ends_there_is_an_event(run_type: str, silent: set[str]) -> None:
    statuses = {"PROCESSED", "FAILED", "CANCELLED", "NEEDS_REVIEW", "REJECTED"}
    assert {status for status in statuses if not has_event(run_type, status)} == silent
    assert not has_event(run_type, "TRANSMOGRIFIED")
