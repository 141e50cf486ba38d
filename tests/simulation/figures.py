"""What many runs come to together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.scenario import Outcome

ENOUGH_FAULTS = 3
"""Faults that met open work in a scenario that counts."""


@dataclass(slots=True)
class Figures:
    """Sums.

    Attributes:
        scenarios: all of them.
        counted: those with at least ``ENOUGH_FAULTS`` faults on open work.
        faults: faults on open work, by kind.
        virtual_seconds: how long they would have taken.
        counts: what the checker counted.
    """

    scenarios: int = 0
    counted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    virtual_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.scenarios += 1
        self.counted += outcome.hits >= ENOUGH_FAULTS
        self.faults.update(fault.kind for fault in outcome.history.faults if fault.hit)
        self.virtual_seconds += outcome.virtual_seconds
        self.counts.update(outcome.verdict.counts)

    def merge(self, other: Figures) -> None:
        self.scenarios += other.scenarios
        self.counted += other.counted
        self.faults.update(other.faults)
        self.virtual_seconds += other.virtual_seconds
        self.counts.update(other.counts)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())
        what = ", ".join(f"{self.counts[name]} {name}" for name in ("inputs", "results", "runs", "parked"))
        return (
            f"{self.scenarios} scenarios, {self.counted} of them with at least {ENOUGH_FAULTS} faults on open work: "
            f"{self.faults.total()} faults ({kinds}), {what}, {self.virtual_seconds / 3600:.1f} virtual hours"
        )
