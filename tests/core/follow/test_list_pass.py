"""One reading of a list: how far it goes, and what ends it."""

from __future__ import annotations

from math import inf

import pytest

from connector.core.follow.list_pass import ListPass, Progress, Purpose
from connector.core.run import Row


def rows(*updated: int | None, created: int = 0) -> list[Row]:
    return [
        Row(f"run_{number}", "extract", "PROCESSING", created_ms=created, updated_ms=at)
        for number, at in enumerate(updated)
    ]


def reading(*, purpose: Purpose = Purpose.REGULAR, not_before: float = 50_000, pages: int = 5) -> ListPass:
    return ListPass(purpose, 0.0, 100_000, not_before, pages)


def test_it_goes_on_until_two_rows_are_too_old() -> None:
    one = reading()
    assert one.take(rows(90_000, 80_000, 70_000), "a") is Progress.MORE
    assert one.take(rows(60_000, 55_000, 40_000), "b") is Progress.MORE
    assert one.token == "b"
    assert one.take(rows(49_000, 48_000), "c") is Progress.DONE
    assert (one.newest_ms, one.pages) == (90_000, 3)


def test_a_single_row_with_a_wrong_time_hides_nothing() -> None:
    assert reading().take(rows(90_000, 1, 80_000), "a") is Progress.MORE


@pytest.mark.parametrize("updated", [(), (None, None)])
def test_a_page_without_times_says_nothing_about_those_behind_it(updated: tuple[None, ...]) -> None:
    assert reading().take(rows(*updated), "a") is Progress.MORE
    assert reading().take(rows(*updated), None) is Progress.DONE


def test_tokens_that_come_again_and_too_many_pages_end_it() -> None:
    one = reading()
    assert [one.take(rows(90_000), token) for token in ("a", "b", "a")][-1] is Progress.ENDLESS
    one = reading(pages=2)
    assert [one.take(rows(90_000), token) for token in ("a", "b")] == [Progress.MORE, Progress.SHORT]


def test_rows_that_are_not_in_order_are_noticed() -> None:
    wild = [10_000, 90_000, 20_000, 80_000, 30_000, 70_000]
    assert reading().take(rows(*wild), "a") is Progress.DISORDERED
    assert reading(purpose=Purpose.REVIEWS, not_before=-inf).take(rows(*wild), None) is Progress.DONE
    almost = [90_000, 90_900, 90_000, 90_500, 89_000, 89_800]
    assert reading().take(rows(*almost), "a") is Progress.MORE


def test_a_list_without_an_order_is_read_until_a_whole_page_is_too_old() -> None:
    one = ListPass(Purpose.REGULAR, 0.0, 100_000, 50_000, 5, sorted=False)
    mixed = [*rows(1, created=40_000), *rows(1, created=60_000)]
    assert one.take(mixed, "a") is Progress.MORE
    assert one.oldest_ms == 60_000
    assert one.take(rows(1, 2, created=49_000), "b") is Progress.DONE
