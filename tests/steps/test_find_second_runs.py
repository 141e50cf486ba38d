"""Two runs with one tag: the older is followed, the other ended and reported."""

from __future__ import annotations

import asyncio

import pytest

from connector.core.entry import State
from tests.fakes.virtual_time import virtually
from tests.steps.search import SETTLE, entry, searching


@virtually
async def test_of_two_runs_the_older_is_found_and_the_other_cancelled_and_reported_once() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.create(wanted, "run_old")
        s.create(wanted, "run_new", after=1)
        s.want(entry(2))
        await asyncio.sleep(2 * SETTLE)
        assert s.found == [(str(wanted.tag), "run_old")]
        assert s.cancelled() == ["run_new"]
        assert s.second_runs == 1


@pytest.mark.parametrize("status", ["PROCESSED", "CANCELLED"])
def test_a_second_run_that_has_ended_is_reported_only(status: str) -> None:
    @virtually
    async def scenario() -> None:
        async with searching() as s:
            wanted = entry(state=State.STARTED)
            s.holding.put(wanted)
            s.create(wanted, "run_known")
            s.create(wanted, "run_second", status=status)
            s.finder.watch(s.holding, wanted)
            await asyncio.sleep(SETTLE + 5)
            assert (s.second_runs, s.cancelled(), s.found) == (1, [], [])
            assert s.asked == [SETTLE], "one scan after the settle window"
            await asyncio.sleep(10_000)
            assert s.asked == [SETTLE]

    scenario()


@virtually
async def test_a_second_run_of_a_document_that_is_done_is_still_ended() -> None:
    async with searching() as s:
        wanted = entry(state=State.STARTED)
        s.holding.put(wanted)
        s.finder.watch(s.holding, wanted)
        s.holding.close(wanted)
        s.create(wanted, "run_second")
        s.api.always_shows = ("PENDING", "PROCESSING")
        await asyncio.sleep(SETTLE + 30)
        assert s.cancelled() == ["run_second"], "once it can be cancelled"
        assert s.second_runs == 1


@virtually
async def test_a_second_run_is_not_cancelled_on_the_word_of_a_row() -> None:
    async with searching() as s:
        wanted = entry(state=State.STARTED)
        s.holding.put(wanted)
        s.create(wanted, "run_second")
        s.api.tag_of["run_second"] = str(entry(2).tag)
        s.finder.watch(s.holding, wanted)
        await asyncio.sleep(SETTLE + 30)
        assert (s.second_runs, s.cancelled()) == (0, [])


# ---- the budget and the clock -----------------------------------------------------------------------------------
