"""A model of the API's lists, honest or hostile, and a driver of ``Following`` on virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random
from typing import Literal

from connector.core.budgets.budget import TokenBucket
from connector.core.follow.doorbells import Doorbells
from connector.core.follow.follow_step import Look, ReadPage
from connector.core.follow.following import Following
from connector.core.follow.list_health import Trouble
from connector.core.follow.open_run import OpenRun, Via
from connector.core.follow.polling import PollingOptions
from connector.core.run import Page, Row
from connector.core.run_types import RUN_TYPES, is_terminal

START = 1_000.0
EPOCH_MS = 1_790_000_000_000.0


@dataclass(frozen=True)
class Manners:
    """How a list behaves.

    Attributes:
        lag: seconds by which it shows everything late.
        hidden: the share of runs that it never shows.
        order: what it sorts by.
        updated: what ``updatedAt`` holds.
        page: rows per page, whatever was asked for.
        repeats: rows stand twice.
        empty: every page is preceded by an empty one with a token.
        loops: the last page has the token of the first.
        odd: the share of runs whose rows show a status that nobody knows.
        lies: the share of runs whose rows say from the beginning that they ended.
        failing: the share of requests that fail, and how.
        frozen: it shows for ever what it showed at this instant.
        skips: the share of rows that a request leaves out.
    """

    lag: float = 0.0
    hidden: float = 0.0
    order: Literal["updated", "created", "shuffled"] = "updated"
    updated: Literal["right", "missing", "future", "wild", "hour"] = "right"
    page: int | None = None
    repeats: bool = False
    empty: bool = False
    loops: bool = False
    odd: float = 0.0
    lies: float = 0.0
    failing: float = 0.0
    trouble: Trouble | None = Trouble.UNAVAILABLE
    frozen: float = inf
    skips: float = 0.0


@dataclass
class ModelRun:
    """A run at the API.

    Attributes:
        changes: its statuses and from when it has each.
    """

    id: str
    run_type: str
    created: float
    changes: list[tuple[float, str]]
    draw: float = 0.0
    route: str = "documents"

    def status(self, now: float) -> tuple[float, str]:
        return [change for change in self.changes if change[0] <= now][-1]

    @property
    def end(self) -> float:
        return next((at for at, status in self.changes if is_terminal(status)), inf)


@dataclass
class Found:
    """A run whose end was found."""

    run: ModelRun
    at: float
    via: Via


@dataclass
class World:
    """One process that follows runs."""

    manners: Manners = field(default_factory=Manners)
    rate: float | None = 20.0
    interval: float | None = 1.0
    options: PollingOptions = field(default_factory=PollingOptions)
    seed: int = 0
    clock_error: float = 0.0
    round_trip: float = 0.1
    safety: float | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.now = START
        self.budget = TokenBucket(self.rate)
        self.doorbells = Doorbells(safety_interval=self.safety)
        self.following: Following[OpenRun] = Following(
            options=self.options,
            sweep_interval=self.interval,
            review_interval=300.0,
            get_interval=lambda: self.budget.interval,
            random=self.random.random,
            doorbells=self.doorbells,
        )
        self.runs: dict[str, ModelRun] = {}
        self.open: dict[str, OpenRun] = {}
        self.found: dict[str, Found] = {}
        self.rings: list[tuple[float, str]] = []
        self.gets: list[tuple[float, str]] = []
        self.pages: list[tuple[float, str]] = []
        self.strangers: list[Row] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)

    # ---- what happens ------------------------------------------------------------------------------------------

    def start(
        self,
        lasts: float,
        *,
        at: float | None = None,
        run_type: str = "extract",
        known_after: float = 0.3,
        restored_at: float | None = None,
        ours: bool = True,
        route: str = "documents",
        then: tuple[tuple[float, str], ...] = (),
    ) -> ModelRun:
        """A run is bought, ends, and we know of it soon, or when we are restored."""
        number = next(self._numbers)
        created = self.now if at is None else at
        end = "PROCESSED" if number % 4 else "FAILED"
        changes = [(created, "PENDING"), (created + lasts * 0.2, "PROCESSING"), (created + lasts, end)]
        if then:
            changes = [*changes[:2], *((created + after, status) for after, status in then)]
        run = ModelRun(f"run_{number}", run_type, created, changes, self.random.random(), route)
        self.runs[run.id] = run
        if ours:
            known = created + known_after if restored_at is None else restored_at
            self.later(known, lambda: self.follow(run, restored=restored_at is not None))
        return run

    def follow(self, run: ModelRun, *, restored: bool = False, in_review: bool = False) -> None:
        began_ms = self._api_ms(run.created) - 20_000.0 + self.clock_error * 1000
        followed = OpenRun(run.id, run.run_type, began_ms, run.created if restored else self.now, in_review, run.route)
        self.open[run.id] = followed
        self.following.follow(followed, self.now, self.api_ms, restored=restored)

    def rang(self, run: ModelRun) -> None:
        self.rings.append((self.now, run.id))
        self.following.ring(run.id, self.now)

    def later(self, at: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), call))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        over = self.now + seconds
        while not until():
            self._send_what_may()
            wait = self.following.wait(self.now)
            at = min(self._events[0][0] if self._events else inf, inf if wait is None else self._free_at(wait))
            if at > over:
                self.now = over
                return
            self.now = max(self.now, at)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def _free_at(self, wait: float) -> float:
        return self.now + max(wait, self.budget.wait(self.now), 0.001)

    def _send_what_may(self) -> None:
        while self.following.wait(self.now) == 0 and self.budget.wait(self.now) == 0:
            step = self.following.next(self.now, self.api_ms)
            if step is None:
                return
            self.budget.take(self.now)
            if isinstance(step, Look):
                self._get(step)
            else:
                self._list(step)

    @property
    def api_ms(self) -> float:
        """What we take for the API's clock."""
        return self._api_ms(self.now) + self.clock_error * 1000

    @staticmethod
    def _api_ms(at: float) -> float:
        return EPOCH_MS + at * 1000

    # ---- the API -----------------------------------------------------------------------------------------------

    def _get(self, look: Look[OpenRun]) -> None:
        self.gets.append((self.now, look.run.run_id))
        run = self.runs[look.run.run_id]
        served = self.now + self.round_trip / 2

        def answered() -> None:
            changed, status = run.status(served)
            if not self.following.is_followed(look.run):
                return
            if not look.run.is_ended_by(status):
                limit = self.options.max_wait_ms
                look.run.overdue |= limit is not None and self.now - look.run.since >= limit / 1000
                self.following.looked(look.run, self.now)
                return
            assert run.id not in self.found or look.run.in_review, "found twice"
            self.found[run.id] = Found(run, self.now, look.via)
            self.following.ended(look.run, round(self._api_ms(changed)), self.now, self.api_ms, status)
            del self.open[run.id]

        self.later(self.now + self.round_trip, answered)

    def _list(self, read: ReadPage) -> None:
        self.pages.append((self.now, read.run_type))
        served = self.now + self.round_trip / 2
        if self.random.random() < self.manners.failing:
            call = lambda: self.following.list_failed(read, self.manners.trouble, self.now)  # noqa: E731
        else:
            page = self._page(read, served)
            call = lambda: self.strangers.extend(  # noqa: E731
                self.following.page(read, page.rows, page.next_token, self.now)
            )
        self.later(self.now + self.round_trip, call)

    def _page(self, read: ReadPage, served: float) -> Page:
        manners = self.manners
        if manners.empty and not (read.token or "").endswith("!"):
            return Page((), f"{read.token or 0}!")
        shown_at = min(served, manners.frozen) - manners.lag
        runs = [
            (*run.status(shown_at), run)
            for run in self.runs.values()
            if run.run_type == read.run_type and run.created <= shown_at and run.draw >= manners.hidden
        ]
        if read.status is not None:
            runs = [each for each in runs if each[1] == read.status]
        if manners.order == "shuffled":
            self.random.shuffle(runs)
        elif manners.order == "created" or not RUN_TYPES[read.run_type].sortable:
            runs.sort(key=lambda each: -each[2].created)
        else:
            runs.sort(key=lambda each: -each[0])
        size = manners.page or 100
        first = int((read.token or "0").rstrip("!"))
        rows = tuple(
            self._row(run, changed, status)
            for changed, status, run in runs[first : first + size]
            if not manners.skips or self.random.random() >= manners.skips
        )
        if manners.repeats:
            rows += rows
        last = first + size >= len(runs)
        if last:
            return Page(rows, "0" if manners.loops else None)
        return Page(rows, str(first + size))

    def _row(self, run: ModelRun, changed: float, status: str) -> Row:
        if run.draw > 1 - self.manners.odd:
            status = "TRANSMOGRIFIED"
        elif run.draw > 1 - self.manners.odd - self.manners.lies:
            status = "PROCESSED"
        updated: float | None = self._api_ms(changed)
        match self.manners.updated:
            case "missing":
                updated = None
            case "future":
                updated = self._api_ms(changed) + (86_400_000.0 if run.draw < 0.2 else 0.0)
            case "wild":
                updated = EPOCH_MS + self.random.uniform(-1e12, 1e12)
            case "hour":
                updated = self._api_ms(changed) - 3_600_000.0
            case "right":
                pass
        return Row(
            run.id,
            run.run_type,
            status,
            created_ms=round(self._api_ms(run.created)),
            updated_ms=None if updated is None else round(updated),
        )
