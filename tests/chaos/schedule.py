"""What will go wrong, and when: drawn from a seed, in proportions that hold for any length.

A worker's fate is part of its start, because it meets open work only when the process stops itself: it dies or sleeps
at a stop-point. Everything else strikes from outside, one card of a deck after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from random import Random
from typing import Literal, NamedTuple

from connector.stop_points import STEPS
from tests.chaos.proxy import END_TXN, PRODUCE, TXN_OFFSET_COMMIT, Rule

KILL = "kill"
STOP = "stop"
RESTART = "restart"
BROKER = "broker killed"
GROUP_COORDINATOR = "group coordinator killed"
TRANSACTION_COORDINATOR = "transaction coordinator killed"
ROLLING = "rolling update"

NETWORK: Mapping[str, tuple[int, Literal["delay", "lose request", "lose answer"]]] = {
    "EndTxn delayed": (END_TXN, "delay"),
    "EndTxn lost": (END_TXN, "lose request"),
    "EndTxn answer lost": (END_TXN, "lose answer"),
    "TxnOffsetCommit delayed": (TXN_OFFSET_COMMIT, "delay"),
    "TxnOffsetCommit lost": (TXN_OFFSET_COMMIT, "lose request"),
    "Produce delayed": (PRODUCE, "delay"),
    "Produce lost": (PRODUCE, "lose request"),
}
BOUNCES = (BROKER, GROUP_COORDINATOR, TRANSACTION_COORDINATOR)
DECK: Mapping[str, int] = {
    "EndTxn delayed": 11,
    "EndTxn lost": 1,
    "EndTxn answer lost": 2,
    "TxnOffsetCommit delayed": 2,
    "TxnOffsetCommit lost": 1,
    "Produce delayed": 2,
    "Produce lost": 1,
    BROKER: 1,
    GROUP_COORDINATOR: 1,
    TRANSACTION_COORDINATOR: 1,
    ROLLING: 1,
}
"""Six minutes of strikes: an hour has 100 delayed EndTxn and 30 dead brokers."""

STRIKE_SECONDS = (10.0, 20.0)

_KILLS_PER_STOP = 3
# Documents that a worker's life has, on average. An hour of 100,000 has 230 lives and so 190 ends of them; what is
# left of a minute while partitions change hands is the same for any length, so a short run has shorter lives.
_LONG, _SHORT = (100, 600), (20, 120)
_SHORT_MINUTES = 15.0
_TOGETHER = 6
"""Documents whose results share a transaction, about."""
# Mostly a slow network; some longer than a client waits, and longer than a transaction lasts (10 s).
_DELAYS = ((1.0, 4.0), (1.0, 4.0), (1.0, 4.0), (4.0, 8.0), (12.0, 16.0))


class Fate(NamedTuple):
    """How a worker's life ends, or is interrupted; ``str`` is what it is told."""

    step: str
    how: str
    nth: int

    def __str__(self) -> str:
        return f"{self.step}:{self.how}:{self.nth}"


def fates(random: Random, minutes: float) -> Iterator[Fate]:
    """One for each start of a worker, for ever. Every step is met by kills and by stops equally often.

    Args:
        random: what is drawn from.
        minutes: how long references are written.
    """
    steps = sorted(STEPS)
    kills, stops = (cycle(random.sample(steps, len(steps))) for _ in range(2))
    hows = cycle([KILL, STOP, *[KILL] * (_KILLS_PER_STOP - 1)])
    for how in hows:
        step = next(kills if how == KILL else stops)
        nth = random.randint(*(_SHORT if minutes < _SHORT_MINUTES else _LONG))
        yield Fate(step, how, nth // _TOGETHER if "result" in step else nth)


def strikes(random: Random) -> Iterator[tuple[float, str]]:
    """Seconds to wait, and what happens then, for ever. Every kind comes once before any comes again."""
    while True:
        once = random.sample(list(DECK), len(DECK))
        again = [kind for kind, count in DECK.items() for _ in range(count - 1)]
        for kind in (*once, *random.sample(again, len(again))):
            yield random.uniform(*STRIKE_SECONDS), kind


def rule_of(kind: str, random: Random) -> Rule:
    """The proxy's rule for a strike at the network."""
    api_key, action = NETWORK[kind]
    return Rule(api_key, action, random.uniform(*random.choice(_DELAYS)) if action == "delay" else 0.0)
