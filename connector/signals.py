"""The signals thread: what crosses between workers, and between workers and operators, through the signals topic.

It never joins a group and takes no part in transactions, so that facts and commands pass while partitions move and
while the Kafka thread waits. What is heard twice does no harm; so whoever begins to listen hears the past again.
Commands of the past are heard together with the replies behind them: what was answered is not to be answered again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.errors import ConnectorError
from connector.core.record import OutRecord, Partition, Record
from connector.core.signals.signal import Command, Reply, Signal, kind_of
from connector.core.signals.signals_topic import SignalsTopic
from connector.logs import logger

LOOK_BACK_MS = 5 * 60 * 1000
"""How much earlier than asked reading begins: clocks of different machines differ."""
IDLE_SECONDS = 0.2
"""A poll cannot be woken, so this is how long a signal may wait until it is sent."""
BUSY_SECONDS = 0.01
"""The same while an answer of the brokers is to be expected ..."""
EXPECTED_SECONDS = 1.0
"""... which is for so long after the last signal was sent."""
RETRY_SECONDS = 2.0
UNSENT_SECONDS = 10.0
"""How long the brokers may acknowledge nothing before that is said."""


class Reader(Protocol):
    """What is read with; see ``adapters.kafka.signals``."""

    trouble: ConnectorError | None
    behind: set[Partition]
    """What was not yet read to where it ended when reading began."""

    def offset_at(self, partition: Partition, since_ms: int) -> int:
        """The first offset at or after an instant, or a ConnectorError."""

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions too; never forward in one that is being read."""

    def remove(self, partitions: Iterable[Partition]) -> None:
        """Read these no more."""

    def read(self, timeout: float) -> list[Record]:
        """The records that are there."""

    def close(self) -> None:
        """Free the client."""


class Writer(Protocol):
    """What is written with; see ``adapters.kafka.signals``."""

    trouble: ConnectorError | None

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged."""

    def send(self, record: OutRecord, label: str) -> None:
        """Take a record."""

    def serve(self) -> None:
        """Hear what the brokers have said."""

    def repeat(self) -> None:
        """Send again what was refused."""

    def close(self) -> None:
        """Free the client."""


class Signals:
    """The thread. Public methods may be called from any thread."""

    def __init__(
        self,
        *,
        name: str,
        topic: SignalsTopic,
        open_reader: Callable[[], Reader],
        open_writer: Callable[[Callable[[str, bool], None]], Writer],
        fatal: Callable[[BaseException], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """Build the thread; ``start`` runs it.

        Args:
            name: the connector's name.
            topic: where signals are.
            open_reader: makes the reader, on the thread.
            open_writer: makes the writer, on the thread; it is given whom to tell what became of a record.
            fatal: told, on the event loop, of an error that nobody foresaw; the process must end.
            metrics: where to count.
            clock: the time.
        """
        self._name = name
        self._topic = topic
        self._open_reader = open_reader
        self._open_writer = open_writer
        self._fatal = fatal
        self._metrics = metrics
        self._clock = clock
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._listeners: set[tuple[Partition, int]] = set()
        self._wanted: dict[Partition, int] = {}
        self._kept: dict[Partition, list[Signal]] = {}
        self._unplaced: ConnectorError | None = None
        self._next_try = 0.0
        self._quiet_since = clock.monotonic()
        self._said = ""
        self._over = False
        self._unsent = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)

    # ---- from any thread -------------------------------------------------------------------------------------

    def start(
        self,
        hear: Callable[[Sequence[Signal]], None],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """Run the thread.

        Args:
            hear: told of signals, on the event loop, in the order of their partition; of what is past when somebody
                begins to listen, all commands and replies come in one piece.
            post: runs a call on the event loop, in order (``loop.call_soon_threadsafe``).
        """
        self._hear = hear
        self._post = post
        self._thread.start()

    def listen(self, partition: Partition, assignment: int, since_ms: int) -> None:
        """Hear what concerns an input partition, also what was said before.

        Args:
            partition: the input partition.
            assignment: the number of its assignment.
            since_ms: from five minutes before this instant, in milliseconds since the epoch.
        """
        self._inbox.put(lambda: self._add(partition, assignment, since_ms - LOOK_BACK_MS))

    def forget(self, partition: Partition, assignment: int) -> None:
        """This assignment of an input partition is over."""
        self._inbox.put(lambda: self._drop(partition, assignment))

    def send(self, signal: Signal) -> None:
        """Send a signal; it is kept until the brokers have it, or the process ends."""
        with self._changed:
            self._unsent += 1
        self._inbox.put(lambda: self._send(signal))

    def flush(self, timeout: float) -> bool:
        """Wait until everything that was sent is acknowledged; whether it is.

        Args:
            timeout: seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._unsent == 0, timeout)

    def stop(self) -> None:
        """End the thread soon. What is not acknowledged by then may be lost: ``flush`` first."""
        self._inbox.put(self._end)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; whether it ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._reader = self._open_reader()
            self._writer = self._open_writer(self._done)
            while not self._over:
                self._turn()
            self._reader.close()
            self._writer.close()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the process must hear of it and end
            self._post(partial(self._fatal, error))

    def _turn(self) -> None:
        self._serve()
        if self._clock.monotonic() >= self._next_try:
            self._next_try = self._clock.monotonic() + RETRY_SECONDS
            self._writer.repeat()
            self._place()
        self._writer.serve()
        expected = self._writer.waiting and self._clock.monotonic() - self._quiet_since < EXPECTED_SECONDS
        self._take(self._reader.read(BUSY_SECONDS if expected else IDLE_SECONDS))
        self._say(self._unplaced or self._reader.trouble or self._writer.trouble or self._overdue())

    def _serve(self) -> None:
        try:
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            return

    def _end(self) -> None:
        self._over = True

    def _add(self, partition: Partition, assignment: int, since_ms: int) -> None:
        # Also where its signals partition is being read: what has passed there was not heard for this one.
        self._listeners.add((partition, assignment))
        place = self._topic.of(partition)
        self._wanted[place] = min(since_ms, self._wanted.get(place, since_ms))
        self._next_try = 0.0

    def _drop(self, partition: Partition, assignment: int) -> None:
        self._listeners.discard((partition, assignment))
        place = self._topic.of(partition)
        if all(self._topic.of(other) != place for other, _ in self._listeners):
            self._wanted.pop(place, None)
            self._kept.pop(place, None)
            self._reader.remove([place])

    def _place(self) -> None:
        """Begin to read what is listened to and not read from where it must be."""
        self._unplaced = None
        found: dict[Partition, int] = {}
        for partition, since_ms in list(self._wanted.items()):
            del self._wanted[partition]
            try:
                found[partition] = self._reader.offset_at(partition, since_ms)
            except ConnectorError as error:
                self._wanted[partition] = since_ms  # behind the others at the next try
                self._unplaced = error
                break  # each would take its time, and nothing is sent meanwhile
        if found:
            self._reader.begin(found)

    def _take(self, records: Sequence[Record]) -> None:
        listened = {partition for partition, _ in self._listeners}
        heard: list[Signal] = []
        for record in records:
            signal = self._topic.signal(record)
            if signal is None:
                self._metrics.signals.labels(kind="other", result="unreadable").inc()
            elif signal.tag.name != self._name:
                self._metrics.signals.labels(kind=kind_of(signal), result="foreign").inc()
            elif not signal.tag.is_of(listened):
                continue
            elif isinstance(signal, Command | Reply) and record.partition in self._reader.behind:
                self._kept.setdefault(record.partition, []).append(signal)
            else:
                heard.append(signal)
        read = [kept for place, kept in self._kept.items() if place not in self._reader.behind]
        if read:
            self._kept = {place: kept for place, kept in self._kept.items() if place in self._reader.behind}
            past = [signal for kept in read for signal in kept if signal.tag.partition in listened]
            heard = past + heard
        if heard:
            self._post(partial(self._hear, heard))

    def _send(self, signal: Signal) -> None:
        if not self._writer.waiting:
            self._quiet_since = self._clock.monotonic()
        self._writer.send(self._topic.record(signal, self._clock.wall_ms()), kind_of(signal))

    def _done(self, kind: str, acknowledged: bool) -> None:  # noqa: FBT001 - the one thing that is told
        self._quiet_since = self._clock.monotonic()
        if acknowledged:
            self._metrics.signals.labels(kind=kind, result="sent").inc()
        with self._changed:
            self._unsent -= 1
            self._changed.notify_all()

    def _overdue(self) -> ConnectorError | None:
        if not self._writer.waiting or self._clock.monotonic() - self._quiet_since < UNSENT_SECONDS:
            return None
        return ConnectorError(f"The brokers have acknowledged no signal for {UNSENT_SECONDS:g} s.")

    def _say(self, trouble: ConnectorError | None) -> None:
        reason = "" if trouble is None else str(trouble)
        if reason and reason != self._said:
            logger.warning("signals_wait", reason=reason)
        self._said = reason
