"""Faults that happen at a time of their own, and the replicas that they happen to."""

from __future__ import annotations

import json
from collections.abc import Callable

from connector import accept as accept_step
from connector.core.record import Partition, Record
from tests.simulation.worker import SimWorker
from tests.simulation.world import NAME, World


class Replicas:
    """Keeps so many workers running: who dies is replaced after a while."""

    def __init__(self, world: World, count: int, *, ordered: bool) -> None:
        self._world = world
        self._ordered = ordered
        self._made = 0
        self.workers: list[SimWorker] = []
        for number in range(count):
            world.scheduler.after(world.dice.seconds(0.0, 2.0), lambda n=number: self._start(n))  # type: ignore[misc]

    def _start(self, number: int) -> None:
        self._made += 1
        worker = SimWorker(self._world, f"{NAME}-{number}-{self._made}", self._ordered)
        self.workers.append(worker)
        worker.machine.process.when_dead.append(lambda: self._replace(number))

    def _replace(self, number: int) -> None:
        self._world.scheduler.after(self._world.dice.seconds(0.5, 30.0), lambda: self._start(number))

    @property
    def alive(self) -> list[SimWorker]:
        return [worker for worker in self.workers if not worker.machine.process.dead]

    @property
    def awake(self) -> list[SimWorker]:
        return [worker for worker in self.alive if not worker.machine.process.frozen]


def write(world: World, partition: Partition, document_id: str, key: bytes | None = None) -> None:
    value = json.dumps({"url": f"https://files.example.com/{document_id}.pdf", "document_id": document_id})
    given = world.send(partition, document_id, value.encode(), key)
    if world.dice.random.random() < 0.2:
        record = Record(partition, given.tag.offset, key, value.encode())
        world.api.foreign(str(vars(accept_step)["tag_of"]("another", world.broker.ids[partition.topic], record)))


# ---- faults -------------------------------------------------------------------------------------------------------


def _some(world: World, replicas: Replicas) -> SimWorker | None:
    awake = replicas.awake
    return world.dice.random.choice(awake) if awake else None


def kill(world: World, replicas: Replicas) -> None:
    worker = _some(world, replicas)
    if worker is not None:
        world.hit("kill", worker.client_id)
        worker.machine.process.kill()


def freeze(world: World, replicas: Replicas) -> None:
    worker = _some(world, replicas)
    if worker is not None:
        short = world.dice.random.random() < 0.3
        seconds = world.dice.seconds(0.1, 5.0) if short else world.dice.seconds(15.0, 60.0)
        world.hit("freeze", worker.client_id, seconds)
        worker.machine.freeze(seconds)


def restart(world: World, replicas: Replicas) -> None:
    worker = _some(world, replicas)
    if worker is not None:
        world.hit("restart", worker.client_id)
        worker.terminate()


def cut_kafka(world: World, replicas: Replicas) -> None:
    worker = _some(world, replicas)
    if worker is not None:
        seconds = world.dice.seconds(0.5, 40.0)
        world.hit("cut from Kafka", worker.client_id, seconds)
        worker.machine.cut_kafka(seconds)


def cut_api(world: World, replicas: Replicas) -> None:
    worker = _some(world, replicas)
    if worker is not None:
        seconds = world.dice.seconds(0.5, 40.0)
        world.hit("cut from the API", worker.client_id, seconds)
        worker.machine.cut_api(seconds)


def brokers_down(world: World, _replicas: Replicas) -> None:
    seconds = world.dice.seconds(1.0, 60.0)
    world.hit("brokers down", "all", seconds)
    world.broker.down_until = world.scheduler.now + seconds


def new_generation(world: World, _replicas: Replicas) -> None:
    world.hit("new generation", "group")
    world.group.bump()


def lose_offsets(world: World, replicas: Replicas) -> None:
    """The group's offsets expire, or somebody sets them back; then a worker has to ask for them."""
    world.hit("offsets lost", "group")
    for partition, offset in list(world.broker.committed.items()):
        behind = world.dice.random.randrange(offset + 1)
        world.broker.committed[partition] = behind
        world.chronicle.set_by_hand(partition, behind)
        write(world, partition, f"after-{len(world.inputs)}")  # so that an offset is committed again
    kill(world, replicas)


def jump_clock(world: World, replicas: Replicas) -> None:
    """Somebody sets the wall clock of a machine."""
    worker = _some(world, replicas)
    if worker is not None:
        world.hit("clock set", worker.client_id)
        worker.machine.process.wall_ahead += world.dice.random.choice((-7_200.0, 7_200.0, 60.0, -60.0))


SPECIAL: dict[str, Callable[[World, Replicas], None]] = {"lose_offsets": lose_offsets, "jump_clock": jump_clock}
"""Faults that seeds do not draw."""

KINDS: dict[str, Callable[[World, Replicas], None]] = {
    "kill": kill,
    "freeze": freeze,
    "restart": restart,
    "cut_kafka": cut_kafka,
    "cut_api": cut_api,
    "brokers_down": brokers_down,
    "new_generation": new_generation,
}
