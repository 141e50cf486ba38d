"""Thousands of worlds in which everything goes wrong, and each of them must keep every promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from connector.logs import silence
from tests.simulation.__main__ import command
from tests.simulation.figures import Figures
from tests.simulation.scenario import drawn, play
from tests.summary import Say

ROOT = Path(__file__).parents[2]
SCENARIOS = 5_000
"""With at least ``ENOUGH_FAULTS`` faults on open work each."""
SEEDS = 6_000
AT_ONCE = 250
PROCESSES = 2
NICE = 10
"""Tests with brokers and time limits may run beside it, and go first."""


def play_all(seeds: range) -> tuple[Figures, list[str]]:
    """What the seeds come to, and what a person has to know of each that broke a promise."""
    silence()
    figures, broken = Figures(), []
    for seed in seeds:
        outcome = play(drawn(seed))
        figures.add(outcome)
        if outcome.verdict.violations:
            broken.append(f"seed {seed}: {outcome.verdict}\nrepeat it: {command(seed)}")
    return figures, broken


@pytest.mark.timeout(1_200)
def test_every_promise_is_kept_whatever_goes_wrong(say: Say) -> None:
    figures = Figures()
    broken: list[str] = []
    parts = [range(first, min(first + AT_ONCE, SEEDS)) for first in range(0, SEEDS, AT_ONCE)]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), os.nice, (NICE,)) as pool:
        for part, stories in pool.map(play_all, parts):
            figures.merge(part)
            broken += stories
    say(f"simulation: {figures}")

    assert not broken, f"{len(broken)} seeds broke a promise\n" + "\n\n".join(sorted(broken, key=len)[:3])
    assert figures.counted >= SCENARIOS


HISTORIES = (
    "import json\n"
    "from connector.logs import silence\n"
    "from tests.simulation.scenario import drawn, play\n"
    "silence()\n"
    "print(json.dumps([play(drawn(seed)).digest for seed in range(40)]))\n"
)


def histories(hash_seed: str) -> list[str]:
    """What the first seeds come to in a Python of their own."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", HISTORIES], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    digests: list[str] = json.loads(done.stdout)
    return digests


def test_a_seed_is_the_same_history_in_every_process() -> None:
    one, other = histories("1"), histories("2")

    assert one == other
    assert len(set(one)) == len(one)
