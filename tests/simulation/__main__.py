"""Runs seeds and says what came of them: ``python -m tests.simulation --seed N``."""

from __future__ import annotations

import argparse
import sys
import time

from connector.logs import silence
from tests.simulation.figures import Figures
from tests.simulation.planted import BUGS, planted
from tests.simulation.scenario import drawn, play


def main() -> int:
    """Play the seeds; 1 when one of them broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, with its history's hash")
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "LAST"), help="all from the first to the last")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this bug planted")
    asked = parser.parse_args()
    first, last = asked.seeds or (asked.seed or 0, asked.seed or 0)
    silence()
    began = time.process_time()
    figures, broken = Figures(), 0
    with planted(asked.bug):
        for seed in range(first, last + 1):
            outcome = play(drawn(seed))
            figures.add(outcome)
            if outcome.verdict.violations:
                broken += 1
                print(f"seed {seed}: {outcome.verdict}\nrepeat it: {command(seed, asked.bug)}\n")  # noqa: T201 - a command prints
            elif asked.seed is not None:
                print(f"seed {seed}: {outcome.verdict}, history {outcome.digest}")  # noqa: T201 - a command prints
    print(f"{figures}, {time.process_time() - began:.1f} s of CPU")  # noqa: T201 - a command prints
    return 1 if broken else 0


def command(seed: int, bug: str | None = None) -> str:
    """What repeats a run."""
    return f"python -m tests.simulation --seed {seed}" + (f" --bug {bug}" if bug else "")


if __name__ == "__main__":
    sys.exit(main())
