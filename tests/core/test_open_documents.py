from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.entry import Entry, State
from connector.core.open_documents import age_seconds, age_text, dashboard_url, oldest_first, what_was_tried
from tests.factories.entries import entries
from tests.factories.records import entry_of


@given(st.lists(entries(), max_size=8), st.sets(st.sampled_from(State)))
def test_what_is_asked_for_comes_the_oldest_first_and_nothing_else(found: list[Entry], states: set[State]) -> None:
    shown = oldest_first(found, states=states)
    assert [entry.accepted_ms for entry in shown] == sorted(entry.accepted_ms for entry in shown)
    assert sorted(map(id, shown)) == sorted(id(entry) for entry in found if not states or entry.state in states)


def test_routes_are_filtered_by_name() -> None:
    one = entry_of()
    other = replace(one, request=replace(one.request, route="other"))
    assert oldest_first([one, other], routes={"other"}) == [other]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (86_400 * 3 + 3600 * 4 + 59, "3d 4h")],
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    assert age_seconds(5_000, 2_000) == 0
    assert age_seconds(2_000, 5_500) == 3.5


def test_a_run_has_its_page_only_where_that_is_known() -> None:
    public = "https://api.extend.ai"
    assert dashboard_url(public, "extract", "exr_1") == "https://dashboard.extend.ai/runs/exr_1"
    assert dashboard_url(public, "workflow", "w_1") == "https://dashboard.extend.ai/workflows/w_1"
    assert dashboard_url(public, "parse", "pr_1") is None
    assert dashboard_url(public, "extract", None) is None
    assert dashboard_url("http://127.0.0.1:8089", "extract", "exr_1") is None


def test_what_was_tried_counts_the_starts() -> None:
    once = entry_of().intend("a").park("NOT_FOUND")
    assert what_was_tried(once) == "one start; the last was unclear, and no run with its tag was found"
    twice = once.repeat("NOT_FOUND").intend("b").park("HTTP_500")
    assert what_was_tried(twice) == "2 starts, 1 of them given up and started again; the last was unclear (HTTP_500)"
    assert "cannot be looked for" in what_was_tried(entry_of().intend("a").park("NOT_SEARCHABLE"))
