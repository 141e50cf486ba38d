"""Finding runs on virtual time: adopted when the API shows the tag, absent when two complete scans do not."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from connector.core.entry import State
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable, ApiUnreadable
from connector.core.lookup import CONFIRM_SECONDS, FEW, NOT_FOUND, NOT_SEARCHABLE
from connector.core.run_types import RUN_TYPES
from tests.fakes.virtual_time import virtually
from tests.steps.search import SETTLE, entry, searching


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_run_whose_answer_was_lost_is_found_within_seconds(run_type: str) -> None:
    @virtually
    async def scenario() -> None:
        async with searching() as s:
            wanted = s.want(entry(run_type=run_type))
            s.create(wanted)
            await asyncio.sleep(5)
            assert s.found == [(str(wanted.tag), "run_1")]
            await asyncio.sleep(2 * SETTLE)
            assert len(s.found) == 1
            assert s.absent == []
            assert s.asked == [2.0], "who is found is not looked for any more"

    scenario()


@virtually
async def test_a_run_that_appears_just_before_the_window_ends_is_found_and_nothing_was_absent_before() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        s.api.list_lag = SETTLE - 1
        s.create(wanted)
        await asyncio.sleep(2 * SETTLE)
        assert [run for _, run in s.found] == ["run_1"]
        assert s.absent == []


@virtually
async def test_absence_is_told_once_after_two_complete_scans_and_failed_ones_do_not_count() -> None:
    async with searching() as s:
        wanted = s.want(entry())
        await asyncio.sleep(SETTLE - 1)
        s.api.list_errors.extend([ApiUnavailable("503", status=503), ApiThrottled("429", retry_after=7), None])
        s.api.list_errors.extend([ApiUnreadable("circles", reason="ENDLESS_LIST")])
        await asyncio.sleep(3 * SETTLE)
        ((tag, reason, at),) = s.absent
        assert (tag, reason) == (str(wanted.tag), NOT_FOUND)
        late = [instant for instant in s.asked if instant >= SETTLE]
        assert late == [600.0, 601.0, 608.0, 618.0, 619.0]
        assert at >= SETTLE + CONFIRM_SECONDS


@virtually
async def test_one_scan_serves_all_starts_of_a_group() -> None:
    async with searching() as s:
        wanted = [s.want(entry(number)) for number in range(50)]
        for number, each in enumerate(wanted):
            s.create(each, f"run_{number}")
        await asyncio.sleep(20)
        assert len(s.found) == 50
        assert s.asked == [2.0]


@pytest.mark.parametrize(("how_many", "requests"), [(FEW, FEW), (FEW + 1, 1)])
def test_edit_runs_are_asked_for_by_name_while_they_are_few(how_many: int, requests: int) -> None:
    @virtually
    async def scenario() -> None:
        async with searching() as s:
            wanted = [s.want(entry(number, "edit")) for number in range(how_many)]
            for number, each in enumerate(wanted):
                s.create(each, f"run_{number}")
            await asyncio.sleep(20)
            assert sorted(run for _, run in s.found) == sorted(f"run_{number}" for number in range(how_many))
            assert len(s.asked) == requests
            assert all((each.file_name_contains is None) is (requests == 1) for each in s.api.lists)

    scenario()


@virtually
async def test_a_start_that_no_list_can_show_is_told_at_once() -> None:
    async with searching() as s:
        wanted = s.want(entry(run_type="edit", named=False))
        await asyncio.sleep(1)
        assert [each[:2] for each in s.absent] == [(str(wanted.tag), NOT_SEARCHABLE)]
        parked = wanted.park("NOT_SEARCHABLE")
        s.want(parked)
        await asyncio.sleep(10_000)
        assert len(s.absent) == 1
        s.finder.scan_now(s.holding, parked)
        await asyncio.sleep(1)
        assert len(s.absent) == 2
        assert s.api.lists == []


@virtually
async def test_a_parked_start_is_still_found_within_about_an_hour() -> None:
    async with searching() as s:
        wanted = s.want(entry(state=State.PARKED))
        await asyncio.sleep(100_000)
        assert s.absent == []
        s.create(wanted)
        await asyncio.sleep(4600)
        assert [run for _, run in s.found] == ["run_1"]


@virtually
async def test_a_parked_start_is_found_by_a_scan_for_another_one() -> None:
    async with searching() as s:
        parked = s.want(entry(state=State.PARKED))
        await asyncio.sleep(100)
        s.create(parked)
        s.want(entry(2))
        await asyncio.sleep(5)
        assert [run for _, run in s.found] == ["run_1"]


@virtually
async def test_a_scan_that_a_person_asks_for_is_told_alone_whether_the_run_shows() -> None:
    async with searching() as s:
        wanted = s.want(entry(state=State.PARKED))
        s.api.list_errors.append(ApiUnavailable("503", status=503))
        s.finder.scan_now(s.holding, wanted)
        await asyncio.sleep(10)
        assert [each[:2] for each in s.absent] == [(str(wanted.tag), NOT_FOUND)]
        assert len(s.asked) == 2, "a scan that failed is made again"
        s.create(wanted)
        s.finder.scan_now(s.holding, wanted)
        await asyncio.sleep(10)
        assert [run for _, run in s.found] == ["run_1"]
        assert len(s.absent) == 1


@virtually
async def test_scans_and_verifications_take_at_most_half_of_the_budget() -> None:
    async with searching(rate=10) as s:
        s.api.page_size = 2
        wanted = [s.want(entry(number)) for number in range(100)]
        for number, each in enumerate(wanted):
            s.create(each, f"run_{number}")
        await asyncio.sleep(120)
        assert len(s.found) == 100
        requests = sorted([each.at for each in s.api.lists] + [at for at, _ in s.api.gets])
        assert all(later - earlier > 0.19 for earlier, later in itertools.pairwise(requests))


@virtually
async def test_the_refusal_of_the_key_is_not_hammered_and_proves_nothing() -> None:
    refusal: ApiError = ApiForbidden("401", status=401, code="UNAUTHORIZED")
    async with searching(settle=10) as s:
        s.want(entry())
        s.api.list_errors.extend([refusal] * 20)
        await asyncio.sleep(300)
        assert len(s.asked) <= 10
        assert s.absent == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_an_hour_off_hides_no_run(hours: int) -> None:
    @virtually
    async def scenario() -> None:
        async with searching() as s:
            s.api.api_clock_offset = hours * 3600.0
            s.api.page_size = 10
            for number in range(30):
                s.create(entry(number + 30), f"run_old_{number}", after=-1000)
            wanted = s.want(entry())
            s.create(wanted)
            for number in range(30):
                s.create(entry(number + 60), f"run_new_{number}", after=1)
            await asyncio.sleep(10)
            assert [run for _, run in s.found] == ["run_1"]
            assert len(s.asked) == 5, "back past the margin, and no further"

    scenario()
