"""The backlog counts what may be a record, and never hides one."""

from __future__ import annotations

from connector.core.backlog import Backlog


def test_before_the_end_is_reached_every_offset_may_be_a_record() -> None:
    backlog = Backlog()
    assert backlog.lag(5, 10) == 5
    backlog.take(8)
    assert backlog.lag(8, 10) == 2


def test_markers_at_the_end_are_no_records_once_all_that_was_delivered_is_accepted() -> None:
    backlog = Backlog()
    backlog.take(8)
    backlog.reach(10)
    assert backlog.lag(7, 10) == 3
    assert backlog.lag(8, 10) == 0


def test_a_log_of_which_nothing_is_delivered_has_no_records() -> None:
    backlog = Backlog()
    backlog.reach(10)
    assert backlog.lag(5, 10) == 0


def test_what_comes_behind_the_end_counts() -> None:
    backlog = Backlog()
    backlog.take(8)
    backlog.reach(10)
    assert backlog.lag(8, 12) == 2
    backlog.take(11)
    assert backlog.lag(8, 12) == 2
    assert backlog.lag(11, 12) == 1
    backlog.reach(12)
    assert backlog.lag(8, 12) == 4, "the record at 10 is delivered and not accepted"
    assert backlog.lag(11, 12) == 0


def test_the_log_cannot_end_before_what_is_accepted() -> None:
    assert Backlog().lag(12, 10) == 0
