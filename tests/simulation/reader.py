"""Stands for what restores ask: ``JournalReader`` and ``Cluster``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from connector.core.errors import TopicError
from connector.core.record import Partition, Record
from tests.simulation.machine import Machine

SILENCE_SECONDS = 10.0
QUESTION_SECONDS = 5.0
LOOK_SECONDS = 0.05

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class SimReader:
    """Committed offsets and journal records, as seen by somebody who is no member."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process = machine.process
        self._world = machine.world

    def committed(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int | None] | None:
        self._machine.point("committed?")
        asked = list(partitions)
        broker = self._world.broker
        deadline = self._world.scheduler.now + timeout
        self._process.sleep(self._world.dice.seconds(0.001, 0.01))
        while not self._machine.reachable or any(broker.offsets_held(partition) for partition in asked):
            if self._world.scheduler.now >= deadline:
                return None
            self._process.sleep(LOOK_SECONDS)
        return {partition: broker.committed.get(partition) for partition in asked}

    def read(self, ends: Mapping[Partition, int], patience: float) -> Iterator[Record]:
        self._machine.point("read")
        logs = self._world.broker.logs
        for partition, end in ends.items():
            position, heard_at = 0, self._world.scheduler.now
            while position < end:
                self._process.sleep(self._world.dice.seconds(0.001, 0.01))
                stable = logs[partition].stable if self._machine.reachable else position
                if stable > position:
                    yield from list(self._world.broker.read(partition, position, min(end, stable), committed=True))
                    position, heard_at = stable, self._world.scheduler.now
                    continue
                limit = patience if self._machine.reachable else max(patience, SILENCE_SECONDS)
                if self._world.scheduler.now - heard_at > limit:
                    raise TimeoutError(f"{partition} is held back at {position} of {end}")
                self._process.sleep(LOOK_SECONDS)

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        self._machine.point("read_tail")
        self._process.sleep(self._world.dice.seconds(0.001, 0.02))
        if not self._machine.reachable:
            return []
        broker = self._world.broker
        return [r for p, end in ends.items() for r in broker.read(p, starts[p], end, committed=False)]

    def close(self) -> None:
        """There is nothing to free."""


class SimCluster:
    """Questions about the cluster; any of them may remain without an answer."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process = machine.process
        self._world = machine.world

    def each_log_end(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int | TopicError]:
        logs = self._world.broker.logs
        return self._each(partitions, lambda p: logs[p].stable if committed else logs[p].end)

    def each_log_start(self, partitions: Iterable[Partition]) -> Mapping[Partition, int | TopicError]:
        return self._each(partitions, lambda _partition: 0)

    def each_offset_at(
        self, partitions: Iterable[Partition], timestamp_ms: int
    ) -> Mapping[Partition, int | TopicError]:
        logs = self._world.broker.logs

        def first(partition: Partition) -> int:
            found = (stored.offset for stored in logs[partition].records if stored.at_ms >= timestamp_ms)
            return next(found, logs[partition].end)

        return self._each(partitions, first)

    def each_topic_id(self, names: Iterable[str]) -> Mapping[str, str | TopicError]:
        return self._each(sorted(names), lambda name: self._world.broker.ids[name])

    def members(self, _group: str) -> Collection[str]:
        self._machine.point("members")
        self._process.sleep(self._world.dice.seconds(0.001, 0.02))
        if not self._machine.reachable or self._world.dice.says("no_answer"):
            raise TopicError(["The members of the group are not known."])
        found = self._world.group.client_ids()
        self._machine.listed = (self._world.scheduler.now, found)
        return found

    def close(self) -> None:
        """There is nothing to free."""

    def _each(self, asked: Iterable[Asked], answer: Callable[[Asked], Found]) -> dict[Asked, Found | TopicError]:
        self._machine.point("ask")
        self._process.sleep(self._world.dice.seconds(0.001, 0.01))
        if not self._machine.reachable:
            self._process.sleep(QUESTION_SECONDS)
        found: dict[Asked, Found | TopicError] = {}
        for each in asked:
            silent = not self._machine.reachable or self._world.dice.says("no_answer")
            found[each] = TopicError([f"no answer about {each}"]) if silent else answer(each)
        return found
