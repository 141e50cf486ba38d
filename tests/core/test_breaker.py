"""The gate: an outage costs a bounded number of unclear starts, and there is no state without a way out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connector.core.breaker import (
    LONGEST_PROBE_SECONDS,
    LONGEST_TRIAL_SECONDS,
    UNCLEAR_IN_A_ROW,
    Permit,
    StartGate,
)


def opened(now: float = 0.0) -> StartGate:
    gate = StartGate()
    for _ in range(UNCLEAR_IN_A_ROW):
        gate.unclear(now)
    return gate


def forbidden(now: float = 0.0) -> StartGate:
    gate = StartGate()
    gate.forbidden(now)
    return gate


def test_three_unclear_in_a_row_open_it_and_an_answer_in_between_starts_the_count_anew() -> None:
    gate = StartGate()
    for _ in range(10):
        gate.unclear(0.0)
        gate.unclear(0.0)
        assert gate.decide(0.0).permit is Permit.START
        gate.answered()
    for _ in range(UNCLEAR_IN_A_ROW):
        gate.unclear(0.0)
    assert gate.reason == "unclear"
    assert gate.decide(0.0).permit is Permit.WAIT


def test_probes_double_from_one_second_to_sixty() -> None:
    gate = opened()
    now, probes = 0.0, [0.0]
    for _ in range(10):
        now = gate.decide(now).until
        probes.append(now)
        assert gate.decide(now).permit is Permit.PROBE
        gate.begin_probe()
        assert gate.decide(now + 1000).permit is Permit.WAIT
        gate.probed(now, alive=False)
    assert [b - a for a, b in pairwise(probes)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_probe_that_succeeds_allows_one_start_and_its_success_all() -> None:
    gate = opened()
    gate.begin_probe()
    gate.probed(1.0, alive=True)
    assert gate.decide(1.0).permit is Permit.TRIAL
    gate.begin_trial()
    assert gate.decide(1.0).permit is Permit.WAIT
    assert gate.decide(1e9).permit is Permit.WAIT
    gate.answered(trial=True)
    assert gate.decide(1.0).permit is Permit.START
    assert gate.reason == ""


def test_a_trial_that_ends_unclear_needs_another_probe() -> None:
    gate = opened()
    gate.begin_probe()
    gate.probed(1.0, alive=True)
    gate.begin_trial()
    gate.unclear(2.0, trial=True)
    decision = gate.decide(2.0)
    assert decision.permit is Permit.WAIT
    assert gate.decide(decision.until).permit is Permit.PROBE


def test_late_outcomes_of_earlier_posts_do_not_close_it() -> None:
    gate = opened()
    outcomes: list[Callable[[], None]] = [
        gate.answered,
        lambda: gate.unclear(0.5),
        gate.never_sent,
        gate.throttled,
        lambda: gate.not_sent(0.0, 0.0),
    ]
    for ended_late in outcomes:
        ended_late()
        assert gate.reason == "unclear"
        assert gate.decide(0.6).permit is Permit.WAIT
        assert gate.decide(1.0).permit is Permit.PROBE


def test_late_outcomes_of_earlier_posts_do_not_end_the_wait_for_the_trial() -> None:
    gate = opened()
    gate.begin_probe()
    gate.probed(1.0, alive=True)
    gate.begin_trial()
    gate.answered()
    gate.unclear(1.0)
    gate.never_sent()
    assert gate.decide(1e9).permit is Permit.WAIT
    gate.answered(trial=True)
    assert gate.decide(1.0).permit is Permit.START


def test_one_late_unclear_outcome_does_not_open_it_again() -> None:
    gate = opened()
    gate.begin_probe()
    gate.probed(1.0, alive=True)
    gate.begin_trial()
    gate.answered(trial=True)
    gate.unclear(2.0)
    gate.unclear(2.0)
    assert gate.decide(2.0).permit is Permit.START


def test_a_429_says_that_the_api_is_alive_and_leaves_the_wait_to_the_budget() -> None:
    gate = StartGate()
    for _ in range(UNCLEAR_IN_A_ROW - 1):
        gate.unclear(0.0)
    gate.throttled()
    gate.unclear(0.0)
    assert gate.decide(0.0).permit is Permit.START
    gate = opened()
    gate.begin_probe()
    gate.probed(1.0, alive=True)
    gate.begin_trial()
    gate.throttled(trial=True)
    assert gate.decide(1.0).permit is Permit.START


@given(u=st.floats(0.0, 0.999))
def test_our_own_backoff_grows_to_a_minute_and_is_forgotten_after_an_answer(u: float) -> None:
    gate = StartGate()
    now, waits = 0.0, []
    for _ in range(20):
        gate.not_sent(now, u)
        until = gate.decide(now).until
        waits.append(until - now)
        now = until
    assert all(later > earlier - 1e-6 for earlier, later in pairwise(waits))
    assert 0.375 <= waits[0] <= 0.625
    assert 45.0 <= waits[-1] <= 75.0
    gate.answered()
    gate.not_sent(now, u)
    assert gate.decide(now).until - now == pytest.approx(waits[0])


def test_starts_that_were_open_together_and_not_sent_are_one_refusal() -> None:
    gate = StartGate()
    for late in range(32):
        gate.not_sent(late / 1000, 0.5)
    gate.not_sent(0.04, 0.5)
    assert gate.decide(0.1).until <= 0.04 + 0.5


def test_a_halt_allows_single_starts_further_and_further_apart() -> None:
    gate = forbidden()
    now, trials = 0.0, [0.0]
    for _ in range(7):
        now = gate.decide(now).until
        trials.append(now)
        assert gate.decide(now).permit is Permit.TRIAL
        gate.begin_trial()
        assert gate.decide(1e9).permit is Permit.WAIT
        gate.forbidden(now, trial=True)
    assert [b - a for a, b in pairwise(trials)] == [15, 30, 60, 120, 240, 300, 300]
    gate.key_changed()
    assert gate.decide(now).permit is Permit.TRIAL
    gate.begin_trial()
    gate.answered(trial=True)
    assert gate.decide(now).permit is Permit.START


def test_many_refusals_of_the_key_at_once_count_as_one() -> None:
    gate = StartGate()
    for _ in range(32):
        gate.forbidden(0.0)
    assert gate.decide(0.0).until == 15.0


@given(
    most_open=st.integers(1, 32),
    seconds=st.floats(0.1, 15.0),
    alive=st.lists(st.booleans(), min_size=1, max_size=40),
)
def test_an_outage_makes_three_and_the_open_ones_and_one_per_successful_probe_unclear(
    most_open: int, seconds: float, alive: list[bool]
) -> None:
    """Every POST of the outage ends unclear after some seconds; there is always another document to start."""
    gate = StartGate()
    now, unclear, successes, trial_open = 0.0, 0, 0, False
    ends: list[tuple[float, bool]] = []
    open_when_opened = 0
    probes = iter(alive)
    while True:
        decision = gate.decide(now)
        if decision.permit is Permit.START and len(ends) < most_open:
            ends.append((now + seconds, False))
        elif decision.permit is Permit.TRIAL and len(ends) < most_open:
            assert not trial_open
            trial_open = True
            gate.begin_trial()
            ends.append((now + seconds, True))
        elif decision.permit is Permit.PROBE:
            answer = next(probes, None)
            if answer is None:
                break
            successes += answer
            gate.begin_probe()
            gate.probed(now, alive=answer)
        elif ends and ends[0][0] <= (decision.until if decision.permit is Permit.WAIT else inf):
            now, trial = ends.pop(0)
            was_open = gate.reason == "unclear"
            gate.unclear(now, trial=trial)
            trial_open &= not trial
            unclear += 1
            if not was_open and gate.reason == "unclear":
                open_when_opened = len(ends)
        else:
            assert decision.until < inf
            now = decision.until
    assert unclear + len(ends) <= UNCLEAR_IN_A_ROW + open_when_opened + successes
    assert open_when_opened < most_open


class AnyOrder(RuleBasedStateMachine):
    """Any order of outcomes; once the API works and every open POST has ended, everything starts again soon."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = StartGate()
        self.now = 0.0
        self.open = 0
        self.trial = False
        self.probing = False

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def send_what_may_be_sent(self) -> None:
        match self.gate.decide(self.now).permit:
            case Permit.START:
                self.open += 1
            case Permit.TRIAL:
                assert not self.trial, "two trials at once"
                self.trial = True
                self.gate.begin_trial()
            case Permit.PROBE:
                assert not self.probing, "two probes at once"
                self.probing = True
                self.gate.begin_probe()

    def _end(self, kind: str, *, trial: bool) -> None:
        match kind:
            case "answered":
                self.gate.answered(trial=trial)
            case "unclear":
                self.gate.unclear(self.now, trial=trial)
            case "forbidden":
                self.gate.forbidden(self.now, trial=trial)
            case "throttled":
                self.gate.throttled(trial=trial)
            case "not sent":
                self.gate.not_sent(self.now, 0.5, trial=trial)
            case _:
                self.gate.never_sent(trial=trial)

    kinds = st.sampled_from(["answered", "unclear", "forbidden", "throttled", "not sent", "called off"])

    @precondition(lambda self: self.open)
    @rule(kind=kinds)
    def a_start_ends(self, kind: str) -> None:
        self.open -= 1
        self._end(kind, trial=False)

    @precondition(lambda self: self.trial)
    @rule(kind=kinds)
    def the_trial_ends(self, kind: str) -> None:
        self.trial = False
        self._end(kind, trial=True)
        if kind in {"answered", "throttled", "forbidden"}:
            assert self.gate.reason != "unclear"
        if kind == "answered":
            assert self.gate.reason == ""

    @precondition(lambda self: self.probing)
    @rule(alive=st.booleans())
    def the_probe_ends(self, *, alive: bool) -> None:
        self.probing = False
        self.gate.probed(self.now, alive=alive)

    @rule()
    def the_key_changes(self) -> None:
        self.gate.key_changed()

    @invariant()
    def a_wait_has_an_end(self) -> None:
        decision = self.gate.decide(self.now)
        if decision.permit is Permit.WAIT:
            assert decision.until > self.now
            assert decision.until < inf or self.trial or self.probing
        if decision.permit is not Permit.START and not self.trial:
            assert decision.reason

    def teardown(self) -> None:
        """Whatever happened: the API works from now on, what is open ends well, and within bounds all may start."""
        for _ in range(self.open):
            self.gate.answered()
        if self.trial:
            self.gate.answered(trial=True)
        if self.probing:
            self.gate.probed(self.now, alive=True)
        begun = self.now
        for _ in range(20):
            decision = self.gate.decide(self.now)
            if decision.permit is Permit.START:
                break
            if decision.permit is Permit.WAIT:
                assert decision.until < inf
                self.now = decision.until
            elif decision.permit is Permit.PROBE:
                self.gate.begin_probe()
                self.gate.probed(self.now, alive=True)
            else:
                self.gate.begin_trial()
                self.gate.answered(trial=True)
        assert self.gate.decide(self.now).permit is Permit.START
        assert self.now - begun <= 3600.0 + LONGEST_PROBE_SECONDS + LONGEST_TRIAL_SECONDS


TestAnyOrder = AnyOrder.TestCase
