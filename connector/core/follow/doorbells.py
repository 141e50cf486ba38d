"""Whether webhooks can be relied on, route by route: did a doorbell announce the runs that ended?

While they can, lists are read, and runs polled, as a safety net only; ``Following`` asks here how long it may rest. An
end was announced when its doorbell came before we found it, or within a grace after it: a list that is read each second
is often faster than a webhook. Doorbells that announced no end prove nothing, whoever sent them.

A lost doorbell thus costs the wait for the safety net, and when they stop, the first passes without them show it: one
is made soon after the last doorbell, whatever the safety interval is.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

GRACE_SECONDS = 10.0
"""How much later than the end its doorbell may come."""
WINDOW = 20
"""So many ends count."""
FEWEST_ENDS = 5
"""Nothing is said about fewer."""
RELIED_SHARE = 0.75
"""Doorbells are relied on from this share of announced ends ..."""
DOUBTED_SHARE = 0.5
"""... until it falls below this one. Between them lies what chance makes of one that is lost now and then."""
MISSES_IN_A_ROW = 2
"""So many ends since the last doorbell; one alone may be a lost webhook on a route where little ends ..."""
QUIET_SECONDS = 30.0
"""... and so long after it mean that they have stopped."""
CHECK_SECONDS = 20.0
"""So long after the last doorbell lists are read once before their time, to see whether anything ended without one."""
MOST_PENDING = 10_000
"""Ends whose doorbell may still come."""


class Bell(StrEnum):
    """What is known of a route's doorbells."""

    UNPROVEN = "unproven"
    """Too few ends were seen, or neither many nor few of them announced: full pace."""
    RINGING = "ringing"
    """They announce what ends."""
    SILENT = "silent"
    """Runs end and they do not announce them: full pace, and somebody should see to it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A route's doorbells are relied on from now on, or not any more.

    Attributes:
        route: its name.
        bell: what they are now.
        reason: ``announced``, ``few`` (of the last ends were announced) or ``quiet`` (none since a while).
        share: of the last ends, how many were announced.
    """

    route: str
    bell: Bell
    reason: str
    share: float


@dataclass(slots=True)
class _Route:
    """The doorbells of one route.

    Attributes:
        bell: what they are.
        ends: the last ends, each announced or not.
        rang_at: when the last doorbell came that announced one.
        missed: when the last runs ended that none announced.
    """

    bell: Bell = Bell.UNPROVEN
    ends: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    rang_at: float = -inf
    missed: deque[float] = field(default_factory=lambda: deque(maxlen=MISSES_IN_A_ROW))

    @property
    def share(self) -> float:
        return sum(self.ends) / len(self.ends) if self.ends else 0.0

    @property
    def is_missing(self) -> bool:
        return sum(ended_at > self.rang_at for ended_at in self.missed) == MISSES_IN_A_ROW

    @property
    def quiet_at(self) -> float:
        """When it turns silent unless something rings before."""
        return self.rang_at + QUIET_SECONDS if self.bell is Bell.RINGING and self.is_missing else inf

    def verdict(self, now: float) -> tuple[Bell, str]:
        if len(self.ends) >= FEWEST_ENDS and self.share < DOUBTED_SHARE:
            return Bell.SILENT, "few"
        if self.quiet_at <= now:
            return Bell.SILENT, "quiet"
        if len(self.ends) >= FEWEST_ENDS and self.share >= RELIED_SHARE and not self.is_missing:
            return Bell.RINGING, "announced"
        return self.bell, ""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An end whose doorbell may still come, until a deadline."""

    route: str
    ended_at: float
    deadline: float


class Doorbells:
    """The doorbells of all routes. Times are seconds on one monotonic clock."""

    def __init__(self, routes: Iterable[str] = (), safety_interval: float | None = None) -> None:
        """Nothing has rung yet.

        Args:
            routes: their names; others are added when a run of theirs ends.
            safety_interval: seconds between looks at what doorbells should announce; None does not count on any.
        """
        self._safety = safety_interval
        self._routes = {route: _Route() for route in routes} if safety_interval is not None else {}
        self._pending: dict[str, _Pending] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._turns: list[Turn] = []

    # ---- what happens ----------------------------------------------------------------------------------------

    def ended(self, route: str, run_id: str, *, ended_at: float, rang_at: float, now: float) -> None:
        """A run ended, and there is a webhook for that.

        Args:
            route: its route.
            run_id: the run.
            ended_at: when it ended at the API.
            rang_at: when a doorbell for it came last; -inf if none did.
            now: when we found that out.
        """
        if self._safety is None:
            return
        known = self._routes.setdefault(route, _Route())
        if rang_at >= ended_at - GRACE_SECONDS:
            self._announced(route, known, rang_at, now)
        elif ended_at + GRACE_SECONDS <= now:
            self._missed(route, known, ended_at, now)
        else:
            deadline = min(ended_at, now) + GRACE_SECONDS
            self._pending[run_id] = _Pending(route, ended_at, deadline)
            heapq.heappush(self._deadlines, (deadline, run_id))
            while len(self._pending) > MOST_PENDING:
                del self._pending[next(iter(self._pending))]

    def rang(self, run_id: str, now: float) -> bool:
        """A doorbell came; whether it is for an end that was found a moment ago."""
        pending = self._pending.pop(run_id, None)
        if pending is None:
            return False
        self._announced(pending.route, self._routes[pending.route], now, now)
        return True

    def settle(self, now: float) -> None:
        """Time has passed: doorbells that are too late by now do not come any more."""
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, run_id = heapq.heappop(self._deadlines)
            pending = self._pending.get(run_id)
            if pending is not None and pending.deadline == deadline:
                del self._pending[run_id]
                self._missed(pending.route, self._routes[pending.route], pending.ended_at, now)
        for route, known in self._routes.items():
            if known.quiet_at <= now:
                self._judge(route, known, now)

    def _announced(self, route: str, known: _Route, rang_at: float, now: float) -> None:
        known.ends.append(True)
        known.rang_at = max(known.rang_at, rang_at)
        self._judge(route, known, now)

    def _missed(self, route: str, known: _Route, ended_at: float, now: float) -> None:
        known.ends.append(False)
        known.missed.append(ended_at)
        self._judge(route, known, now)

    def _judge(self, route: str, known: _Route, now: float) -> None:
        bell, reason = known.verdict(now)
        if bell is not known.bell:
            known.bell = bell
            self._turns.append(Turn(route, bell, reason, known.share))

    # ---- what follows from it --------------------------------------------------------------------------------

    def next_due(self) -> float:
        """When ``settle`` has something to do; inf when it has not."""
        deadline = self._deadlines[0][0] if self._deadlines else inf
        return min(deadline, min((known.quiet_at for known in self._routes.values()), default=inf))

    def turns(self) -> list[Turn]:
        """What has turned since this was asked last."""
        turns, self._turns = self._turns, []
        return turns

    def rest(self, route: str) -> float:
        """Seconds that a run of a route need not be polled for; 0 at full pace."""
        known = self._routes.get(route)
        return self._safety or 0.0 if known is not None and known.bell is Bell.RINGING else 0.0

    def rest_until(self, routes: Iterable[str], since: float) -> float:
        """Until when a list need not be read that runs of these routes are in; -inf at full pace.

        Args:
            routes: those with open runs in it. One whose doorbells cannot be relied on sets the pace for all.
            since: when it was read last.
        """
        until = since + (self._safety or 0.0)
        for route in routes:
            known = self._routes.get(route)
            if known is None or known.bell is not Bell.RINGING:
                return -inf
            check = known.rang_at + CHECK_SECONDS
            if since < check:
                until = min(until, check)
        return until

    def bells(self) -> dict[str, tuple[Bell, float | None]]:
        """Each route's doorbells, and the share of its last ends that they announced; None before the first."""
        return {route: (known.bell, known.share if known.ends else None) for route, known in self._routes.items()}
