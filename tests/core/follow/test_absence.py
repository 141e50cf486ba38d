"""404s about runs: only a long row about a few runs is a deletion, everything else is waited out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from connector.core.follow.absence import (
    GIVEN_UP_SECONDS,
    GONE_IN_A_ROW,
    GONE_SECONDS,
    LASTING_SECONDS,
    SYSTEMIC_RUNS,
    Absence,
    Absences,
)


def missed_by_all(absences: Absences, runs: int, now: float) -> list[Absence]:
    return [absences.missed(f"run-{number}", now) for number in range(runs)]


@given(st.lists(st.floats(0.0, 400.0), min_size=1, max_size=60))
def test_a_run_is_gone_after_ten_minutes_and_three_looks_and_never_before(pauses: list[float]) -> None:
    absences, now, first = Absences(), 0.0, pauses[0]
    for look, pause in enumerate(pauses, start=1):
        now += pause
        said = absences.missed("run", now)
        assert (said is Absence.GONE) is (now - first >= GONE_SECONDS and look >= GONE_IN_A_ROW)
        assert (said is Absence.YOUNG) is (now - first < LASTING_SECONDS)


@given(st.lists(st.tuples(st.integers(0, SYSTEMIC_RUNS + 5), st.floats(0.1, 300.0)), min_size=1, max_size=400))
def test_while_everything_is_missing_no_run_is_ever_gone(looks: list[tuple[int, float]]) -> None:
    absences, now = Absences(), 0.0
    for _ in range(2):
        missed_by_all(absences, SYSTEMIC_RUNS, now)
        now += LASTING_SECONDS
    for number, pause in looks:
        now += pause
        assert absences.missed(f"run-{number}", now) is not Absence.GONE
    assert absences.blind


def test_nine_missing_runs_are_nine_deletions() -> None:
    absences = Absences()
    for now in (0.0, 300.0):
        missed_by_all(absences, SYSTEMIC_RUNS - 1, now)
    assert set(missed_by_all(absences, SYSTEMIC_RUNS - 1, GONE_SECONDS)) == {Absence.GONE}


def test_runs_of_a_burst_that_are_not_readable_yet_say_nothing_about_the_key() -> None:
    absences = Absences()
    assert set(missed_by_all(absences, 500, 0.0)) == {Absence.YOUNG}
    assert not absences.systemic


def test_an_old_run_that_can_be_read_proves_the_key_and_the_missing_ones_end() -> None:
    absences = Absences()
    for now in (0.0, 300.0, 700.0):
        missed_by_all(absences, SYSTEMIC_RUNS, now)
    assert absences.blind
    absences.read("old", began=-1.0)
    assert not absences.systemic
    assert absences.missed("run-0", 701.0) is Absence.GONE


def test_a_run_that_began_later_proves_nothing() -> None:
    """With a key of another workspace what is started there is found there."""
    absences = Absences()
    for now in (0.0, 300.0, 700.0):
        missed_by_all(absences, SYSTEMIC_RUNS, now)
    absences.read("new", began=500.0)
    assert absences.systemic
    assert not absences.blind
    assert absences.missed("run-0", 701.0) is Absence.SYSTEMIC
    assert absences.missed("run-0", GIVEN_UP_SECONDS) is Absence.GONE, "nothing stays open for ever"


def test_a_run_that_is_found_again_begins_a_new_row() -> None:
    absences = Absences()
    for now in (0.0, 300.0, 599.0):
        absences.missed("run", now)
    absences.read("run", began=-1.0)
    assert absences.missed("run", 600.0) is Absence.YOUNG


def test_a_new_key_and_an_end_forget_what_was_missing() -> None:
    absences = Absences()
    for now in (0.0, 300.0):
        missed_by_all(absences, SYSTEMIC_RUNS, now)
    absences.forget("run-0")
    assert not absences.systemic
    assert absences.missed("run-0", 601.0) is Absence.YOUNG
    absences.start_over()
    assert set(missed_by_all(absences, SYSTEMIC_RUNS, 10_000.0)) == {Absence.YOUNG}


class AnyOrder(RuleBasedStateMachine):
    """Any order of looks at more runs than make a failure; a naive history decides what may end."""

    def __init__(self) -> None:
        super().__init__()
        self.absences = Absences()
        self.now = 0.0
        self.rows: dict[int, list[float]] = {}
        self.missing_since_proof: set[int] = set()

    @rule(seconds=st.floats(0.0, 700.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(run=st.integers(0, SYSTEMIC_RUNS + 2))
    def miss(self, run: int) -> None:
        row = self.rows.setdefault(run, [])
        row.append(self.now)
        if self.now - row[0] >= LASTING_SECONDS:
            self.missing_since_proof.add(run)
        said = self.absences.missed(str(run), self.now)
        if said is Absence.GONE:
            assert len(row) >= GONE_IN_A_ROW
            assert self.now - row[0] >= GONE_SECONDS
            assert len(self.missing_since_proof) < SYSTEMIC_RUNS
            self.absences.forget(str(run))
            self._forget(run)

    @rule(run=st.integers(0, SYSTEMIC_RUNS + 2))
    def read_an_old_one(self, run: int) -> None:
        self.absences.read(str(run), began=-1.0)
        self._forget(run)
        self.missing_since_proof.clear()

    def _forget(self, run: int) -> None:
        self.rows.pop(run, None)
        self.missing_since_proof.discard(run)


TestAnyOrder = AnyOrder.TestCase
