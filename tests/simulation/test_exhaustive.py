"""Every crash point and every pause of a small world, with everything that can become of its POSTs."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import pytest

from connector.logs import silence
from tests.simulation.exhaustive import ANSWERS, Way, places
from tests.summary import Say

PROCESSES = 2
NICE = 10
"""Tests with brokers and time limits may run beside it, and go first."""
LEAST_PLACES = 40
"""A way that is shorter than this has lost its boundary."""

WAYS: tuple[Way, ...] = ("dies", "sleeps")


def try_all(answers: tuple[str, ...], way: Way) -> tuple[int, list[str]]:
    """How many places there are, and what went wrong at which."""
    silence()
    tried, broken = 0, []
    for place, outcome in places(answers, way):
        tried += 1
        if outcome.verdict.violations:
            broken.append(f"{place}: {outcome.verdict}")
    return tried, broken


@pytest.mark.timeout(1_200)
def test_two_inputs_and_two_owners_keep_every_promise_at_every_place(say: Say) -> None:
    worlds = list(product(ANSWERS, WAYS))
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), os.nice, (NICE,)) as pool:
        done = list(pool.map(try_all, *zip(*worlds, strict=True)))
    total = sum(tried for tried, _ in done)
    say(f"simulation: {total} places to die or to sleep at, with {len(ANSWERS)} courses of the POSTs")

    broken = [story for _, stories in done for story in stories]
    assert not broken, f"{len(broken)} places\n" + "\n\n".join(sorted(broken, key=len)[:3])
    assert min(tried for tried, _ in done) >= LEAST_PLACES
