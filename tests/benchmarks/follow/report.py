"""The tables of docs/performance.md, and where they stand there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.follow.matrix import SDK, SWEEP, Cell
from tests.benchmarks.follow.real import Real
from tests.benchmarks.follow.trial import Outcome

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"

Measured = tuple[Cell, Outcome]


def side_by_side(measured: Iterable[Measured]) -> str:
    """A row for each policy in each situation."""
    head = ("plan", "median", "open", "policy", "p50", "p99", "mean", "GETs per run", "429s per run")
    rows = []
    before: tuple[str, str] | None = None
    for cell, outcome in measured:
        here = (cell.plan, cell.what)
        first = (f"`{cell.plan}`", cell.what, f"{outcome.open_runs:,}") if here != before else ("", "", "")
        before = here
        rows.append((*first, f"({cell.policy})", *_delays(outcome), *_requests(outcome)))
    return table(head, rows)


def differing(measured: Iterable[Measured]) -> str:
    """A row for each difference, the plans beside each other."""
    rows: dict[str, dict[str, Outcome]] = {}
    for cell, outcome in measured:
        rows.setdefault(cell.what, {})[cell.plan] = outcome
    plans = list(dict.fromkeys(plan for outcomes in rows.values() for plan in outcomes))
    head = ("difference", *(f"`{plan}`: p50, p99, mean; GETs; 429s" for plan in plans))
    return table(head, [(what, *(_short(outcomes[plan]) for plan in plans)) for what, outcomes in rows.items()])


def for_real(plan: str, sdk: Real, worker: Real, virtual: Mapping[str, Outcome]) -> list[tuple[str, ...]]:
    """The rows of one plan: measured ones, and under them what virtual time says about the same."""
    rows: list[tuple[str, ...]] = []
    for who, policy, real in (("official SDK", SDK, sdk), ("worker", SWEEP, worker)):
        runs = len(real.delays)
        found = f"{runs} of {runs + len(real.failures)}" if real.failures else str(runs)
        rows.append(
            (
                *(f"`{plan}`", who, found, seconds(real.delay(0.5)), seconds(real.delay(0.99)), seconds(real.mean)),
                *(f"{real.gets / runs:.2f}", _few(real.refused / runs)),
                *(f"{1000 * real.cpu / runs:.0f} s", f"{real.memory / 1e6:.0f} MB"),
            )
        )
        outcome = virtual[policy]
        rows.append(
            ("", f"({policy}), virtual", str(len(outcome.delays)), *_delays(outcome), *_requests(outcome), "", "")
        )
    return rows


REAL_HEAD = (
    *("plan", "who", "runs", "p50", "p99", "mean", "GETs per run", "429s per run"),
    *("CPU per 1,000 runs", "memory"),
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|" for cells in lines)


def written(page: str, name: str, text: str) -> str:
    """The page with a text between the markers of this name, and everything else as it was.

    Raises:
        ValueError: the page has not exactly one pair of these markers.
    """
    begin, end = (f"<!-- make bench-follow writes from here: {name} -->", f"<!-- to here: {name} -->")
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs one line {begin!r}, and after it one {end!r}")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def seconds(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:.2f}" if value < 9.95 else f"{value:,.0f}"


def _delays(outcome: Outcome) -> tuple[str, str, str]:
    return (_quantile(outcome, 0.5), _quantile(outcome, 0.99), _mark(outcome.mean, outcome.at_least is not None))


def _requests(outcome: Outcome) -> tuple[str, str]:
    return (f"{outcome.gets_per_run:.2f}", _few(outcome.refused_per_run))


def _short(outcome: Outcome) -> str:
    return f"{', '.join(_delays(outcome))} s; {'; '.join(_requests(outcome))}"


def _quantile(outcome: Outcome, share: float) -> str:
    value = outcome.delay(share)
    # A run that was not found would have come even later.
    return _mark(value, value >= (math.inf if outcome.at_least is None else outcome.at_least))


def _mark(value: float, at_least: bool) -> str:  # noqa: FBT001
    return f"> {seconds(value)}" if at_least else seconds(value)


def _few(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}" if value < 10 else f"{value:.0f}"
