"""Hints: rows and signals that name a run adopt it only after the run itself was read."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from connector.core.entry import State
from connector.core.errors import ApiUnavailable
from connector.core.lookup import NOT_FOUND, SEEN_AGAIN_SECONDS
from tests.fakes.api import not_found
from tests.fakes.virtual_time import virtually
from tests.steps.search import SETTLE, entry, searching


@virtually
async def test_a_row_alone_adopts_nothing() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.create(wanted)
        s.api.tag_of["run_1"] = str(entry(2).tag)  # the run itself shows another tag than its row
        await asyncio.sleep(2 * SETTLE)
        assert s.found == []
        assert len(s.api.gets) == 1
        assert [each[1] for each in s.absent] == [NOT_FOUND]


@virtually
async def test_a_row_whose_run_cannot_be_read_yet_is_asked_about_until_it_can_and_is_not_absent() -> None:
    async with searching(settle=1) as s:
        wanted = s.want(entry())
        s.create(wanted)
        s.api.always_shows = (not_found(), *[ApiUnavailable("503", status=503)] * 5, "PROCESSING")
        await asyncio.sleep(3 * SEEN_AGAIN_SECONDS)
        assert s.absent == []
        assert [run for _, run in s.found] == ["run_1"]


@virtually
async def test_a_hint_is_verified_at_once() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.api.shows["run_9"] = deque([not_found(), not_found(), "PROCESSED"])
        s.api.tag_of["run_9"] = str(wanted.tag)
        s.finder.hint(s.holding, wanted, "run_8")
        s.finder.hint(s.holding, wanted, "run_9")
        await asyncio.sleep(10)
        assert s.found == [(str(wanted.tag), "run_9")], "run_8 shows no tag"


@virtually
async def test_a_run_that_the_api_does_not_know_keeps_the_right_one_waiting_for_a_moment_only() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.api.shows["run_wrong"] = deque([not_found()])
        s.api.tag_of["run_9"] = str(wanted.tag)
        s.finder.hint(s.holding, wanted, "run_wrong")
        s.finder.hint(s.holding, wanted, "run_9")
        await asyncio.sleep(5)
        assert s.found == [(str(wanted.tag), "run_9")]


@virtually
async def test_an_api_that_does_not_answer_changes_nothing_in_that_the_older_run_comes_first() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.api.always_shows = ("PROCESSING",)
        s.api.shows["run_1"] = deque([ApiUnavailable("no answer"), "PROCESSING"])
        for run_id in ("run_1", "run_2"):
            s.api.tag_of[run_id] = str(wanted.tag)
            s.finder.hint(s.holding, wanted, run_id)
        await asyncio.sleep(10)
        assert s.found == [(str(wanted.tag), "run_1")]


@virtually
async def test_a_hint_still_counts_when_the_start_was_parked_meanwhile_but_not_when_it_was_started_again() -> None:
    async with searching() as s:
        parked, again = entry(1), entry(2)
        s.holding.put(parked.park("NOT_FOUND"))
        s.holding.put(again.intend("another nonce"))
        for number, wanted in enumerate((parked, again), 1):
            s.api.tag_of[f"run_{number}"] = str(wanted.tag)
            s.finder.hint(s.holding, wanted, f"run_{number}")
        await asyncio.sleep(10)
        assert [run for _, run in s.found] == ["run_1"]


@virtually
async def test_a_run_of_which_nothing_comes_at_the_moment_is_told_again() -> None:
    async with searching() as s:
        wanted = s.want(entry(state=State.PARKED))
        s.api.tag_of["run_9"] = str(wanted.tag)
        s.deaf = True  # a person's command is being carried out, which ends in a refusal
        s.finder.hint(s.holding, wanted, "run_9")
        await asyncio.sleep(5)
        s.deaf = False
        await asyncio.sleep(30)
        assert s.found == [(str(wanted.tag), "run_9")]


@virtually
async def test_what_moved_on_is_not_told_about() -> None:
    async with searching() as s:
        started, forgotten = s.want(entry(1)), s.want(entry(2))
        s.holding.put(started.start("run_5", 1))
        s.finder.forget_entry(s.holding, forgotten)
        s.create(forgotten)
        await asyncio.sleep(2 * SETTLE)
        third = s.want(entry(3))
        s.create(third, "run_3")
        s.holding.over = True
        s.finder.forget(s.holding)
        await asyncio.sleep(2 * SETTLE)
        assert (s.found, s.absent) == ([], [])


# ---- second runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run_type", ["extract", "workflow"])
@pytest.mark.parametrize("state", [State.INTENT, State.PARKED])
def test_a_row_that_somebody_read_anyway_finds_the_run_at_once(run_type: str, state: State) -> None:
    @virtually
    async def scenario() -> None:
        async with searching() as s:
            wanted = s.want(entry(run_type=run_type, state=state))
            other = entry(2, run_type=run_type)
            s.create(other, "run_2")
            s.create(wanted, "run_1")
            await asyncio.sleep(0.5)
            rows = [each.row for each in s.api.listed]
            for _ in range(3):
                s.finder.saw(run_type, rows)
            await asyncio.sleep(0.1)
            assert s.found == [(str(wanted.tag), "run_1")]
            assert [run_id for _, run_id in s.api.gets] == ["run_1"]
            assert s.api.lists == []

    scenario()


@virtually
async def test_a_row_of_another_runs_type_or_with_a_tag_that_the_run_does_not_carry_adopts_nothing() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.create(wanted)
        rows = [each.row for each in s.api.listed]
        s.finder.saw("classify", rows)
        s.api.tag_of["run_1"] = "somebody/else/0/1#hash"
        for _ in range(3):
            s.finder.saw("extract", rows)
            await asyncio.sleep(0.2)
        assert s.found == []
        assert len(s.api.gets) == 1
