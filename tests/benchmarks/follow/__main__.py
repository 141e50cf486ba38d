"""``make bench-follow``: policies of following side by side; the tables go into docs/performance.md."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from connector.config.extend import PLANS
from tests.benchmarks.follow import matrix, real, report
from tests.benchmarks.follow.matrix import POLICIES, Cell
from tests.benchmarks.follow.trial import play
from tests.benchmarks.machine import machine
from tests.kafka.cluster import KafkaCluster

SEED = 5


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write the page."""
    parser = ArgumentParser(prog="make bench-follow", description="How runs are followed: policies side by side.")
    parser.add_argument("--minutes", type=float, default=4.0, help="of arrivals in each real cell (default: 4)")
    parser.add_argument("--virtual-only", action="store_true", help="no real cells: their table stays as it is")
    parser.add_argument("--real-only", action="store_true", help="only the real cells")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of everything that is drawn (default: {SEED})")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="the page with the markers")
    parser.add_argument("--folder", type=Path, help="for logs; by default a temporary one, which stays")
    chosen = parser.parse_args(arguments)
    if not chosen.real_only:
        _write(chosen.page, "virtual", _virtual(chosen.seed) + _made_by(f"SEED={chosen.seed} ARGS=--virtual-only"))
    if not chosen.virtual_only:
        folder = chosen.folder or Path(tempfile.mkdtemp(prefix="bench-follow-"))
        _say(f"Logs are in {folder}.")
        how = f"MINUTES={chosen.minutes:g} SEED={chosen.seed} ARGS=--real-only"
        _write(chosen.page, "real", _real(folder, chosen.minutes, chosen.seed) + _made_by(how))
    return 0


def _virtual(seed: int) -> str:
    parts: tuple[tuple[str, Callable[[int], Iterable[Cell]], Callable[[Iterable[report.Measured]], str]], ...] = (
        ("Every plan, one run type, one replica:", matrix.base, report.side_by_side),
        (
            f"The sweep (c) with runs of {matrix.MEDIAN:g} s (median), one difference at a time:",
            matrix.differences,
            report.differing,
        ),
        (f"{matrix.MANY:,} open runs, which take hours:", matrix.many, report.side_by_side),
    )
    return "\n\n".join(f"{title}\n\n{show(_played(cells(seed)))}" for title, cells, show in parts)


def _played(cells: Iterable[Cell]) -> Iterator[report.Measured]:
    for cell in cells:
        begun = time.process_time()
        outcome = cell.play()
        cpu = time.process_time() - begun
        _say(f"{cell.plan}, {cell.what}, ({cell.policy}): mean {outcome.mean:.2f} s; computed in {cpu:.1f} s")
        yield cell, outcome


def _real(folder: Path, minutes: float, seed: int) -> str:
    rows: list[tuple[str, ...]] = []
    with KafkaCluster(folder=folder / "kafka") as kafka:
        for plan in PLANS:
            _say(f"{plan}: {minutes:g} min of arrivals, and the rest of the runs")
            sdk, worker = real.play(kafka, f"follow-{plan}", folder / plan, plan=plan, minutes=minutes, seed=seed)
            twin = real.twin(plan, minutes, seed)
            measured = report.for_real(plan, sdk, worker, {name: play(twin, make) for name, make in POLICIES.items()})
            _say("\n".join([" | ".join(row) for row in measured] + [f"the SDK raised {each}" for each in sdk.failures]))
            rows += measured
    return report.table(report.REAL_HEAD, rows)


def _made_by(how: str) -> str:
    return f"\n\n{machine()}. {datetime.now(UTC).date()}, `make bench-follow {how}`"


def _write(page: Path, name: str, text: str) -> None:
    _say(f"\n{text}\n")
    page.write_text(report.written(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
