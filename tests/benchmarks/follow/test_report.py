"""What the command writes into the page."""

from __future__ import annotations

import pytest

from tests.benchmarks.follow.api import Counts
from tests.benchmarks.follow.matrix import DIFFERENCES, POLICIES, Cell, base, differences, many, situation
from tests.benchmarks.follow.report import PAGE, differing, side_by_side, written
from tests.benchmarks.follow.trial import Outcome

DELAYS = tuple(float(second) for second in range(1, 101))


def outcome(at_least: float | None = None) -> Outcome:
    return Outcome(DELAYS, at_least, Counts(gets=250, lists=20, refused=3), 1_234)


def test_a_situation_is_named_once_for_all_policies() -> None:
    given = situation("payg")
    text = side_by_side([(Cell("payg", "45 s", policy, given), outcome()) for policy in POLICIES])
    assert text.splitlines()[2:] == [
        "| `payg` | 45 s | 1,234 | (a) | 50 | 99 | 50 | 2.50 | 0.03 |",
        "| | | | (b) | 50 | 99 | 50 | 2.50 | 0.03 |",
        "| | | | (c) | 50 | 99 | 50 | 2.50 | 0.03 |",
    ]


def test_what_was_not_found_is_marked() -> None:
    text = side_by_side([(Cell("payg", "45 s", "a", situation("payg")), outcome(at_least=80.0))])
    # Half of the runs were found before the first of those that were not; the mean counts all.
    assert text.splitlines()[2] == "| `payg` | 45 s | 1,234 | (a) | 50 | > 99 | > 50 | 2.50 | 0.03 |"


def test_plans_stand_beside_each_other() -> None:
    text = differing([(Cell(plan, "none", "c", situation(plan)), outcome()) for plan in ("payg", "scale")])
    assert text.splitlines()[0].count("p50") == 2
    assert text.splitlines()[2] == "| none | 50, 99, 50 s; 2.50; 0.03 | 50, 99, 50 s; 2.50; 0.03 |"


def test_only_what_stands_between_the_markers_is_written() -> None:
    marked = "<!-- make bench-follow writes from here: real -->"
    page = f"before\n{marked}\nold\n<!-- to here: real -->\nafter"
    once = written(page, "real", "new")
    assert once == f"before\n{marked}\n\nnew\n\n<!-- to here: real -->\nafter"
    assert written(once, "real", "new") == once
    for damaged in ("", page + page, page.replace("to here", "gone"), "<!-- to here: real -->" + marked):
        with pytest.raises(ValueError, match="needs one line"):
            written(damaged, "real", "new")


def test_the_page_has_a_place_for_both_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("virtual", "real"):
        assert "XYZ" in written(page, name, "XYZ")


def test_every_plan_and_median_is_played_by_every_policy_with_the_same_runs() -> None:
    cells = list(base(1))
    assert len(cells) == 27
    for start in range(0, 27, 3):
        trio = cells[start : start + 3]
        assert {cell.policy for cell in trio} == set(POLICIES)
        assert len({cell.situation for cell in trio}) == 1


def test_each_difference_is_one_of_every_plan() -> None:
    assert len(list(differences(1))) == 3 * len(DIFFERENCES)
    assert len({cell.situation for cell in differences(1)}) == 3 * len(DIFFERENCES)


def test_fifty_thousand_runs_are_open_at_every_plan() -> None:
    assert {cell.plan for cell in many(1)} == {"payg", "scale", "enterprise"}
    assert len(list(many(1))) == 9
