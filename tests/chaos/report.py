"""What a long run was, as a page: figures first, the verdict last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from connector.core.entry import State
from tests.chaos.chaos import Outcome
from tests.chaos.checker import Verdict
from tests.chaos.crew import EXIT
from tests.chaos.history import Document, join
from tests.chaos.schedule import BOUNCES, KILL, NETWORK, RESTART, STOP

_KINDS = (KILL, STOP, RESTART, *BOUNCES, *NETWORK, EXIT)


@dataclass(frozen=True, slots=True)
class Report:
    """A run and the verdict on it.

    Attributes:
        command: what repeats it.
        seconds: how long it took, everything included.
    """

    command: str
    seconds: float
    outcome: Outcome
    verdict: Verdict

    @property
    def kept(self) -> bool:
        """Every promise was kept, and no worker ended in a way that no fault explains."""
        return not (self.verdict.violations or self.outcome.surprises or self.outcome.unknown)

    def __str__(self) -> str:
        outcome, history = self.outcome, self.outcome.history
        hits = Counter(fault.kind for fault in history.faults if fault.hit)
        every = Counter(fault.kind for fault in history.faults)
        lines = [
            "# Chaos",
            "",
            f"`{self.command}`, {self.seconds / 60:.1f} min with start, tail and drain.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {what} | {count} |" for what, count in self.verdict.counts.items()),
            *(f"| {what} | {count} |" for what, count in self._unclear().items()),
            f"| take-over after SIGKILL | {_spread(outcome.takeovers)} |",
            f"| SIGTERM to exit | {_spread([round(1000 * each.seconds) for each in outcome.leavings])} |",
            f"| drained after the last fault | {outcome.drain_seconds:.0f} s |",
            "",
            "| fault | times | met open work |",
            "|---|---|---|",
            *(f"| {kind} | {every[kind]} | {hits[kind]} |" for kind in _KINDS),
            "",
        ]
        if outcome.unknown:
            lines.append(f"{outcome.unknown} references have no acknowledgement.")
        lines += [f"Not explained: {surprise}" for surprise in outcome.surprises]
        lines.append(f"Verdict: {self.verdict}")
        return "\n".join(lines)

    def _unclear(self) -> dict[str, int]:
        documents = join(self.outcome.history).documents
        parked = [d for d in documents if any(entry.state == State.PARKED for entry in d.entries)]
        return {
            "results of runs that were looked up": sum(
                r.observed_via == "adopted" for r in self.outcome.history.results
            ),
            "creates that a fault withheld": len(self.outcome.history.withheld),
            "of these, created later": sum(bool(d.withheld and d.runs) for d in documents),
            "parked, and the API has no run": sum(not d.runs for d in parked),
            "of these, no create ever came": sum(_never_came(d) for d in parked),
        }


def _never_came(document: Document) -> bool:
    return not document.runs and not document.withheld


def _spread(milliseconds: Sequence[int]) -> str:
    if not milliseconds:
        return "none"
    ordered = [each / 1000 for each in sorted(milliseconds)]
    at = {
        name: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in (("median", 0.5), ("95 %", 0.95))
    }
    figures = ", ".join(f"{name} {value:.1f} s" for name, value in at.items())
    return f"{figures}, longest {ordered[-1]:.1f} s, of {len(ordered)}"
