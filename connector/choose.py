"""Which document is started next: the longest accepted first, then new records, fairly between partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.accept import Acceptor
from connector.core.entry import Entry
from connector.core.route_guard import RouteGuards
from connector.documents import Holding, Holdings


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be started next; with an offset it is a new record's."""

    holding: Holding
    entry: Entry
    next_offset: int | None = None


class Chooser:
    """Chooses; it starts nothing."""

    def __init__(self, holdings: Holdings, acceptor: Acceptor, guards: RouteGuards) -> None:
        """Take what is looked at: the open documents, the inboxes' room, and the routes that may start."""
        self._holdings = holdings
        self._acceptor = acceptor
        self._guards = guards
        self._turn = 0

    def next_trial(self, now: float) -> float | None:
        """Seconds until a stopped route may have its next trial."""
        # A trial that is due and finds no document needs no timer: the document that comes wakes us.
        trials = [guard.next_trial() for guard in self._guards]
        return min((at - now for at in trials if at is not None and at > now), default=None)

    def next(self, now: float, *, trial: bool) -> Candidate | None:
        """Accepted documents first, then new records; partitions in turn. For a trial the least tried one."""
        holdings = [holding for holding in self._holdings if not holding.settling]
        if not holdings:
            return None
        self._turn += 1
        turn = self._turn % len(holdings)
        in_turn = holdings[turn:] + holdings[:turn]

        candidates = self._candidates(in_turn, now, trial=trial)
        if trial:
            return min(candidates, key=lambda candidate: candidate.entry.attempts, default=None)
        return next(candidates, None)

    def _candidates(self, holdings: Sequence[Holding], now: float, *, trial: bool) -> Iterator[Candidate]:
        def may_start(entry: Entry) -> bool:
            return self._guards.of(entry.request.route).may_start(now)

        def on_trial(entry: Entry) -> bool:
            return trial or self._guards.of(entry.request.route).stopped

        for holding in holdings:
            entry = holding.next_ready(may_start, on_trial)
            if entry is not None:
                yield Candidate(holding, entry)
        if not self._acceptor.room():
            return
        for holding in holdings:
            head = holding.head
            if head is not None and may_start(head) and not holding.key_busy(head):
                yield Candidate(holding, head, holding.inbox[0].next_offset)
