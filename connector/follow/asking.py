"""What following asks of the API, and when nothing may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.core.entry import Entry
from connector.core.follow.open_run import OpenRun
from connector.core.run import Page, Run
from connector.documents import Holding

FORBIDDEN_SECONDS = 30.0
"""How long following rests when the API refuses our key, or does not know most of our runs."""


class FollowClient(Protocol):
    """The part of the API client that following needs; see ``connector.client``."""

    @property
    def api_clock_offset(self) -> float:
        """Seconds that the API's clock is ahead of ours."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""

    async def page(self, run_type: str, *, token: str | None = None, status: str | None = None) -> Page:
        """One page of a list, what changed last first."""


@dataclass(slots=True, eq=False, kw_only=True)
class Followed(OpenRun):
    """An open run and its document.

    Attributes:
        holding: the assignment that owns it.
        entry: the document, ``started`` or ``review``.
    """

    holding: Holding
    entry: Entry


class Hold:
    """Nothing at all is asked until it is over, or there is another key.

    It is no part of the token bucket, whose waits have other reasons that a new key does not mend.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._until = 0.0

    def left(self, now: float) -> float:
        """Seconds until it is over."""
        return max(0.0, self._until - now)

    def extend(self, now: float, seconds: float) -> None:
        """Ask nothing for so long."""
        self._until = max(self._until, now + seconds)
        self._metrics.api_throttled_seconds.labels(source="retry_after").inc(seconds)

    def end(self) -> None:
        """There is a new key."""
        self._until = 0.0
