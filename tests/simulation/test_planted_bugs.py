"""A simulation that finds nothing proves nothing: every planted bug must break the invariant that it is against."""

from __future__ import annotations

import pytest

from tests.simulation.plans import PLANS
from tests.simulation.planted import BUGS, planted
from tests.simulation.scenario import play
from tests.summary import Say

SEEDS = 150
"""Worlds of each kind."""
MOST_SEEDS = 600
"""A bug may need a rare coincidence."""


def first_broken(bug: str) -> tuple[int, set[str]]:
    """The first world in which the bug breaks what it must break."""
    expected, seen = BUGS[bug].invariants, set[str]()
    with planted(bug):
        for seed in range(MOST_SEEDS):
            broken = play(PLANS[BUGS[bug].plan](seed)).verdict.invariants
            if broken & expected:
                return seed, broken & expected
            seen |= broken
    pytest.fail(f"{BUGS[bug].what}: only {seen or 'nothing'} broke in {MOST_SEEDS} worlds of {BUGS[bug].plan}")


@pytest.mark.timeout(600)
def test_every_bug_is_caught_and_the_invariant_is_named(say: Say) -> None:
    lines = []
    for bug in BUGS:
        seed, broken = first_broken(bug)
        lines.append(f"  {', '.join(sorted(broken)):12} {bug}: {BUGS[bug].what} ({BUGS[bug].plan} {seed})")
    say("\n".join([f"simulation: {len(BUGS)} planted bugs, caught by", *lines]))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("plan", sorted(PLANS))
def test_the_same_worlds_are_sound_without_a_bug(plan: str) -> None:
    for seed in range(SEEDS):
        verdict = play(PLANS[plan](seed)).verdict
        assert not verdict.violations, f"{plan} {seed}: {verdict}"
