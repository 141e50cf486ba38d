"""Stands for ``adapters.kafka.member.Member``: the same calls, on the models of brokers and group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from connector.adapters.kafka.member import Listener, Polled
from connector.core.record import Partition, Record
from tests.simulation.group import NOBODY
from tests.simulation.machine import Machine
from tests.simulation.scheduler import Signal

IDLE_SECONDS = 30.0
"""Between two polls of a thread that has nothing to do. In truth it polls all the time, and nothing comes of it."""


class SimMember:
    """One member of the group, as its client library sees it."""

    def __init__(self, machine: Machine, listener: Listener, idle: Callable[[], bool]) -> None:
        """Join.

        Args:
            machine: the process that it lives in.
            listener: who is told about assignments.
            idle: whether the polling thread waits for nothing but what this member or its queue brings.
        """
        self._machine = machine
        self._process = machine.process
        self._world = machine.world
        self._listener = listener
        self._idle = idle
        self.client_id = machine.client_id
        self.owned: frozenset[Partition] = frozenset()
        self.joined = False
        self.joined_at = 0.0
        self.wake = Signal(machine.process)
        self._member_id = ""
        self._generation = NOBODY
        self._serving = False
        self._join_after_serving = False
        self._events: deque[Callable[[], None]] = deque()
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._leaving = False
        self._held_back = False
        self._closed = False
        self._not_ready: dict[Partition, float] = {}
        machine.process.when_dead.append(self._fell_silent)
        machine.heard = self._heard_again
        machine.fell_silent = self._fell_silent
        self._world.members.append(self)
        self._when_reachable(self._join)

    # ---- what the Kafka thread calls -----------------------------------------------------------------------------

    def poll(self, timeout: float, most: int) -> Polled:
        if self._leaving and not self.owned:
            self._leaving = False
            self._when_reachable(self._join)
        if not self._events and not self._has_records():
            self.wake.wait(IDLE_SECONDS if self._idle() else timeout)
        else:
            self._process.sleep(self._world.dice.seconds(0.0001, 0.001))
        if self._events and not self._held_back:
            # The client shows a new generation one poll before it serves the callback (measured on Kafka 4.4.0).
            self._held_back = self._world.dice.random.random() < 0.3
            if self._held_back:
                return Polled()
        if self._events:
            self._held_back = False
            self._machine.point("group")
            self._events.popleft()()
            return Polled()
        return Polled(tuple(self._take(most)))

    def metadata(self) -> object:
        return (self._member_id, self._generation)

    def begin(self, partition: Partition, offset: int) -> bool:
        if self._not_ready.get(partition, 0.0) > self._world.scheduler.now:
            return False
        if partition not in self._not_ready and self._world.dice.says("not_ready"):
            self._not_ready[partition] = self._world.scheduler.now + self._world.dice.seconds(0.05, 2.0)
            return False
        self._not_ready.pop(partition, None)
        if partition in self.owned:
            self._positions[partition] = offset
            self._paused.discard(partition)
        return True

    def rejoin(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._events.append(self._give_back)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._paused.difference_update(partitions)
        self.wake.set()

    def log_end(self, partition: Partition) -> int | None:
        return self._world.broker.logs[partition].end

    def close(self) -> None:
        if self._process.dead:
            return
        self._closed = True
        self._machine.point("leave")
        if self.owned:
            self._serving = True
            self._listener.on_revoked(sorted(self.owned))
            self.owned = frozenset()
        self._world.group.leave(self._member_id)

    # ---- what happens in the background --------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        return self._machine.reachable

    def _when_reachable(self, call: Callable[[], None]) -> None:
        """The client's own threads do it as soon as its process runs and hears the brokers."""
        self._machine.when_reachable(self._world.dice.seconds(0.001, 0.02), call)

    def _join(self) -> None:
        if not self._closed:
            self._member_id = self._world.group.join(self)

    def asked_to_join(self, member_id: str, number: int) -> None:
        def heard() -> None:
            if member_id not in self._world.group.members or self._world.group.is_joining(member_id, number):
                self._rejoin(member_id)

        self._machine.when_reachable(0.0, heard)

    def _rejoin(self, member_id: str) -> None:
        if member_id != self._member_id:
            return
        if member_id not in self._world.group.members:
            self._expelled(member_id)
        elif self._serving:
            self._join_after_serving = True  # librdkafka joins again when the callback is over
        else:
            self._world.group.joined(member_id, self.owned)

    def synced(self, member_id: str, generation: int, target: frozenset[Partition]) -> None:
        self._machine.when_reachable(0.0, partial(self._synced, member_id, generation, target))

    def _synced(self, member_id: str, generation: int, target: frozenset[Partition]) -> None:
        if member_id == self._member_id and generation == self._world.group.generation:
            self._generation = generation
            self._events.append(partial(self._serve, target))
            self.wake.set()

    def _fell_silent(self) -> None:
        self._world.group.watch(self)

    def _heard_again(self) -> None:
        """The first heartbeat after a silence tells whether the group still knows us."""
        member_id = self._member_id
        self._machine.when_reachable(self._world.dice.seconds(0.001, 3.0), lambda: self._heartbeat(member_id))

    def _heartbeat(self, member_id: str) -> None:
        if member_id == self._member_id and member_id not in self._world.group.members:
            self._expelled(member_id)

    def _expelled(self, member_id: str) -> None:
        if member_id and member_id == self._member_id and not self._closed:
            self._member_id = ""
            self._events.append(self._lose)
            self.wake.set()

    # ---- callbacks, served inside poll ---------------------------------------------------------------------------

    def _serve(self, target: frozenset[Partition]) -> None:
        self.joined = True
        self.joined_at = self.joined_at or self._world.scheduler.now
        self._serving = True
        gone, fresh = self.owned - target, target - self.owned
        try:
            if gone:
                self._listener.on_revoked(sorted(gone))
                self.owned -= gone
                self._machine.point("revoked")
            self.owned |= fresh
            self._paused.update(fresh)
            self._listener.on_assigned(sorted(fresh))
        finally:
            self._serving = False
        if gone or self._join_after_serving:
            self._join_after_serving = False
            self._rejoin_soon()

    def _rejoin_soon(self) -> None:
        self._machine.when_reachable(0.0, partial(self._rejoin, self._member_id))

    def _lose(self) -> None:
        self.joined = False
        gone, self.owned = self.owned, frozenset()
        self._serving = self._join_after_serving = False
        if gone:
            self._listener.on_lost(sorted(gone))
        self._when_reachable(self._join)

    def _give_back(self) -> None:
        self._serve_all_gone()
        self._world.group.leave(self._member_id)
        self._member_id = ""

    def _serve_all_gone(self) -> None:
        self._serving = True
        try:
            if self.owned:
                self._listener.on_revoked(sorted(self.owned))
                self.owned = frozenset()
        finally:
            self._serving = False

    # ---- records -------------------------------------------------------------------------------------------------

    def appended(self, partition: Partition) -> None:
        if partition in self.owned and partition not in self._paused:
            self.wake.set(self._world.dice.seconds(0.001, 0.02))

    def _fetchable(self) -> list[Partition]:
        if not self._machine.reachable:
            return []
        logs = self._world.broker.logs
        return [p for p in sorted(self.owned - self._paused) if self._positions.get(p, 0) < logs[p].end]

    def _has_records(self) -> bool:
        return bool(self._fetchable())

    def _take(self, most: int) -> list[Record]:
        taken: list[Record] = []
        for partition in self._fetchable():
            start = self._positions.get(partition, 0)
            for record in self._world.broker.read(partition, start, start + most - len(taken), committed=True):
                taken.append(record)
                self._positions[partition] = record.next_offset
        return taken
