"""One reading of a run type's list, page after page: how far it goes, and whether the list can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from math import inf

from connector.core.run import Row

ORDER_SLACK_MS = 1_000.0
"""A later row may be so much newer and still count as in order: the API's servers have clocks of their own."""


class Purpose(Enum):
    """Why a list is read."""

    REGULAR = auto()
    """What changed since the last time?"""
    CATCH_UP = auto()
    """What changed before we knew that a run is ours?"""
    REVIEWS = auto()
    """Which runs still wait for a person?"""


class Progress(Enum):
    """What a page means for the pass."""

    MORE = auto()
    DONE = auto()
    SHORT = auto()
    """As many pages were read as it may cost."""
    ENDLESS = auto()
    """The tokens go round in circles."""
    DISORDERED = auto()
    """The rows are not in the order that was asked for."""


@dataclass(slots=True, eq=False)
class ListPass:
    """One reading of a list.

    Attributes:
        purpose: why.
        begun: when, on the monotonic clock.
        begun_ms: when, on the API's clock.
        not_before_ms: how far back it goes, on the API's clock.
        most_pages: how many pages it may cost.
        sorted: the rows come by ``updatedAt``, the newest first. Otherwise only ``createdAt`` says how far back a page
            is, and a page says nothing about those that follow unless all of its rows are too old.
        token: of the page that is next; None for the first.
        pages: how many were read.
        newest_ms: the newest ``updatedAt``, or None.
        oldest_ms: the oldest time of the newest rows of a page: what the pass has covered.
    """

    purpose: Purpose
    begun: float
    begun_ms: float
    not_before_ms: float
    most_pages: int
    sorted: bool = True
    token: str | None = None
    pages: int = 0
    newest_ms: float | None = None
    oldest_ms: float = inf
    _tokens: set[str] = field(default_factory=set)

    def take(self, rows: Sequence[Row], next_token: str | None) -> Progress:
        """The next page came."""
        self.pages += 1
        shown = [row.updated_ms for row in rows if row.updated_ms is not None]
        if shown:
            self.newest_ms = max(*shown, self.newest_ms or -inf)
        if self.sorted and self.purpose is not Purpose.REVIEWS and _is_disordered(shown):
            return Progress.DISORDERED
        if next_token is None or self._is_far_enough(rows, shown):
            return Progress.DONE
        if next_token in self._tokens:
            return Progress.ENDLESS
        if self.pages >= self.most_pages:
            return Progress.SHORT
        self._tokens.add(next_token)
        self.token = next_token
        return Progress.MORE

    def _is_far_enough(self, rows: Sequence[Row], shown: Sequence[int]) -> bool:
        times = shown if self.sorted else [row.created_ms for row in rows if row.created_ms is not None]
        if not times or (not self.sorted and len(times) < len(rows)):
            return False
        older = sum(time < self.not_before_ms for time in times)
        if self.sorted:
            # Two rows and not one: a single row with a wrong time must not hide what follows it.
            self.oldest_ms = min(self.oldest_ms, sorted(times)[min(1, len(times) - 1)])
            return older >= min(2, len(times))
        self.oldest_ms = min(self.oldest_ms, max(times))
        return older == len(times)


def _is_disordered(times: Sequence[int]) -> bool:
    """Whether rows are not sorted; one with a wrong time among many is no reason to say so."""
    rises = sum(later > earlier + ORDER_SLACK_MS for earlier, later in pairwise(times))
    return rises > max(1, len(times) // 10)
