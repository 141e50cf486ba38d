"""A run that is followed: what is known of it between two looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Literal

from connector.core.run import Row
from connector.core.run_types import ends_review, is_terminal

Via = Literal["sweep", "webhook", "poll"]
"""What made a run due: a row of a list, a webhook, or its time."""


class Stage(Enum):
    """Where a run waits."""

    RESTING = auto()
    """The list will tell; its backstop is far away."""
    TIMED = auto()
    """It is looked at when its time comes."""
    POLLED = auto()
    """Likewise, because the list does not tell; unless that is good again by then."""
    ANNOUNCED = auto()
    """A row said that it ended, or a webhook that something about it changed."""
    LOOKED_AT = auto()
    """A GET is under way."""


@dataclass(slots=True, eq=False)
class OpenRun:
    """One open run.

    Attributes:
        run_id: the API's id.
        run_type: name of the run type.
        route: name of its route, whose doorbells announce it.
        began_ms: a time on the API's clock before which it cannot have changed.
        since: when following it began, on the monotonic clock; the polling schedule counts from there.
        in_review: its NEEDS_REVIEW is out, and only a person's decision counts.
        place: its newest place in a schedule; 0 while it has none.
        stage: where it waits.
        via: what made it due at the last look.
        followed: when it came to us, on the monotonic clock.
        seen: when a row or a look last showed it; at first when it came to us.
        looked: when the last look came to an answer; at first when it came to us.
        asked_ms: when the last look was sent, on the API's clock.
        open_ms: it was open then, on the API's clock, whatever rows say.
        sighted: a row showed it since it came to us.
        updated_ms: the newest ``updatedAt`` of its rows.
        announced: status and ``updatedAt`` of the row that announced its end; the same row says nothing new.
        alarms: announcements that the API's own GET did not confirm.
        announced_via: what announced it last.
        rung: it was announced while a look was under way.
        rang: when a doorbell for it came last.
        false_rings: doorbells that the API's own GET did not confirm.
        late: it came to us long after its start, so that an end before that was nobody's to hear.
        poll_due: when it is looked at, while it is ``POLLED``.
        polled: the list does not show it, so it is looked at by its time.
        failures: looks in a row that failed.
        overdue: ``max_wait_ms`` is over and was reported.
    """

    run_id: str
    run_type: str
    began_ms: float
    since: float
    in_review: bool = False
    route: str = ""
    place: int = 0
    stage: Stage = Stage.TIMED
    via: Via = "poll"
    followed: float = 0.0
    seen: float = 0.0
    looked: float = 0.0
    asked_ms: float = -inf
    open_ms: float = -inf
    sighted: bool = False
    updated_ms: float = -inf
    announced: tuple[str, int | None] | None = None
    alarms: int = 0
    announced_via: Via = "sweep"
    rung: bool = False
    rang: float = -inf
    false_rings: int = 0
    late: bool = False
    poll_due: float = 0.0
    polled: bool = False
    failures: int = 0
    overdue: bool = False

    def __post_init__(self) -> None:
        """When it began it was open."""
        self.open_ms = self.began_ms

    def is_ended_by(self, status: str) -> bool:
        """Whether a status is the end that is waited for."""
        return ends_review(status) if self.in_review else is_terminal(status)

    def is_announced_by(self, row: Row) -> bool:
        """Whether a row says that the run ended and did not say it before."""
        told = (row.status, row.updated_ms)
        if not self.is_ended_by(row.status) or told == self.announced:
            return False
        self.announced = told
        return True
