"""The API of a trial: what a GET and a page of a list say, and the refusal of what is too much.

Which page a list gives, and that rows move while somebody pages, is as in ``connector.simulator``; its limiter is used
as it is. Nothing here takes a decision that a policy under test takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from connector.core.run import Page, Row
from connector.core.run_types import RUN_TYPES
from connector.simulator.limits import Limiter
from connector.simulator.refusals import Refusal
from connector.simulator.settings import Limits
from tests.benchmarks.follow.runs import TrialRun

ROUND_TRIP = 0.15
PAGE = 100
EPOCH_MS = 1_790_000_000_000
"""What a policy that reads clocks takes the instant 0 for."""
RETRY_AFTER = 1.0
"""Seconds that a 429 asks for: the simulated API's own ``Retry-After``."""


class Refused(Exception):  # noqa: N818 - an answer, and no error
    """429."""


class _Update(NamedTuple):
    """A row's move to the top of its list."""

    at: float
    run: TrialRun
    status: str
    superseded: float


@dataclass(slots=True)
class Counts:
    """What was asked in a stretch of time.

    Attributes:
        gets: requests, lists included, refused ones not.
        lists: pages of lists among them.
        refused: requests that were answered with 429.
    """

    gets: int = 0
    lists: int = 0
    refused: int = 0


class Api:
    """Answers for the instant at which a request arrives, half a round trip after it was sent.

    All requests take the same time, so their order is that in which they are sent, and an answer can be computed then.
    """

    def __init__(self, runs: Sequence[TrialRun], *, per_second: int, lag: float = 0.0) -> None:
        """An API that knows all that will happen.

        Args:
            runs: every run, those of other clients too.
            per_second: reads that it lets through in any one second.
            lag: seconds after which a list shows a change.
        """
        self.counts = Counts()
        self._limiter = Limiter(Limits(get=per_second))
        self._lag = lag
        self._updates = _updates(runs)
        self._rows: dict[int, Row] = {}

    def has_ended(self, run: TrialRun, now: float) -> bool:
        """One GET that is sent now.

        Raises:
            Refused: 429.
        """
        arrives = self._arrive(now)
        return run.ended <= arrives

    def page(self, run_type: str, now: float, token: str | None = None) -> Page:
        """One page of a list that is asked for now: newest update first, or newest run where a list has no order.

        Args:
            run_type: whose list.
            now: when it is sent.
            token: of the page before, or None.

        Raises:
            Refused: 429.
        """
        shown = self._arrive(now) - self._lag
        self.counts.lists += 1
        # A page begins where the one before ended: what moved up meanwhile is not seen, as at the simulated API.
        updates = self._updates.get(run_type, [])
        order = _order(run_type)
        place = bisect_right(updates, shown, key=order) if token is None else int(token)
        rows: list[Row] = []
        while place > 0:
            update = updates[place - 1]
            if update.at <= shown < update.superseded:
                if len(rows) == PAGE:
                    return Page(tuple(rows), str(bisect_right(updates, order(update), key=order)))
                rows.append(self._row(update))
            place -= 1
        return Page(tuple(rows))

    def _arrive(self, now: float) -> float:
        arrives = now + ROUND_TRIP / 2
        try:
            self._limiter.admit("GET", arrives)
        except Refusal as refusal:
            self.counts.refused += 1
            raise Refused from refusal
        self.counts.gets += 1
        return arrives

    def _row(self, update: _Update) -> Row:
        row = self._rows.get(id(update))
        if row is None:
            run = update.run
            row = Row(
                run.id,
                run.run_type,
                update.status,
                tag=None,
                created_ms=_epoch_ms(run.created),
                updated_ms=_epoch_ms(update.at),
            )
            self._rows[id(update)] = row
        return row


def _order(run_type: str) -> Callable[[_Update], float]:
    return _at if RUN_TYPES[run_type].sortable else _created


def _at(update: _Update) -> float:
    return update.at


def _created(update: _Update) -> float:
    return update.run.created


def _epoch_ms(at: float) -> int:
    return EPOCH_MS + int(at * 1000)


def _updates(runs: Sequence[TrialRun]) -> dict[str, list[_Update]]:
    updates: dict[str, list[_Update]] = {}
    for run in runs:
        updates.setdefault(run.run_type, []).extend(
            (
                _Update(run.created, run, "PROCESSING", run.moved),
                _Update(run.moved, run, "PROCESSING", run.ended),
                _Update(run.ended, run, "PROCESSED", float("inf")),
            )
        )
    for run_type, each in updates.items():
        each.sort(key=_order(run_type))
    return updates
