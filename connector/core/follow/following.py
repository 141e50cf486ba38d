"""Which request comes next to find out what has finished, and when: all decisions of following runs.

    following.follow(run, now, api_ms)
    while (step := following.next(now, api_ms)) is not None:      # once `wait` is 0 and a token is there
        Look: GET the run; then `looked`, `again_at` or `ended`
        ReadPage: GET the page; then `page` or `list_failed`

Of the tokens, runs that a row or a webhook announced come first, then pages of lists, then runs by their time. Pages
never take more than half of the budget, so what is due by its time never starves, nor do types among themselves: the
page that is due for the longest time is next.

Nothing waits here and nothing is sent. Times are seconds on one monotonic clock, and milliseconds on the API's clock
where they are compared with what the API shows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from typing import Generic, TypeVar

from connector.core.follow.doorbells import Bell, Doorbells, Turn
from connector.core.follow.follow_step import ListState, Look, ReadPage, Step
from connector.core.follow.list_health import Trouble
from connector.core.follow.list_pass import Purpose
from connector.core.follow.open_run import OpenRun, Stage, Via
from connector.core.follow.polling import PollingOptions, delay_ms
from connector.core.follow.schedule import Schedule
from connector.core.follow.sweep import Lane, Sweep
from connector.core.run import Row
from connector.core.run_types import NEEDS_REVIEW, has_event

BACKSTOP_SECONDS = 1800.0
"""A run is looked at itself so long after the last look at it, or up to twice as long, whatever its rows say: a list
may show the same for ever."""
REVIEW_BACKSTOP_SECONDS = 21_600.0
"""The same for a run under review; a pass over all reviews tells of it each hour."""
FALSE_ALARM_SECONDS = 1.0
"""Until the first look after one that did not confirm a row; doubled each time."""
MOST_FALSE_ALARMS = 6
DISTRUSTED_SECONDS = 60.0
"""How often rows can make a run due whose announcements were false so often."""
MOST_WAIT_AFTER_RINGS = 8.0
"""The same after doorbells that the look did not confirm, at most. Rows stay believed: they are not from strangers."""
YIELDING_SECONDS = 1.0
"""A pass over what lies back lets regular passes go first, unless it has waited for so much longer."""
MOVED_AT_ONCE = 200
MOST_TURNS = 100
"""They are told once a second."""

RunT = TypeVar("RunT", bound=OpenRun)


class Following(Generic[RunT]):
    """All open runs."""

    def __init__(
        self,
        *,
        options: PollingOptions,
        sweep_interval: float | None,
        review_interval: float,
        get_interval: Callable[[], float],
        random: Callable[[], float],
        doorbells: Doorbells | None = None,
    ) -> None:
        """Nothing is open yet.

        Args:
            options: when a run is looked at whose list does not tell.
            sweep_interval: seconds between passes over a list; None never reads lists.
            review_interval: seconds between passes over what waits for a person, while nothing else is open; and
                between looks at such a run when lists do not tell.
            get_interval: seconds between two tokens of the GET budget, now; 0 without a limit.
            random: a number in [0, 1).
            doorbells: what is known of webhooks; by default that nobody counts on any.
        """
        self._options = options
        self._sweep_interval = sweep_interval
        self._review_interval = review_interval
        self._get_interval = get_interval
        self._random = random
        self._doorbells = Doorbells() if doorbells is None else doorbells
        self._turns: deque[Turn] = deque(maxlen=MOST_TURNS)
        places = count(1)
        self._announced: Schedule[RunT] = Schedule(places)
        self._timed: Schedule[RunT] = Schedule(places)
        self._sweeps: dict[str, Sweep[RunT]] = {}
        self._list_at = 0.0
        self._to_poll: deque[RunT] = deque()

    # ---- our runs --------------------------------------------------------------------------------------------

    def follow(self, run: RunT, now: float, api_ms: float, *, restored: bool = False) -> None:
        """Follow a run from now on.

        Args:
            run: the run.
            now: the time.
            api_ms: now, on the API's clock.
            restored: others may have followed it before: it may have ended long ago. Thousands of them are not looked
                at in the same instant.
        """
        run.followed = run.seen = run.looked = now
        run.late |= restored
        sweep = self._sweep_of(run)
        if sweep.add(run, api_ms, restored=restored):
            self._announce(run, now, "sweep")
        elif sweep.health.good and not run.polled:
            self._rest(run, now)
        else:
            self._poll(run, now, self._random() if restored else 1.0)

    def forget(self, run: RunT) -> None:
        """A run is not followed any more."""
        self._timed.remove(run)
        self._sweep_of(run).runs.remove(run)

    def is_followed(self, run: RunT) -> bool:
        """Whether it was not forgotten."""
        return self._sweep_of(run).runs.has(run)

    def ring(self, run_id: str, now: float) -> bool:
        """A webhook says that something about a run changed; whether it is followed. It costs one look, and no more."""
        of_the_last_end = self._doorbells.rang(run_id, now)
        self._heed()
        for sweep in self._sweeps.values():
            if (run := sweep.runs.by_id.get(run_id)) is not None:
                if not of_the_last_end:
                    run.rang = now
                self._announce(run, now, "webhook")
                return True
        return False

    def start_over(self, now: float) -> None:
        """There is a new API key: what the old one could not read says nothing."""
        for sweep in self._sweeps.values():
            sweep.start_over(now)

    # ---- what comes next -------------------------------------------------------------------------------------

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None when nothing ever is."""
        if self._to_poll:
            return 0.0
        pages = (max(due, self._list_at) for sweep in self._sweeps.values() for due, _ in sweep.lanes())
        page = min(pages, default=None)
        dues = (page, self._announced.next_due(), self._timed.next_due(), self._doorbells.next_due())
        nearest = min(due for due in dues if due is not None)
        return None if nearest == inf else max(0.0, nearest - now)

    def next(self, now: float, api_ms: float) -> Step[RunT] | None:
        """The request that is next; costs a token. None when nothing is due after all."""
        self._doorbells.settle(now)
        self._heed()
        self._move_some(now)
        if (run := self._announced.pop_due(now)) is not None:
            return self._look(run, run.announced_via, api_ms)
        if (page := self._next_page(now, api_ms)) is not None:
            return page
        for _ in range(MOVED_AT_ONCE):
            run = self._timed.pop_due(now)
            if run is None:
                break
            if run.stage is not Stage.POLLED or not self._sweep_of(run).tells_of(run):
                return self._look(run, "poll", api_ms)
            self._rest(run, now)  # the list is good again, and what it did not tell was seen otherwise
        return None

    @staticmethod
    def _look(run: RunT, via: Via, api_ms: float) -> Look[RunT]:
        run.stage, run.via, run.rung, run.asked_ms = Stage.LOOKED_AT, via, False, api_ms
        return Look(run, via)

    def _next_page(self, now: float, api_ms: float) -> ReadPage | None:
        if now < self._list_at:
            return None
        due = [
            (when + _yields(lane), sweep, lane)
            for sweep in self._sweeps.values()
            for when, lane in sweep.lanes()
            if when <= now
        ]
        if not due:
            return None
        _, sweep, lane = min(due, key=lambda each: each[0])
        # At an even pace, so that no window of any length sees lists take more than half of the budget.
        self._list_at = max(self._list_at, now) + 2 * self._get_interval()
        reading = sweep.begin(lane, now, api_ms)
        status = NEEDS_REVIEW if lane.purpose is Purpose.REVIEWS else None
        return ReadPage(sweep.run_type, reading.token, status, lane, reading)

    # ---- what came of it: lists ------------------------------------------------------------------------------

    def page(self, read: ReadPage, rows: Sequence[Row], next_token: str | None, now: float) -> list[Row]:
        """A page came.

        Returns:
            The rows of runs that are not followed.
        """
        sweep = self._sweeps[read.run_type]
        was_good = sweep.health.good
        announced, strangers = sweep.take(read.reading, rows, now)
        for run in announced:
            self._announce(run, now, "sweep")
        if sweep.is_under_way(read.lane, read.reading):
            for run in sweep.turned(read.lane, read.reading.take(rows, next_token), now):
                if run.stage is Stage.RESTING:
                    self._put(run, now)
        self._health_may_have_changed(sweep, was_good=was_good)
        return strangers

    def list_failed(self, read: ReadPage, trouble: Trouble | None, now: float, wait: float = 0.0) -> None:
        """A page could not be read.

        Args:
            read: which.
            trouble: what that says about the list; None when every request is refused, and not this one.
            now: the time.
            wait: seconds until the list may be asked again, at least.
        """
        sweep = self._sweeps[read.run_type]
        was_good = sweep.health.good
        if sweep.is_under_way(read.lane, read.reading):
            sweep.failed(read.lane, trouble, now, wait)
        self._health_may_have_changed(sweep, was_good=was_good)

    def _health_may_have_changed(self, sweep: Sweep[RunT], *, was_good: bool) -> None:
        # When it is good again nothing is to be done: polling a run ends when its time comes.
        if was_good and not sweep.health.good:
            self._to_poll.extend(sweep.give_up())

    def _move_some(self, now: float) -> None:
        """To the polls, from resting or from longer waits, not all in one step: there may be 50,000."""
        for _ in range(min(MOVED_AT_ONCE, len(self._to_poll))):
            run = self._to_poll.popleft()
            if run.stage in (Stage.RESTING, Stage.POLLED) and self.is_followed(run):
                self._poll(run, now, self._random())

    # ---- what came of it: looks ------------------------------------------------------------------------------

    def looked(self, run: RunT, now: float) -> None:
        """A look showed that the run is still open."""
        if not self.is_followed(run):
            return
        run.seen, run.looked, run.open_ms = now, now, run.asked_ms
        run.alarms += run.via == "sweep"
        run.false_rings += run.via == "webhook"
        if run.rung or (run.via == "sweep" and run.alarms <= MOST_FALSE_ALARMS):
            run.stage = Stage.RESTING
            self._announce(run, now, run.announced_via)
        else:
            self._rest(run, now)

    def again_at(self, run: RunT, due: float) -> None:
        """A look said nothing about the run; the next one is then."""
        if not self.is_followed(run):
            return
        if run.via != "poll":
            run.stage = Stage.ANNOUNCED
            self._announced.put(run, due)
        else:
            self._put(run, due)

    def ended(self, run: RunT, ended_ms: int | None, now: float, api_ms: float, status: str | None = None) -> None:
        """A look showed the end.

        Args:
            run: the run; it is forgotten.
            ended_ms: when it ended, on the API's clock, if that is known.
            now: the time.
            api_ms: now, on the API's clock.
            status: what it came to; None when it is we who end it.
        """
        sweep = self._sweep_of(run)
        if not sweep.runs.has(run):
            return
        sweep.expect(run, ended_ms, now)
        self.forget(run)
        ended_at = now if ended_ms is None else min(now, now - (api_ms - ended_ms) / 1000)
        owned = not run.late or ended_at >= run.followed
        if owned and status is not None and has_event(run.run_type, status):
            self._doorbells.ended(run.route, run.run_id, ended_at=ended_at, rang_at=run.rang, now=now)
            self._heed()

    def _heed(self) -> None:
        """Runs that were polled seldom, because doorbells told, go back to their own times when they do not tell."""
        for turn in self._doorbells.turns():
            self._turns.append(turn)
            if turn.bell is not Bell.RINGING:
                runs = (run for sweep in self._sweeps.values() for run in sweep.runs.by_id.values())
                self._to_poll.extend(run for run in runs if run.route == turn.route and run.stage is Stage.POLLED)

    def _announce(self, run: RunT, now: float, via: Via) -> None:
        if run.stage is not Stage.ANNOUNCED:
            run.announced_via = via
        if run.stage is Stage.LOOKED_AT:
            run.rung = True  # that look may have been answered before
        elif run.stage is Stage.ANNOUNCED:
            return
        elif via == "sweep" and run.alarms > MOST_FALSE_ALARMS:
            if run.stage is Stage.RESTING:
                self._put(run, now + DISTRUSTED_SECONDS)
        else:
            run.stage = Stage.ANNOUNCED
            self._announced.put(run, now + _wait_after_false(run, via))

    def _rest(self, run: RunT, now: float) -> None:
        """Until a row announces the run, its backstop, or the end of ``max_wait_ms``; or its next poll."""
        if run.polled or not self._sweep_of(run).health.good:
            self._poll(run, now)
            return
        run.stage = Stage.RESTING
        backstop = REVIEW_BACKSTOP_SECONDS if run.in_review else BACKSTOP_SECONDS
        # From the last look and not from now: a list that is in and out of trouble must not put it off for ever.
        self._timed.put(run, min(run.looked + backstop * (1 + self._random()), self._limit(run)))

    def _limit(self, run: RunT) -> float:
        """When somebody wants to hear that the run takes too long."""
        limit = self._options.max_wait_ms
        return inf if limit is None or run.overdue or run.in_review else run.since + limit / 1000

    def _put(self, run: RunT, due: float) -> None:
        run.stage = Stage.TIMED
        self._timed.put(run, due)

    def _poll(self, run: RunT, now: float, part: float = 1.0) -> None:
        """Look at the run again by the clock, after a part of the time that it wants to wait; no later than before."""
        wish = self.wish(run, now)
        rest = self._doorbells.rest(run.route) * (1 + 0.25 * self._random())
        due = min(now + max(wish, rest) * part, max(now + wish, self._limit(run)))
        run.poll_due = min(due, run.poll_due) if run.stage is Stage.POLLED else due
        run.stage = Stage.POLLED
        self._timed.put(run, run.poll_due)

    def wish(self, run: RunT, now: float) -> float:
        """Seconds until the run wants to be looked at again by the clock."""
        u = 2 * self._random() - 1
        if run.in_review:
            return self._review_interval * (1 + 0.25 * u)
        return delay_ms(self._options, (now - run.since) * 1000, u) / 1000

    # ---- what can be seen ------------------------------------------------------------------------------------

    def states(self, now: float) -> dict[str, ListState]:
        """How the runs of each type are followed; types that were never in use are missing."""
        return {
            run_type: ListState(len(sweep.runs.by_id), sweep.health.trouble, sweep.health.lag(now), sweep.is_stretched)
            for run_type, sweep in self._sweeps.items()
        }

    def turns(self) -> list[Turn]:
        """Which doorbells are relied on since this was asked last, or are not any more."""
        turns = list(self._turns)
        self._turns.clear()
        return turns

    def due_count(self, now: float) -> int:
        """How many runs are due and wait for tokens."""
        waiting = 0
        for schedule in (self._announced, self._timed):
            due = schedule.next_due()
            if due is not None and due < now:
                waiting += schedule.due_count(now)
        return waiting

    def _sweep_of(self, run: RunT) -> Sweep[RunT]:
        sweep = self._sweeps.get(run.run_type)
        if sweep is None:
            sweep = Sweep(run.run_type, self._doorbells, self._sweep_interval, self._review_interval)
            self._sweeps[run.run_type] = sweep
        return sweep


def _wait_after_false(run: OpenRun, via: Via) -> float:
    """Seconds until an announced run is looked at, after announcements of its kind that its look did not confirm."""
    false = run.alarms if via == "sweep" else run.false_rings
    wait = FALSE_ALARM_SECONDS * 2.0 ** (false - 1) if false else 0.0
    return wait if via == "sweep" else min(wait, MOST_WAIT_AFTER_RINGS)


def _yields(lane: Lane) -> float:
    return 0.0 if lane.purpose is Purpose.REGULAR else YIELDING_SECONDS
