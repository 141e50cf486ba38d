"""How many runs a backlog comes to, and how long their starts take, from a sample of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from connector.core.entry import Request


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast starts may be.

    Attributes:
        run: starts per second, or None for no limit.
        files_per_minute: files per minute, or None for no limit; a start counts as one.
    """

    run: float | None
    files_per_minute: float | None

    @property
    def starts_per_second(self) -> float | None:
        """What the tighter of the two allows; None without limits."""
        limits = [self.run, None if self.files_per_minute is None else self.files_per_minute / 60]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def limit(self) -> str:
        """The tighter of the two, in words."""
        if self.starts_per_second is None:
            return "no limit"
        return "starts per second" if self.starts_per_second == self.run else "files per minute"

    def seconds(self, runs: int) -> float | None:
        """How long so many starts take; None without limits."""
        return None if self.starts_per_second is None else runs / self.starts_per_second


@dataclass(frozen=True, slots=True)
class Share:
    """One outcome: what was counted, and what that is of the whole.

    Attributes:
        outcome: ``run``, ``dead_letter`` or ``skipped``.
        route: the route's name; None for what becomes no run.
        run_type: the run type; None for what becomes no run.
        reason: why it becomes no run, else None.
        sampled: records of the sample.
        expected: records of the whole.
        seconds: how long the starts take, None for what becomes no run, and without limits.
    """

    outcome: str
    route: str | None
    run_type: str | None
    reason: str | None
    sampled: int
    expected: int
    seconds: float | None


@dataclass(slots=True)
class Tally:
    """What was seen of a sample."""

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    @property
    def sampled(self) -> int:
        """Records so far."""
        return self.runs.total() + self.dead.total() + self.skipped

    def run(self, request: Request) -> None:
        """A record becomes a run."""
        self.runs[request.route, request.run_type] += 1

    def forecast(self, total: int, pace: Pace) -> Iterator[Share]:
        """Every outcome, runs first, the most frequent first.

        Args:
            total: records of the whole, of which the sample is a part.
            pace: how fast starts may be.
        """
        whole = total / self.sampled if self.sampled else 0.0
        for (route, run_type), count in self.runs.most_common():
            expected = round(count * whole)
            yield Share("run", route, run_type, None, count, expected, pace.seconds(expected))
        for reason, count in self.dead.most_common():
            yield Share("dead_letter", None, None, reason, count, round(count * whole), None)
        if self.skipped:
            yield Share("skipped", None, None, "tombstone", self.skipped, round(self.skipped * whole), None)
