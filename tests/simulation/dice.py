"""What goes wrong in one run, and how often: each run turns on some kinds of faults, with rates of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random

NEVER = 0.0


@dataclass(slots=True)
class Rates:
    """How often an action of a kind goes wrong; 0 is never.

    Attributes:
        crash: the process dies before or after an action at its boundary.
        freeze: it is frozen there.
        unclear_committed: nobody hears how a transaction ended; it was committed.
        unclear_open: the same; it was not, and the request for it may still arrive.
        slow_commit: the answer to a commit is late.
        slow_markers: commit markers reach some partitions seconds after others.
        stray_generation: the group changes its generation and nothing moves.
        not_ready: a client refuses a new position for a moment.
        no_answer: a question to the cluster has no answer.
        post_lost: a POST is lost before the API decides.
        post_unheard: the API decides, and its answer is lost.
        post_late: a POST arrives after its sender gave up.
        post_slow: the answer comes after the deadline.
        post_unreachable: no connection.
        post_throttled: 429.
        post_refused: 422.
        post_forbidden: 402, for a while.
        post_torn: 500 or a 200 without an id, before or after the run was created.
        get_failed: a GET has no answer, or a 500.
        get_lag: a run is not readable for a moment after its create.
        list_lag: a run is not listed for a moment after its create.
        bell_lost: a webhook never comes.
        bell_late: it comes seconds or minutes after the end.
        bell_doubled: it comes twice.
        bell_false: one comes for a run that has not ended.
    """

    crash: float = NEVER
    freeze: float = NEVER
    unclear_committed: float = NEVER
    unclear_open: float = NEVER
    slow_commit: float = NEVER
    slow_markers: float = NEVER
    stray_generation: float = NEVER
    not_ready: float = NEVER
    no_answer: float = NEVER
    post_lost: float = NEVER
    post_unheard: float = NEVER
    post_late: float = NEVER
    post_slow: float = NEVER
    post_unreachable: float = NEVER
    post_throttled: float = NEVER
    post_refused: float = NEVER
    post_forbidden: float = NEVER
    post_torn: float = NEVER
    get_failed: float = NEVER
    get_lag: float = NEVER
    list_lag: float = NEVER
    bell_lost: float = NEVER
    bell_late: float = NEVER
    bell_doubled: float = NEVER
    bell_false: float = NEVER


_PER_ACTION = frozenset({"crash", "freeze"})
"""There are hundreds of actions in a run, and tens of everything else."""


def thrown(random: Random) -> Rates:
    """A random subset, with random rates; one run in ten has none."""
    rates = Rates()
    if random.random() < 0.1:
        return rates
    share = random.choice((0.15, 0.3, 0.5))
    for kind in fields(Rates):
        if random.random() < share:
            most = 0.01 if kind.name in _PER_ACTION else 0.4
            setattr(rates, kind.name, most * random.random() ** 2)
    return rates


@dataclass(slots=True)
class Dice:
    """Rates, the randomness behind them, and whether faults may still happen.

    Attributes:
        random: the only randomness of the world.
        rates: what goes wrong.
        over: faults have stopped.
        noted: told of each fault: its kind and whom it met.
        scripted: what goes wrong for certain: for each kind the next answers, first to last.
    """

    random: Random
    rates: Rates = field(default_factory=Rates)
    over: bool = False
    scripted: dict[str, list[bool]] = field(default_factory=dict)

    def says(self, kind: str) -> bool:
        """Whether this goes wrong now."""
        script = self.scripted.get(kind)
        if script:
            return script.pop(0)
        rate: float = getattr(self.rates, kind)
        return rate > 0.0 and not self.over and self.random.random() < rate

    def seconds(self, least: float, most: float) -> float:
        return least + (most - least) * self.random.random()
