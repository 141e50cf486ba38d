"""The sweep of one run type: which page of its list is read next, and what the rows say about our runs.

What makes this safe, whatever the list does: a row can only make a run due. The API's own GET says whether the run
ended, and what the list does not show is never taken for an answer.

Lists are read by ``updatedAt``, the newest first, back to where the last complete pass began. The list of parse runs
accepts no order (API version 2026-02-09). There the newest pages are read, until all rows of a page were created
before our oldest open run, or a few pages at most. That is enough where the newest come first; in any other order our
own new runs do not show, which is measured and ends in polling. Runs that are too old for those pages are polled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from connector.core.follow.doorbells import Doorbells
from connector.core.follow.list_debts import ListDebts
from connector.core.follow.list_health import TRIAL_SECONDS, ListHealth, Trouble
from connector.core.follow.list_pass import ListPass, Progress, Purpose
from connector.core.follow.open_run import OpenRun
from connector.core.follow.open_runs import OpenRuns
from connector.core.run import Row
from connector.core.run_types import RUN_TYPES, is_terminal

OVERLAP_SECONDS = 3.0
MOST_OVERLAP_SECONDS = 60.0
FIRST_WINDOW_SECONDS = 30.0
"""How far back the first pass goes: a run that was just bought may have ended meanwhile."""
GAP_SECONDS = 120.0
"""A list that was not read for longer, because it is in trouble, is read from now on: its runs are polled."""
MOST_PAGES = 50
MOST_UNSORTED_PAGES = 10
FEWEST_CATCH_UP_PAGES = 5
REVIEW_PASS_SECONDS = 3600.0
STRANGERS = 10_000
"""Runs that ended before we knew that they are ours; so many are remembered: more than one pass shows that is read as a
safety net only."""

RunT = TypeVar("RunT", bound=OpenRun)


@dataclass(slots=True, eq=False)
class Lane:
    """One purpose for which the list is read, again and again.

    Attributes:
        purpose: the purpose.
        due: when the next page may be read; while pages follow each other, when the last one was asked for.
        reading: the pass that was begun.
        busy: a page is under way.
    """

    purpose: Purpose
    due: float = -inf
    reading: ListPass | None = None
    busy: bool = False


class Sweep(Generic[RunT]):
    """The list of one run type, and our open runs of that type."""

    def __init__(self, run_type: str, doorbells: Doorbells, interval: float | None, review_interval: float) -> None:
        """Nothing is open yet.

        Args:
            run_type: name of the run type.
            doorbells: say how long the list may rest.
            interval: seconds between passes; None never reads the list.
            review_interval: seconds between looks at what is under review, while nothing else is open.
        """
        self.run_type = run_type
        self.health = ListHealth(Trouble.OFF if interval is None else None)
        self.runs: OpenRuns[RunT] = OpenRuns(aged=not RUN_TYPES[run_type].sortable)
        self._doorbells = doorbells
        self._read_from = -inf  # when the last complete pass began, or the first run was there after a time without any
        self._interval = interval or inf
        self._review_interval = review_interval
        self._sorted = RUN_TYPES[run_type].sortable
        self._lanes = {purpose: Lane(purpose) for purpose in Purpose}
        self._reviewed_at = -inf
        self._watermark_ms: float | None = None
        self._horizon_ms = inf  # from here on every row was read, on the API's clock
        self._remembered_ms = -inf  # and from here on those of strangers are remembered
        self._previous: ListPass | None = None
        self._was_short = False
        self._strangers: dict[str, tuple[str, float]] = {}
        self._uncovered: list[RunT] = []
        self._catching_up: list[RunT] = []
        self._debts: ListDebts[RunT] = ListDebts()

    # ---- our runs --------------------------------------------------------------------------------------------

    def add(self, run: RunT, api_ms: float, *, restored: bool) -> bool:
        """A run of ours is open.

        Args:
            run: the run.
            api_ms: now, on the API's clock.
            restored: others may have followed it before; that the list shows it is not expected soon.

        Returns:
            Whether rows that were seen before it was known to be ours say that it ended.
        """
        if (known := self.runs.by_id.get(run.run_id)) is not None:
            self.runs.remove(known)
        if not run.in_review and not self.runs.waiting:
            self._begin_anew(run.followed, api_ms)
        self.runs.add(run)
        if run.polled:
            return False
        status, _ = self._strangers.pop(run.run_id, (None, 0.0))
        if status is not None:
            run.sighted = True
            return run.is_ended_by(status)
        if run.in_review:
            return False  # the passes over reviews tell
        if self._sorted and self.health.good and run.began_ms < max(self._horizon_ms, self._remembered_ms):
            self._uncovered.append(run)
        elif not restored:
            self._debts.owe_run(run)
        return False

    def tells_of(self, run: RunT) -> bool:
        """Whether rows would have told, or will, if the run ended."""
        return self.health.good and not run.polled and run.open_ms >= self._horizon_ms

    def expect(self, run: RunT, ended_ms: int | None, now: float) -> None:
        """A look found the end of a run of which no row told: the list has to show it soon."""
        covered = ended_ms is not None and ended_ms >= self._horizon_ms
        told = run.announced is not None or run.polled
        if covered and not told and self.health.trouble is not Trouble.OFF:
            self._debts.owe_end(run, now)

    def _begin_anew(self, now: float, api_ms: float) -> None:
        """Nothing was open: what the list showed meanwhile is nobody's business."""
        self._look_from(api_ms)
        self._read_from = now
        self._debts.forgive()
        self._lanes[Purpose.REGULAR] = Lane(Purpose.REGULAR)
        self._lanes[Purpose.CATCH_UP] = Lane(Purpose.CATCH_UP)

    def _look_from(self, api_ms: float) -> None:
        self._watermark_ms = self._previous = None
        self._horizon_ms = api_ms - FIRST_WINDOW_SECONDS * 1000
        self._remembered_ms = -inf
        self._strangers.clear()

    # ---- which page is next ----------------------------------------------------------------------------------

    def lanes(self) -> Iterator[tuple[float, Lane]]:
        """The lanes that have a page to be read, and from when."""
        for lane in self._lanes.values():
            due = self._due(lane)
            if due is not None:
                yield due, lane

    def _due(self, lane: Lane) -> float | None:
        if lane.busy or not self.runs.by_id or self.health.trouble is Trouble.OFF:
            return None
        match lane.purpose:
            case Purpose.REGULAR:
                if not self.runs.waiting and self.health.good:
                    return None
                return lane.due if lane.reading is not None else max(lane.due, self._rests_until)
            case Purpose.CATCH_UP:
                return lane.due if self.health.good and (self._uncovered or self._catching_up) else None
            case Purpose.REVIEWS:
                if not self.runs.in_review or not self.health.good:
                    return None
                period = REVIEW_PASS_SECONDS if self.runs.waiting else self._review_interval
                return lane.due if lane.reading is not None else max(lane.due, self._reviewed_at + period)

    @property
    def is_stretched(self) -> bool:
        """Whether the list is read as a safety net only."""
        return bool(self.runs.waiting) and self._rests_until > -inf

    @property
    def _rests_until(self) -> float:
        """Until when doorbells make the next pass unnecessary; one that cannot be relied on is tried all the same."""
        return self._doorbells.rest_until(self.runs.waiting, self._read_from) if self.health.good else -inf

    def begin(self, lane: Lane, now: float, api_ms: float) -> ListPass:
        """The next page of a lane is read now."""
        lane.busy = True
        lane.due = now
        if lane.reading is None:
            lane.reading = self._new_pass(lane.purpose, now, api_ms)
        return lane.reading

    def is_under_way(self, lane: Lane, reading: ListPass) -> bool:
        """Whether a pass still counts: one that was begun while other runs were open says nothing about these."""
        return self._lanes[lane.purpose] is lane and lane.reading is reading

    def _new_pass(self, purpose: Purpose, now: float, api_ms: float) -> ListPass:
        if purpose is Purpose.REVIEWS:
            return ListPass(purpose, now, api_ms, -inf, MOST_PAGES, self._sorted)
        if purpose is Purpose.CATCH_UP:
            self._catching_up, self._uncovered = [run for run in self._uncovered if self.runs.has(run)], []
            oldest = min((run.open_ms for run in self._catching_up), default=api_ms)
            # At most as many pages as it saves GETs.
            pages = max(FEWEST_CATCH_UP_PAGES, len(self._catching_up))
            return ListPass(purpose, now, api_ms, oldest, pages)
        if not self._sorted:
            return ListPass(purpose, now, api_ms, self.runs.oldest_began(api_ms), MOST_UNSORTED_PAGES, sorted=False)
        watermark = self._watermark_ms
        if not self.health.good and (watermark or self._horizon_ms) < api_ms - GAP_SECONDS * 1000:
            self._look_from(api_ms)
            watermark = None
        if watermark is None:
            return ListPass(purpose, now, api_ms, self._horizon_ms, MOST_PAGES)
        # Seldom read, a list shows little of its lag: so each pass goes over the time before the last one once more.
        overlap = max(OVERLAP_SECONDS + 1.5 * self.health.lag(now), now - self._read_from)
        return ListPass(purpose, now, api_ms, watermark - min(overlap, MOST_OVERLAP_SECONDS) * 1000, MOST_PAGES)

    # ---- what a page says ------------------------------------------------------------------------------------

    def take(self, reading: ListPass, rows: Sequence[Row], now: float) -> tuple[list[RunT], list[Row]]:
        """What the rows of a page say.

        Returns:
            Our runs whose end they announce; and the rows of others.
        """
        announced: list[RunT] = []
        strangers: list[Row] = []
        for row in rows:
            run = self.runs.by_id.get(row.id)
            if run is None:
                strangers.append(row)
                self._saw_stranger(row)
                continue
            self._sight(run, row, reading, now)
            if run.is_announced_by(row):
                announced.append(run)
        return announced, strangers

    def _saw_stranger(self, row: Row) -> None:
        if not is_terminal(row.status):
            return
        self._debts.shown(row.id)
        updated_ms = -inf if row.updated_ms is None else row.updated_ms
        self._strangers.pop(row.id, None)
        self._strangers[row.id] = row.status, updated_ms
        if len(self._strangers) > STRANGERS:
            _, forgotten_ms = self._strangers.pop(next(iter(self._strangers)))
            self._remembered_ms = max(self._remembered_ms, forgotten_ms)

    def _sight(self, run: RunT, row: Row, reading: ListPass, now: float) -> None:
        run.seen, run.sighted = now, True
        if row.updated_ms is None or row.updated_ms == run.updated_ms:
            return
        before = self._previous
        if self._sorted and reading.purpose is Purpose.REGULAR and before is not None and run.followed < before.begun:
            # The pass before this one did not show it, so it cannot have been there when that began.
            lag = (before.begun_ms - row.updated_ms) / 1000 if row.updated_ms >= before.not_before_ms else 0.0
            self.health.sighted(run.run_id, lag, now)
        run.updated_ms = row.updated_ms

    def turned(self, lane: Lane, progress: Progress, now: float) -> list[RunT]:
        """A page was taken.

        Returns:
            Our runs of which the list told nothing, and which have to be looked at themselves.
        """
        lane.busy = False
        reading = lane.reading
        if reading is None or progress is Progress.MORE:
            return []
        lane.reading = None
        match lane.purpose:
            case Purpose.REGULAR:
                return self._regular_is_over(lane, reading, progress, now)
            case Purpose.CATCH_UP:
                runs, self._catching_up = self._catching_up, []
                return [run for run in runs if self.runs.has(run) and run.seen <= reading.begun]
            case Purpose.REVIEWS:
                self._reviewed_at = now
                if progress is not Progress.DONE:
                    return []
                return [run for run in self.runs.by_id.values() if run.in_review and run.seen <= reading.begun]

    def _regular_is_over(self, lane: Lane, reading: ListPass, progress: Progress, now: float) -> list[RunT]:
        short = progress is Progress.SHORT
        endless = progress is Progress.ENDLESS or (short and self._sorted and self._was_short)
        if endless or progress is Progress.DISORDERED:
            self.failed(lane, Trouble.ENDLESS if endless else Trouble.DISORDERED, now)
            return []
        self._was_short = short
        older = self.runs.take_older(reading.oldest_ms) if short and not self._sorted else []
        for run in older:
            run.polled = True  # for the pages that are read they are too old, which is no fault of the list
        missing, missed = self._judge(reading, short=short)
        for run_id in missed:
            self.health.missed(run_id, now)
        if not missed:
            self.health.passed(now)
        if short and self._sorted:
            self._leave_to_catch_up(reading)
        for run in missing:
            run.polled = True
        missing += older
        newest = reading.begun_ms if reading.newest_ms is None else min(reading.newest_ms, reading.begun_ms)
        self._watermark_ms = min(max(newest, self._watermark_ms or -inf), reading.begun_ms)
        self._previous = reading
        self._read_from = reading.begun
        lane.due = max(now, reading.begun + (self._interval if self.health.good else TRIAL_SECONDS))
        return missing

    def _judge(self, reading: ListPass, *, short: bool) -> tuple[list[RunT], list[str]]:
        """What complete passes should have shown by now: new runs that they did not, and all such ids."""
        # By `createdAt` a pass goes back to our oldest open run, or as far as its pages reach; those that ended may be
        # older.
        covered_ms = reading.oldest_ms if short else reading.not_before_ms
        runs, missed = self._debts.due(reading.begun, -inf if self._sorted else covered_ms)
        missing = [run for run in runs if self.runs.has(run) and not run.sighted and not run.polled]
        return missing, [*missed, *(run.run_id for run in missing)]

    def _leave_to_catch_up(self, reading: ListPass) -> None:
        """Nothing was read for long, and more has changed than one pass may read: the rest is for a pass of its own."""
        self._horizon_ms = min(reading.oldest_ms, reading.begun_ms)
        behind = [run for run in self.runs.by_id.values() if not run.in_review and run.seen <= reading.begun]
        for run in behind:
            run.open_ms = max(run.open_ms, reading.not_before_ms)
        self._uncovered = behind

    def failed(self, lane: Lane, trouble: Trouble | None, now: float, wait: float = 0.0) -> None:
        """A page could not be read, or the pass came to no end.

        Args:
            lane: which.
            trouble: what that says about the list; None for nothing, because every request was refused.
            now: the time.
            wait: seconds until it may be tried again, at least.
        """
        lane.busy = False
        lane.reading = None
        if trouble is not None:
            self.health.failed(trouble, now)
        lane.due = now + max(wait, self.health.backoff)
        if lane.purpose is Purpose.CATCH_UP:
            self._uncovered += self._catching_up
            self._catching_up = []

    def give_up(self) -> list[RunT]:
        """The list is in trouble: all runs have to be looked at themselves."""
        self._uncovered.clear()
        self._catching_up.clear()
        self._debts.forgive_runs()
        self._lanes[Purpose.CATCH_UP] = Lane(Purpose.CATCH_UP)
        self._lanes[Purpose.REVIEWS] = Lane(Purpose.REVIEWS)
        return list(self.runs.by_id.values())

    def start_over(self, now: float) -> None:
        """There is a new key."""
        self.health.start_over()
        for lane in self._lanes.values():
            lane.due = min(lane.due, now)
