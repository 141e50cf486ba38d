"""When a list is read for an unclear start, and what its rows mean, whatever the pages do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.entry import Request
from connector.core.lookup import (
    CONFIRM_SECONDS,
    FEW,
    MARGIN_MS,
    ORDER_SLACK_MS,
    SLOW_LOOKBACK_MS,
    Group,
    Moment,
    Purpose,
    Quest,
    Reading,
    Search,
    Sightings,
    Verdict,
    covers,
    group_of,
    is_searchable,
    proves,
    searches,
)
from connector.core.record import Partition
from connector.core.run import Row, Run
from connector.core.run_types import RUN_TYPES
from connector.core.tag import Tag, file_mark, tagged_file_name

TAG = Tag("invoices", Partition("documents", 3), 41, "a" * 22)
OTHER = replace(TAG, hash="b" * 22)
SETTLE = 600.0
INTENT_MS = 1_790_000_000_000
START = 1_000.0


def request(run_type: str = "extract", body: bytes = b"{}", **more: str) -> Request:
    return Request(run_type, "route", body, **more)


def quest(
    purpose: Purpose = Purpose.UNCLEAR, run_type: str = "extract", *, tag: Tag = TAG, body: bytes = b"{}"
) -> Quest:
    return Quest(tag, request(run_type, body), purpose, INTENT_MS, START, SETTLE)


def at(monotonic: float, *, wall_off_ms: float = 0.0, api_ahead_ms: float = 0.0) -> Moment:
    """So long after START; our wall clock is off by this, and the API's Date shows it."""
    return Moment(monotonic, INTENT_MS + (monotonic - START) * 1000 + wall_off_ms, api_ahead_ms - wall_off_ms)


def row(number: int, created_ms: int | None, *, tag: Tag = OTHER, run_type: str = "extract") -> Row:
    name = tagged_file_name("invoice.pdf", tag)
    shows = RUN_TYPES[run_type].rows_carry_metadata
    return Row(f"run_{number}", run_type, "PROCESSING", str(tag) if shows else None, (name,), created_ms)


# ---- when ----------------------------------------------------------------------------------------------------


@given(
    scans=st.lists(st.tuples(st.floats(0.1, 400), st.booleans(), st.floats(0, 200)), max_size=60),
    shows_after=st.none() | st.floats(0, 2 * SETTLE),
    settle=st.floats(0.5, 900),
)
def test_absence_takes_two_complete_scans_that_began_after_the_settle_window(
    scans: list[tuple[float, bool, float]], shows_after: float | None, settle: float
) -> None:
    """Scans take any time and fail at any time; others' scans come in between (the third figure is the wait)."""
    wanted = replace(quest(), settle=settle)
    shows = math.inf if shows_after is None else START + shows_after
    now, counted = START, list[tuple[float, float]]()
    for takes, fails, wait in scans:
        begun = max(now, min(wanted.due, now + wait))
        now = begun + takes
        if fails:
            continue
        seen = shows <= begun
        if begun >= START + settle:
            counted.append((begun, now))
        if seen:
            counted.clear()
        verdict = wanted.scanned(at(begun), now, seen=seen, u=0.5)
        if verdict is Verdict.ABSENT:
            assert len(counted) >= 2
            assert counted[-1][0] >= counted[0][1] + CONFIRM_SECONDS
            assert shows > START + settle, "a row that showed before the settle window ended was overlooked"
            return


def test_early_scans_come_soon_and_prove_nothing() -> None:
    wanted = quest()
    begun = []
    verdict = Verdict.GO_ON
    while verdict is Verdict.GO_ON:
        begun.append(wanted.due - START)
        verdict = wanted.scanned(at(wanted.due), wanted.due + 1, seen=False, u=0.5)
    assert verdict is Verdict.ABSENT
    assert begun == [2, 30, SETTLE, SETTLE + 1 + CONFIRM_SECONDS]


def test_a_parked_start_is_looked_for_slowly_and_never_absent_unless_somebody_asks() -> None:
    wanted = quest(Purpose.PARKED)
    due = wanted.due
    for _ in range(5):
        due = wanted.due
        assert wanted.scanned(at(due), due + 1, seen=False, u=0.5) is Verdict.GO_ON
        assert wanted.due == due + 1 + 3600
    wanted.ask(due + 10)
    assert wanted.scanned(at(due + 9), due + 11, seen=False, u=0.5) is Verdict.GO_ON, "it began before it was asked for"
    assert wanted.due == due + 10, "the scan that was asked for is still to come, and at once"
    assert wanted.scanned(at(due + 11), due + 12, seen=False, u=0.5) is Verdict.ABSENT


def test_a_watched_document_is_done_with_one_scan_after_the_settle_window() -> None:
    wanted = quest(Purpose.WATCHED)
    assert wanted.scanned(at(START + 1), START + 2, seen=True, u=0.5) is Verdict.GO_ON
    assert wanted.due == START + SETTLE
    assert wanted.scanned(at(wanted.due), wanted.due, seen=True, u=0.5) is Verdict.DONE


# ---- how far back --------------------------------------------------------------------------------------------


@given(
    wall_off_ms=st.integers(-3_600_000, 3_600_000),
    stepped_ms=st.integers(-3_600_000, 3_600_000),
    api_ahead_ms=st.integers(-3_600_000, 3_600_000),
    later=st.floats(0, 5_000),
    late=st.floats(0, 600),
)
def test_no_clock_that_is_an_hour_off_hides_a_run(
    wall_off_ms: int, stepped_ms: int, api_ahead_ms: int, later: float, late: float
) -> None:
    """Our clock is wrong when the intent is written, is set meanwhile, and differs from the API's."""
    wanted = replace(quest(), accepted_ms=INTENT_MS + wall_off_ms)
    created_ms = INTENT_MS + late * 1000 + api_ahead_ms
    now = at(START + later, wall_off_ms=wall_off_ms + stepped_ms, api_ahead_ms=api_ahead_ms)
    assert wanted.not_before(now) <= created_ms
    unchanged = at(START + later, wall_off_ms=wall_off_ms, api_ahead_ms=api_ahead_ms)
    assert wanted.not_before(unchanged) == pytest.approx(INTENT_MS + api_ahead_ms - MARGIN_MS, abs=1)


def test_a_parked_start_costs_no_scan_of_all_the_days_that_it_waits() -> None:
    days = 10 * 24 * 3600.0
    parked = quest(Purpose.PARKED)
    assert parked.not_before(at(START + days)) == at(START + days).api_ms - SLOW_LOOKBACK_MS - MARGIN_MS
    parked.scanned(at(START + days), START + days, seen=False, u=0.5)
    assert parked.not_before(at(START + days + 3600)) == at(START + days).api_ms - MARGIN_MS
    parked.ask(START + days + 3600)
    assert parked.not_before(at(START + days + 3600)) == INTENT_MS - MARGIN_MS, "a person's scan is a complete one"


@st.composite
def shifting_pages(draw: st.DrawFn) -> tuple[list[list[Row]], float]:
    """Pages of a list, newest first, while runs are created: rows come again, times are missing, order is loose."""
    bound = INTENT_MS - MARGIN_MS
    ours = row(0, draw(st.integers(bound, bound + 2 * MARGIN_MS)), tag=TAG)
    times = draw(st.lists(st.integers(bound - MARGIN_MS, bound + 3 * MARGIN_MS), max_size=30))
    rows = [row(number + 1, time) for number, time in enumerate(times)]
    jitter = {each.id: draw(st.integers(0, ORDER_SLACK_MS // 2)) for each in rows}
    rows.sort(key=lambda each: -((each.created_ms or 0) + jitter[each.id]))
    before = [place for place, each in enumerate(rows) if (each.created_ms or 0) < (ours.created_ms or 0)]
    rows.insert(before[0] if before else len(rows), ours)
    pages: list[list[Row]] = []
    while rows:
        size = draw(st.integers(1, 6))
        again = draw(st.integers(0, 2)) if pages else 0
        page = ([*pages[-1][-again:]] if again else []) + rows[:size]
        pages.append([replace(each, created_ms=None) if draw(st.integers(0, 9)) == 0 else each for each in page])
        rows = rows[size:]
        if draw(st.integers(0, 9)) == 0:
            pages.append([])
    return pages, bound


@given(shifting_pages())
def test_no_scan_stops_before_a_row_that_is_wanted(given_pages: tuple[list[list[Row]], float]) -> None:
    pages, bound = given_pages
    wanted = quest()
    seen, reading = Sightings([wanted]), Reading(Search(not_before_ms=bound))
    for page in pages:
        seen.take(page)
        if reading.take(page):
            break
    assert seen.of(wanted) == ["run_0"]


def test_a_scan_stops_at_the_first_page_that_is_older_and_not_at_a_single_row() -> None:
    reading = Reading(Search(not_before_ms=1_000_000))
    assert not reading.take([row(1, 2_000_000), row(2, 900_000)])
    assert not reading.take([])
    assert reading.take([row(3, 800_000)])


def test_a_list_in_another_order_or_without_times_is_read_to_its_end() -> None:
    for first in ([row(1, 100_000), row(2, 900_000)], [row(1, None), row(2, 100_000)]):
        reading = Reading(Search(not_before_ms=10_000_000))
        assert not reading.take(first)
    assert not Reading(Search()).take([row(1, 1)])


# ---- which list ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run_type", ["edit", "workflow"])
def test_few_starts_without_metadata_in_their_rows_are_asked_for_by_name_and_many_by_a_scan(run_type: str) -> None:
    tags = [replace(TAG, offset=number, hash=f"{'a' * 21}{chr(97 + number)}") for number in range(FEW + 1)]
    wanted = [quest(run_type=run_type, tag=tag) for tag in tags]
    group = group_of(wanted[0].request)
    few = searches(group, wanted[:FEW], at(START))
    assert few == tuple(Search(file_mark(tag)) for tag in tags[:FEW])
    assert not covers(few, wanted[FEW], at(START))
    many = searches(group, wanted, at(START))
    assert many == (Search(not_before_ms=INTENT_MS - MARGIN_MS),)
    assert covers(many, wanted[0], at(START))
    assert not covers(many, replace(wanted[0], accepted_ms=INTENT_MS - 1), at(START)), "its run may be older"


def test_a_parse_scan_is_narrowed_by_names_that_the_requests_gave_and_else_reads_all_pages() -> None:
    named = quest(run_type="parse", body=b'{"file":{"url":"https://x/a.pdf","name":"a.pdf"}}')
    unnamed = quest(run_type="parse", body=b'{"file":{"url":"https://x/a.pdf"}}')
    group = Group("parse", None)
    assert searches(group, [named, named], at(START)) == (Search("a.pdf"),)
    assert searches(group, [named, unnamed], at(START)) == (Search(),)
    assert searches(group, [named] * (FEW + 1), at(START)) == (Search(),)


def test_starts_are_grouped_by_what_their_list_can_be_filtered_by() -> None:
    assert group_of(request(processor_id="ex_1")) == Group("extract", "ex_1")
    assert group_of(request("edit", processor_id="tpl_1")) == Group("edit", None)


# ---- whose -----------------------------------------------------------------------------------------------------


def test_only_a_request_that_gave_a_name_can_be_looked_up_where_rows_carry_no_metadata() -> None:
    named = f'{{"file":{{"url":"u","name":"{tagged_file_name("a.pdf", TAG)}"}}}}'.encode()
    for run_type in RUN_TYPES:
        carries = RUN_TYPES[run_type].rows_carry_metadata
        assert is_searchable(request(run_type, named), TAG)
        assert is_searchable(request(run_type, b'{"file":{"id":"file_1"}}', file_id="file_1"), TAG) is carries
    assert is_searchable(request("edit", b""), TAG), "the body of a known run is not kept"
    assert not is_searchable(request("edit", b"", file_id="file_1"), TAG)


def test_two_runs_of_one_tag_come_oldest_first_and_by_the_order_of_the_list_where_times_are_equal() -> None:
    wanted = quest()
    seen = Sightings([wanted])
    seen.take([row(5, None, tag=TAG), row(4, 300, tag=TAG), row(3, 200, tag=TAG), row(2, 200, tag=TAG), row(9, 100)])
    assert seen.of(wanted) == ["run_2", "run_3", "run_4", "run_5"]
    wanted.refuted.add("run_3")
    assert seen.of(wanted) == ["run_2", "run_4", "run_5"]


def test_the_whole_tag_is_the_proof_and_a_file_name_only_where_there_is_no_metadata() -> None:
    name = tagged_file_name("a.pdf", TAG)
    assert proves(Run("r", "extract", "PROCESSING", tag=str(TAG)), TAG)
    assert not proves(Run("r", "extract", "PROCESSING", tag=None, file_name=name), TAG)
    assert proves(Run("r", "workflow", "PROCESSING", tag=str(TAG), file_name="x"), TAG)
    assert not proves(Run("r", "workflow", "PROCESSING", tag=str(OTHER), file_name=name), TAG)
    assert proves(Run("r", "workflow", "PROCESSING", file_name=name), TAG)
    assert proves(Run("r", "edit", "PROCESSING", file_name=name), TAG)
    assert not proves(Run("r", "edit", "PROCESSING", file_name=tagged_file_name("a.pdf", OTHER)), TAG)
    other_partition = replace(TAG, partition=Partition("documents", 13))
    assert not proves(Run("r", "edit", "PROCESSING", file_name=tagged_file_name("a.pdf", other_partition)), TAG)
