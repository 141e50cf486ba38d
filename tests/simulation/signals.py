"""Stands for ``adapters.kafka.signals``: records of the signals topic, in and out, on the model of the brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from connector.core.errors import ConnectorError, TopicError
from connector.core.record import OutRecord, Partition, Record
from tests.simulation.machine import Machine
from tests.simulation.scheduler import Signal

IDLE_SECONDS = 10.0
"""Between two turns of a thread that nothing concerns. In truth it turns all the time, and nothing comes of it."""


class SimSignalReader:
    """Reads by hand, open transactions too."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process = machine.process
        self._world = machine.world
        self._positions: dict[Partition, int] = {}
        self.trouble: ConnectorError | None = None
        self.behind: set[Partition] = set()  # it reads all that is there in one piece
        self.wake = Signal(machine.process)
        machine.world.signal_readers.append(self)

    def offset_at(self, partition: Partition, since_ms: int) -> int:
        self._machine.point("signals?")
        self._process.sleep(self._world.dice.seconds(0.001, 0.02))
        if not self._machine.reachable or self._world.dice.says("no_answer"):
            raise TopicError([f"no answer about {partition}"])
        log = self._world.broker.logs[partition]
        return next((stored.offset for stored in log.records if stored.at_ms >= since_ms), log.end)

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        for partition, offset in offsets.items():
            self._positions[partition] = min(offset, self._positions.get(partition, offset))

    def remove(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    def read(self, _timeout: float) -> list[Record]:
        if not self._has_records():
            self.wake.wait(IDLE_SECONDS)
        read: list[Record] = []
        if self._machine.reachable:
            for partition, position in sorted(self._positions.items()):
                end = self._world.broker.logs[partition].end
                read += self._world.broker.read(partition, position, end, committed=False)
                self._positions[partition] = end
        return read

    def close(self) -> None:
        """There is nothing to free."""

    def appended(self, partition: Partition) -> None:
        if partition in self._positions:
            self.wake.set(self._world.dice.seconds(0.002, 0.05))

    def call_came(self) -> None:
        """The thread has a call to serve; a poll cannot be woken for it."""
        self.wake.set(self._world.dice.seconds(0.0, 0.2))

    def _has_records(self) -> bool:
        logs = self._world.broker.logs
        return self._machine.reachable and any(at < logs[partition].end for partition, at in self._positions.items())


class SimSignalWriter:
    """Writes without transactions. What a process had not sent when it died is lost."""

    def __init__(self, machine: Machine, done: Callable[[str, bool], None], wake: Callable[[], None]) -> None:
        self._machine = machine
        self._done = done
        self._wake = wake
        self._acknowledged: list[str] = []
        self.waiting = 0
        self.trouble: ConnectorError | None = None

    def send(self, record: OutRecord, label: str) -> None:
        self._machine.point("signal")
        self.waiting += 1

        def arrived() -> None:
            self._machine.world.broker.append(Partition(record.topic, record.partition or 0), record)
            self._acknowledged.append(label)
            self._wake()

        self._machine.when_reachable(self._machine.world.dice.seconds(0.002, 0.02), arrived)

    def serve(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, []
        for label in acknowledged:
            self.waiting -= 1
            self._done(label, True)  # noqa: FBT003 - the callback's own

    def repeat(self) -> None:
        """Nothing is refused."""

    def close(self) -> None:
        """There is nothing to free."""
