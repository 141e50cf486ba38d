"""One run: inputs, workers, faults, and the quiet end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from tests.chaos.checker import Rules, Verdict, check
from tests.chaos.history import History
from tests.simulation.dice import Rates, thrown
from tests.simulation.nemesis import KINDS, SPECIAL, Replicas, write
from tests.simulation.world import PREFIX, Shape, World

DRAIN_SECONDS = 3600.0
"""After the last fault everything must come to its end within this."""
QUIET_SECONDS = 90.0
"""And this long after it nothing may happen any more: late answers and sleepers had their say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of.

    Attributes:
        workers: replicas.
        inputs: references.
        seconds: the time over which they are written and faults happen.
        faults: how many are planned besides what the rates bring.
        ordered: documents of one key go one after the other.
        rates: what goes wrong by itself.
        kinds: which faults are planned.
        deadly: an action in which every tenth process dies.
        poison: the share of inputs that can never become a run.
        webhooks: the API rings, and workers count on that while it does.
    """

    seed: int
    workers: int = 2
    inputs: int = 8
    shape: Shape = field(default_factory=Shape)
    seconds: float = 60.0
    faults: int = 4
    ordered: bool = False
    rates: Rates = field(default_factory=Rates)
    kinds: tuple[str, ...] = ()
    deadly: str = ""
    poison: float = 0.06
    webhooks: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    plan: Plan
    history: History
    verdict: Verdict
    virtual_seconds: float
    hits: int

    @property
    def digest(self) -> str:
        """Names the whole history: two runs of one seed have the same."""
        return sha256(repr(self.history).encode()).hexdigest()[:16]


def drawn(seed: int) -> Plan:
    """The plan of a seed: how large, what goes wrong and how often."""
    random = Random(seed)
    rates = thrown(random)
    calm = random.random() < 0.02
    kinds = tuple(kind for kind in KINDS if random.random() < 0.6) or ("kill",)
    return Plan(
        seed=seed,
        workers=random.randint(2, 3),
        inputs=random.randint(3, 8),
        shape=Shape(partitions=random.choice((1, 2, 2, 3)), journal_partitions=random.choice((1, 2))),
        seconds=random.uniform(5.0, 90.0),
        faults=0 if calm else random.randint(3, 6),
        ordered=random.random() < 0.2,
        rates=Rates() if calm else rates,
        kinds=kinds,
        webhooks=random.random() < 0.5,
    )


def play(plan: Plan, prepare: Callable[[World], None] = lambda _world: None) -> Outcome:
    """Run it to its quiet end and judge it."""
    world = World(plan.seed, plan.shape, plan.rates, webhooks=plan.webhooks)
    try:
        return _play(world, plan, prepare)
    finally:
        world.bury()


def _play(world: World, plan: Plan, prepare: Callable[[World], None]) -> Outcome:
    scheduler, dice = world.scheduler, world.dice
    began = scheduler.now
    replicas = Replicas(world, plan.workers, ordered=plan.ordered)
    world.deadly = plan.deadly
    prepare(world)
    for number in range(plan.inputs):
        scheduler.after(dice.seconds(0.0, plan.seconds * 0.8), lambda n=number: _send(world, plan, n))  # type: ignore[misc]
    for _ in range(plan.faults):
        kind = dice.random.choice(plan.kinds)
        scheduler.after(dice.seconds(1.0, plan.seconds), lambda k=kind: (KINDS | SPECIAL)[k](world, replicas))  # type: ignore[misc]
    scheduler.run(lambda: False, began + plan.seconds)
    dice.over = True
    quiet_at = max(scheduler.now, world.last_fault_at)
    limit = quiet_at + DRAIN_SECONDS

    def drained() -> bool:
        return world.chronicle.drained(ordered=plan.ordered)

    scheduler.run(lambda: False, quiet_at)
    while scheduler.run(drained, limit):
        # Late answers and sleepers may still set something going.
        if not scheduler.run(lambda: not drained(), scheduler.now + QUIET_SECONDS):
            break
    history = world.chronicle.history(world.inputs, world.faults, world.api, ordered=plan.ordered)
    verdict = check(history, Rules(prefix=PREFIX, parked_at_most=plan.inputs))
    hits = sum(fault.hit for fault in world.faults)
    strays = [stray for machine in world.machines for stray in machine.process.strays if "never retrieved" not in stray]
    failures = [worker.failure for worker in replicas.workers if worker.failure is not None]
    if strays or failures:
        raise AssertionError(f"seed {plan.seed}: {strays} {failures}") from (failures[0] if failures else None)
    return Outcome(plan, history, verdict, scheduler.now - began, hits)


def _send(world: World, plan: Plan, number: int) -> None:
    partition = world.dice.random.choice(world.inputs_at)
    if world.dice.random.random() < plan.poison:
        world.send(partition, None, b"[1, 2]")  # it can never become a run
        return
    key = f"key-{world.dice.random.randrange(3)}".encode() if plan.ordered else None
    write(world, partition, f"doc-{number}", key)
