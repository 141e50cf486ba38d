"""Figures as a table for people, and the arithmetic behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tests.benchmarks.machine import machine


class Figures:
    """One benchmark's table. Nothing in it is asserted: a shared machine would fail tests for nothing."""

    def __init__(self, title: str, command: str) -> None:
        """An empty table.

        Args:
            title: what was measured, and how.
            command: what prints it again.
        """
        self._title = title
        self._command = command
        self._rows: list[tuple[str, str, str]] = []

    def add(self, what: str, value: str, goal: str = "") -> None:
        """One row.

        Args:
            what: the quantity.
            value: with its unit.
            goal: what it should be, where there is a goal.
        """
        self._rows.append((what, value, goal))

    def __str__(self) -> str:
        """The table, with the machine and the command."""
        rows = [("", "measured", "goal"), *self._rows]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(["", self._title, *(f"  {line}".rstrip() for line in lines), machine(), self._command, ""])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("nothing was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def quantile_of(before: Mapping[str, float], after: Mapping[str, float], metric: str, share: float) -> float:
    """A quantile of what a histogram without labels saw between two scrapes, straight lines inside its buckets.

    Returns:
        NaN when it saw nothing; the last bound when the quantile lies above it.
    """
    buckets = sorted(
        (float(name.partition('le="')[2].partition('"')[0]), value - before.get(name, 0.0))
        for name, value in after.items()
        if name.startswith(f"{metric}_bucket")
    )
    if not buckets or buckets[-1][1] <= 0:
        return math.nan
    wanted = share * buckets[-1][1]
    low_bound, low_count = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            if math.isinf(bound):
                return low_bound
            return low_bound + (bound - low_bound) * (wanted - low_count) / max(count - low_count, 1.0)
        low_bound, low_count = bound, count
    return low_bound


def counted(before: Mapping[str, float], after: Mapping[str, float], name: str, **labels: str) -> float:
    """How much a counter grew between two scrapes, over all series that carry these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value - before.get(series, 0.0)
        for series, value in after.items()
        if series.partition("{")[0] == name and all(each in series for each in wanted)
    )
