"""The long run's page says what happened, and whether that is what was promised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.chaos import Outcome
from tests.chaos.checker import check
from tests.chaos.crew import Leaving
from tests.chaos.history import Fault, History, Withheld
from tests.chaos.report import Report
from tests.chaos.test_checker import PARKED, RULES, SOUND

HISTORY = replace(
    SOUND,
    faults=(*SOUND.faults, Fault("EndTxn delayed", "a worker", 2_000, 9_000, hit=False)),
    withheld=(Withheld(str(PARKED.tag), 2_000),),
)
OUTCOME = Outcome(HISTORY, (Leaving("worker-1", 0, 1.5),), (), (20_500, 31_000), 12.0, 0)


def report(outcome: Outcome = OUTCOME, history: History = HISTORY) -> Report:
    return Report("make chaos MINUTES=1 SEED=7", 90.0, outcome, check(history, RULES))


def test_the_page_has_the_figures_and_how_often_each_fault_met_open_work() -> None:
    page = str(report())

    assert "`make chaos MINUTES=1 SEED=7`, 1.5 min" in page
    assert "| inputs | 5 |" in page
    assert "| kill | 1 | 1 |" in page
    assert "| EndTxn delayed | 1 | 0 |" in page
    assert "| EndTxn lost | 0 | 0 |" in page
    assert "longest 31.0 s, of 2" in page
    assert "| of these, created later | 1 |" in page
    assert page.endswith("2 faults")
    assert report().kept


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (report(history=replace(HISTORY, results=())), "lost"),
        (report(replace(OUTCOME, surprises=("worker-2 ended with 139",))), "Not explained: worker-2 ended with 139"),
        (report(replace(OUTCOME, unknown=3)), "3 references have no acknowledgement."),
    ],
    ids=["a promise", "an end", "an input"],
)
def test_what_is_not_as_it_should_be_breaks_the_verdict(broken: Report, said: str) -> None:
    assert not broken.kept
    assert said in str(broken)
