"""Worlds for one kind of trouble each: what random seeds meet too rarely is looked for where it happens."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.dice import Rates
from tests.simulation.scenario import Plan, drawn
from tests.simulation.world import Shape


def markers(seed: int) -> Plan:
    """Partitions move in order while commit markers are slow: offsets are stable where the journal is not."""
    return Plan(seed, workers=3, inputs=14, seconds=40.0, faults=14, rates=Rates(slow_markers=1.0), kinds=("restart",))


def unclear(seed: int) -> Plan:
    """Every third transaction ends without an answer."""
    rates = Rates(unclear_open=0.3, unclear_committed=0.1, slow_markers=0.1)
    return Plan(seed, workers=2, inputs=10, seconds=30.0, faults=2, rates=rates, kinds=("restart", "new_generation"))


def sleepers(seed: int) -> Plan:
    """Processes sleep through their sessions at any step, and wake."""
    rates = Rates(freeze=0.01)
    return Plan(seed, workers=3, inputs=10, shape=Shape(2, 1), seconds=60.0, faults=4, rates=rates, kinds=("freeze",))


def offsets(seed: int) -> Plan:
    """The group's offsets are set back."""
    return Plan(seed, workers=2, inputs=8, seconds=40.0, faults=3, kinds=("lose_offsets",))


def deaths(seed: int) -> Plan:
    """Processes die inside of transactions, all over one journal partition, and others come."""
    return Plan(seed, workers=3, inputs=24, shape=Shape(4, 1), seconds=90.0, faults=2, kinds=("kill",), deadly="commit")


def rumours(seed: int) -> Plan:
    """POSTs are called off, and told of; others end without an answer; owners come and go."""
    rates = Rates(post_unreachable=0.4, post_unheard=0.3, unclear_open=0.2, crash=0.003, freeze=0.003)
    return Plan(
        seed,
        workers=3,
        inputs=12,
        shape=Shape(3, 1),
        seconds=60.0,
        faults=6,
        rates=rates,
        kinds=("kill", "restart", "cut_kafka"),
    )


def shadows(seed: int) -> Plan:
    """Answers to POSTs are lost, and lists show runs late."""
    rates = Rates(post_unheard=0.5, list_lag=0.5, get_failed=0.1)
    return Plan(seed, workers=2, inputs=10, seconds=30.0, faults=2, rates=rates, kinds=("kill", "restart"))


def clocks(seed: int) -> Plan:
    """Wall clocks are set while work is open."""
    kinds = ("jump_clock", "jump_clock", "kill")
    return Plan(seed, workers=2, inputs=10, seconds=40.0, faults=5, rates=Rates(post_unheard=0.05), kinds=kinds)


def webhooks(seed: int) -> Plan:
    """Webhooks ring well enough to be counted on, and some of them are lost, late, doubled or false."""
    rates = Rates(bell_lost=0.12, bell_late=0.05, bell_doubled=0.3, bell_false=0.2, post_slow=0.05)
    return Plan(
        seed, workers=1, inputs=30, seconds=180.0, faults=1, rates=rates, kinds=("new_generation",), webhooks=True
    )


PLANS: dict[str, Callable[[int], Plan]] = {
    "seeds": drawn,
    "markers": markers,
    "unclear": unclear,
    "sleepers": sleepers,
    "offsets": offsets,
    "deaths": deaths,
    "rumours": rumours,
    "shadows": shadows,
    "clocks": clocks,
    "webhooks": webhooks,
}
