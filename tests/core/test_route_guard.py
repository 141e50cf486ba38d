"""The guard of a route: a bad deployment does not drain a topic into the dead letters, and it ends by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connector.core.route_guard import LONGEST_TRIAL_SECONDS, REFUSED_IN_A_ROW, RouteGuard, RouteGuards


def stopped(now: float = 0.0) -> RouteGuard:
    guard = RouteGuard()
    for _ in range(REFUSED_IN_A_ROW):
        assert guard.refused("BAD", now)
    assert guard.stopped
    return guard


@given(st.lists(st.sampled_from(["A", "B", None]), max_size=200))
def test_it_stops_after_twenty_in_a_row_with_one_code_and_never_before(outcomes: list[str | None]) -> None:
    guard = RouteGuard()
    row: list[str] = []
    for code in outcomes:
        if code is None:
            guard.started()
            row = []
        else:
            row = [*row, code] if row[-1:] == [code] else [code]
            assert guard.refused(code, 0.0)
        assert guard.stopped is (len(row) >= REFUSED_IN_A_ROW)
        if guard.stopped:
            break


def test_what_is_refused_while_it_is_stopped_is_no_dead_letter() -> None:
    guard = stopped()
    for code in ("BAD", "OTHER"):
        assert not guard.refused(code, 0.0)


def test_one_success_opens_it_and_the_count_begins_anew() -> None:
    guard = stopped()
    guard.begin()
    guard.started()
    assert guard.may_start(0.0)
    for _ in range(REFUSED_IN_A_ROW - 1):
        assert guard.refused("BAD", 0.0)
    assert not guard.stopped


def test_trials_come_one_at_a_time_and_further_and_further_apart() -> None:
    guard = stopped()
    now, waits = 0.0, []
    for _ in range(9):
        assert not guard.may_start(now)
        due = guard.next_trial()
        assert due is not None
        waits.append(due - now)
        now = due
        assert guard.may_start(now)
        guard.begin()
        assert not guard.may_start(now + 1e9)
        assert guard.next_trial() is None
        assert not guard.refused("BAD", now, trial=True)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_trial_without_an_answer_leads_to_another_one() -> None:
    guard = stopped()
    assert guard.begin()
    guard.undecided(1.0, trial=True)
    assert guard.next_trial() is not None


def test_the_end_of_a_start_from_before_the_stop_makes_no_room_for_a_second_trial() -> None:
    guard = stopped()
    due = guard.next_trial()
    assert due is not None
    assert guard.begin()
    assert not guard.refused("BAD", due)
    guard.undecided(due)
    assert not guard.may_start(due + LONGEST_TRIAL_SECONDS)
    guard.undecided(due, trial=True)
    assert guard.may_start(due + LONGEST_TRIAL_SECONDS)


def test_a_trial_that_is_out_when_the_route_stops_again_is_its_only_one() -> None:
    guard = stopped()
    assert guard.begin()
    guard.started()  # one of before the stop
    for number in range(REFUSED_IN_A_ROW):
        assert guard.refused("BAD", float(number))
    assert not guard.may_start(LONGEST_TRIAL_SECONDS)
    guard.undecided(LONGEST_TRIAL_SECONDS, trial=True)
    assert guard.may_start(2 * LONGEST_TRIAL_SECONDS)


def test_a_route_that_only_the_journal_names_has_a_guard_and_no_figures() -> None:
    guards = RouteGuards(["invoices"])
    old = guards.of("renamed")
    assert guards.of("renamed") is old
    assert old.may_start(0.0)
    assert list(guards) == [guards.of("invoices"), old]
    assert [route for route, _ in guards.configured()] == ["invoices"]


class AnyOrder(RuleBasedStateMachine):
    """Any order of outcomes; when every trial has ended, another one comes within a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = RouteGuard()
        self.now = 0.0
        self.open: list[bool] = []  # of each start under way, whether it is a trial

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.guard.may_start(self.now))
    @rule(number=st.integers(1, 32))
    def start(self, number: int) -> None:
        for _ in range(number):
            if self.guard.may_start(self.now):
                self.open.append(self.guard.begin())

    @precondition(lambda self: self.open)
    @rule(kind=st.sampled_from(["BAD", "OTHER", "undecided", "started"]), number=st.integers(1, 32), data=st.data())
    def end(self, kind: str, number: int, data: st.DataObject) -> None:
        for _ in range(min(number, len(self.open))):
            trial = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
            was_stopped = self.guard.stopped
            if kind == "started":
                self.guard.started(trial=trial)
                assert self.guard.may_start(self.now)
            elif kind == "undecided":
                self.guard.undecided(self.now, trial=trial)
                assert self.guard.stopped == was_stopped
            else:
                assert self.guard.refused(kind, self.now, trial=trial) is not was_stopped

    @invariant()
    def one_trial_at_a_time(self) -> None:
        if self.guard.stopped and any(self.open):
            assert not self.guard.may_start(self.now + LONGEST_TRIAL_SECONDS)

    @invariant()
    def something_may_start_soon(self) -> None:
        if not self.open and not self.guard.may_start(self.now):
            due = self.guard.next_trial()
            assert due is not None
            assert self.now < due <= self.now + LONGEST_TRIAL_SECONDS
            assert self.guard.may_start(due)


TestAnyOrder = AnyOrder.TestCase
