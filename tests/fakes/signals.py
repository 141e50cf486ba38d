"""A stand-in for ``connector.signals.Signals`` on the event loop's clock: no thread, and the same order in every run.

It passes the contract that the real one passes on a broker (``tests/signals/contract.py``). ``FakeSignalsTopic`` is
what survives a process; give it to all that shall hear each other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.record import OutRecord, Partition, Record
from connector.core.signals.signal import Signal, kind_of
from connector.core.signals.signals_topic import SignalsTopic
from connector.signals import LOOK_BACK_MS


@dataclass
class FakeSignalsTopic:
    """The records, and who waits for more.

    Attributes:
        topic: name, partition count and codec.
        delay: seconds from a send, or a `listen`, until something is heard of it.
        held: nothing is written or heard, as while the brokers are away.
    """

    topic: SignalsTopic
    delay: float = 0.05
    held: bool = False
    log: dict[int, list[tuple[int, OutRecord]]] = field(default_factory=lambda: defaultdict(list))
    readers: list[FakeSignals] = field(default_factory=list)

    def append(self, record: OutRecord, at_ms: int) -> None:
        """A record is there; also one that a transaction has written."""
        assert record.partition is not None
        self.log[record.partition].append((at_ms, record))
        for reader in self.readers:
            reader.more()

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False
        for reader in self.readers:
            reader.more()


class FakeSignals:
    """One process's signals."""

    def __init__(self, name: str, topic: FakeSignalsTopic, metrics: Metrics, clock: Clock) -> None:
        self._name = name
        self._topic = topic
        self._metrics = metrics
        self._clock = clock
        self._listeners: set[tuple[Partition, int]] = set()
        self._positions: dict[int, int] = {}
        self._unsent: list[Signal] = []
        self._timers: list[asyncio.TimerHandle] = []

    def start(self, hear: Callable[[Sequence[Signal]], None], post: Callable[[Callable[[], None]], None]) -> None:
        self._hear = hear
        self._post = post
        self._topic.readers.append(self)
        self.more()

    def listen(self, partition: Partition, assignment: int, since_ms: int) -> None:
        self._listeners.add((partition, assignment))
        number = self._number(partition)
        log = self._topic.log[number]
        young = (at for at, (at_ms, _) in enumerate(log) if at_ms >= since_ms - LOOK_BACK_MS)
        begin = next(young, len(log))
        self._positions[number] = min(begin, self._positions.get(number, begin))
        self.more()

    def forget(self, partition: Partition, assignment: int) -> None:
        self._listeners.discard((partition, assignment))
        number = self._number(partition)
        if all(self._number(other) != number for other, _ in self._listeners):
            self._positions.pop(number, None)

    def send(self, signal: Signal) -> None:
        self._unsent.append(signal)
        self.more()

    def flush(self, timeout: float) -> bool:
        """Everything is written at once, unless the brokers are away; the time that it takes does not show."""
        assert timeout >= 0
        if not self._topic.held:
            self._write()
        return not self._unsent

    def stop(self) -> None:
        """What is unsent is lost; nothing is heard any more. What a killed process does, too."""
        for timer in self._timers:
            timer.cancel()
        self._unsent.clear()
        if self in self._topic.readers:
            self._topic.readers.remove(self)

    def join(self, timeout: float) -> bool:
        assert timeout >= 0
        return self not in self._topic.readers

    def more(self) -> None:
        """Look again in a moment."""
        if self in self._topic.readers:
            loop = asyncio.get_running_loop()
            self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > loop.time()]
            self._timers.append(loop.call_later(self._topic.delay, self._turn))

    def _number(self, partition: Partition) -> int:
        return self._topic.topic.of(partition).number

    def _turn(self) -> None:
        if self._topic.held:
            return
        self._write()
        listened = {partition for partition, _ in self._listeners}
        heard: list[Signal] = []
        for number, position in sorted(self._positions.items()):
            log = self._topic.log[number]
            self._positions[number] = len(log)
            for offset, (_, record) in enumerate(log[position:], position):
                heard += self._heard(
                    Record(Partition(record.topic, number), offset, record.key, record.value), listened
                )
        if heard:
            self._post(partial(self._hear, heard))

    def _write(self) -> None:
        unsent, self._unsent = self._unsent, []
        for signal in unsent:
            now_ms = self._clock.wall_ms()
            self._topic.append(self._topic.topic.record(signal, now_ms), now_ms)
            self._metrics.signals.labels(kind=kind_of(signal), result="sent").inc()

    def _heard(self, record: Record, listened: set[Partition]) -> list[Signal]:
        signal = self._topic.topic.signal(record)
        if signal is None:
            self._metrics.signals.labels(kind="other", result="unreadable").inc()
        elif signal.tag.name != self._name:
            self._metrics.signals.labels(kind=kind_of(signal), result="foreign").inc()
        elif signal.tag.is_of(listened):
            return [signal]
        return []
