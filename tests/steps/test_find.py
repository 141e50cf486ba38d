"""Finding runs on virtual time: adopted when the API shows the tag, absent when two complete scans do not."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connector.adapters.metrics import Metrics
from connector.core.budget import TokenBucket
from connector.core.entry import Entry, Request, State
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable, ApiUnreadable
from connector.core.lookup import CONFIRM_SECONDS, FEW, NOT_FOUND, NOT_SEARCHABLE, SEEN_AGAIN_SECONDS
from connector.core.record import Partition
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.core.tag import Tag, tagged_file_name
from connector.documents import Holding
from connector.find import Finder
from tests.fakes.api import FakeApi, not_found
from tests.fakes.virtual_time import clock, virtually

SETTLE = 600.0


def entry(number: int = 1, run_type: str = "extract", state: State = State.INTENT, *, named: bool = True) -> Entry:
    tag = Tag(
        "invoices", Partition("documents", 3), number, f"{'a' * 20}{chr(97 + number // 26)}{chr(97 + number % 26)}"
    )
    name = tagged_file_name("invoice.pdf", tag) if named else "invoice.pdf"
    return Entry(
        tag=tag,
        state=state,
        request=Request(run_type, "documents", f'{{"file":{{"name":"{name}"}}}}'.encode(), "pr_1"),
        key=None,
        headers=(),
        value=b"{}",
        source_timestamp=None,
        accepted_ms=clock().wall_ms(),
        nonce=f"nonce-{number}",
        attempts=1,
        run_id="run_known" if state is State.STARTED else None,
        repeats=1 if state is State.STARTED else 0,
    )


@dataclass
class Search:
    """A finder, what it asks of the API, and what it told."""

    api: FakeApi
    finder: Finder
    holding: Holding
    metrics: Metrics
    began: float
    found: list[tuple[str, str]] = field(default_factory=list)
    absent: list[tuple[str, str, float]] = field(default_factory=list)
    deaf: bool = False

    def want(self, wanted: Entry) -> Entry:
        self.holding.put(wanted)
        self.finder.look_for(self.holding, wanted)
        return wanted

    def create(self, wanted: Entry, run_id: str = "run_1", *, after: float = 0.0, status: str = "PROCESSING") -> None:
        """A run of a document is made, and lists show it as they show runs of its type."""
        carries = RUN_TYPES[wanted.request.run_type].rows_carry_metadata
        self.api.show_in_lists(
            run_id,
            wanted.request.run_type,
            str(wanted.tag) if carries else None,
            after=after,
            processor_id=wanted.request.processor_id,
            file_name=tagged_file_name("invoice.pdf", wanted.tag),
        )
        self.api.always_shows = (status,)

    @property
    def asked(self) -> list[float]:
        """When pages were asked for, in seconds from the beginning."""
        return [round(each.at - self.began, 1) for each in self.api.lists]

    @property
    def second_runs(self) -> float:
        return self.metrics.registry.get_sample_value("extend_connector_second_runs_total") or 0.0

    def cancelled(self) -> list[str]:
        return [run_id for kind, run_id in self.api.events if kind == "cancel"]


@asynccontextmanager
async def searching(rate: float | None = None, settle: float = SETTLE) -> AsyncIterator[Search]:
    api, metrics = FakeApi(always_shows=("PROCESSING",)), Metrics()

    def was_found(where: Holding, wanted: Entry, run: Run) -> bool:
        assert where is holding
        if search.deaf:
            return False
        search.found.append((str(wanted.tag), run.id))
        return True

    def was_absent(where: Holding, wanted: Entry, reason: str) -> None:
        assert where is holding
        search.absent.append((str(wanted.tag), reason, asyncio.get_running_loop().time() - search.began))

    finder = Finder(
        client=api,
        budget=TokenBucket(rate),
        writes=TokenBucket(None),
        settle=settle,
        found=was_found,
        absent=was_absent,
        clock=clock(),
        random=lambda: 0.5,
        metrics=metrics,
    )
    holding = Holding(Partition("documents", 3), 1, "topic-id")
    search = Search(api, finder, holding, metrics, asyncio.get_running_loop().time())
    task = asyncio.create_task(finder.run())
    try:
        yield search
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
        assert late == [600.0, 601.0, 608.0, 618.0, 619.5]  # the 429 slowed the category down
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
