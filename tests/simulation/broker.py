"""A model of the brokers: logs, transactions and their markers, the group's offsets.

What it holds to is measured on Apache Kafka 4.4.0 (``docs/decisions.md`` and ``tests/kafka/test_facts.py``): records
of open and of aborted transactions stand in the log; commit markers reach each partition by themselves, so that the
group's offsets may be stable while the journal is not; a second ``init_transactions`` with one id aborts the open
transaction and fences its producer; offsets are checked against member and generation and never against ownership.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from connector.core.record import Headers, OutRecord, Partition, Record
from tests.simulation.dice import Dice
from tests.simulation.scheduler import Scheduler

TRANSACTION_SECONDS = 15.0
SCAN_SECONDS = 10.0
"""The coordinator looks for transactions that are too old this often."""


@dataclass(slots=True)
class Stored:
    """One record of a log; a marker when ``marks`` is set."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at_ms: int
    transaction: Transaction | None = None
    marks: bool = False


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction.

    Attributes:
        number: its place in the order of begins.
        owner: the transactional id.
        epoch: of the producer that began it.
        committed: how it was decided, None while it is open.
        decided_at: when, on the virtual clock.
        partitions: where it wrote, and whether its marker is there.
        offsets: the group offsets that it carries.
        offsets_pending: they are sent, and their marker is not written.
        records: what it wrote.
    """

    number: int
    owner: str
    epoch: int
    began_at: float
    committed: bool | None = None
    decided_at: float = 0.0
    partitions: dict[Partition, bool] = field(default_factory=dict)
    offsets: dict[Partition, int] = field(default_factory=dict)
    offsets_pending: bool = False
    records: list[tuple[Partition, Stored]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Decided, and all markers are written."""
        return self.committed is not None and all(self.partitions.values()) and not self.offsets_pending


@dataclass(slots=True)
class Log:
    """One partition."""

    records: list[Stored] = field(default_factory=list)
    open: dict[Transaction, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return len(self.records)

    @property
    def stable(self) -> int:
        """The last stable offset."""
        return min(self.open.values(), default=self.end)


@dataclass(slots=True)
class _Producer:
    epoch: int = 0
    open: Transaction | None = None


class Broker:
    """All brokers together."""

    def __init__(self, scheduler: Scheduler, dice: Dice, topics: Mapping[str, int]) -> None:
        self._scheduler = scheduler
        self._dice = dice
        self.ids = {topic: f"{topic}-id-1" for topic in topics}
        self.logs = {Partition(topic, number): Log() for topic, count in topics.items() for number in range(count)}
        self.counts = dict(topics)
        self.committed: dict[Partition, int] = {}
        self.transactions: list[Transaction] = []
        self.down_until = 0.0
        self.check_member: Callable[[object], str | None] = lambda _metadata: None
        self.appended: Callable[[Partition], None] = lambda _partition: None
        self.decided: Callable[[Transaction], None] = lambda _transaction: None
        self._producers: dict[str, _Producer] = {}

    # ---- logs --------------------------------------------------------------------------------------------------

    def append(self, partition: Partition, record: OutRecord, transaction: Transaction | None = None) -> int:
        log = self.logs[partition]
        offset = log.end
        if transaction is not None and transaction not in log.open:
            log.open[transaction] = offset
            transaction.partitions[partition] = False
        stored = Stored(offset, record.key, record.value, record.headers, self._scheduler.wall_ms(), transaction)
        log.records.append(stored)
        if transaction is not None:
            transaction.records.append((partition, stored))
        self.appended(partition)
        return offset

    def read(self, partition: Partition, start: int, end: int, *, committed: bool) -> Iterator[Record]:
        """Records from one offset up to another, or to the last stable one."""
        log = self.logs[partition]
        stop = min(end, log.stable) if committed else min(end, log.end)
        for stored in log.records[start:stop]:
            if stored.marks or (committed and stored.transaction is not None and not stored.transaction.committed):
                continue
            yield Record(partition, stored.offset, stored.key, stored.value, stored.headers, stored.at_ms)

    def place(self, record: OutRecord) -> Partition:
        number = record.partition
        if number is None:
            number = sum(record.key or b"") % self.counts[record.topic]
        return Partition(record.topic, number)

    def recreate(self, topic: str) -> None:
        """The topic is deleted and made again."""
        generation = int(self.ids[topic].rpartition("-")[2]) + 1
        self.ids[topic] = f"{topic}-id-{generation}"
        for number in range(self.counts[topic]):
            self.logs[Partition(topic, number)] = Log()
            self.committed.pop(Partition(topic, number), None)

    # ---- transactions ------------------------------------------------------------------------------------------

    def initialise(self, owner: str) -> int | None:
        """The new epoch, or None while an earlier transaction of this id is being ended."""
        producer = self._producers.setdefault(owner, _Producer())
        if producer.open is not None:
            if producer.open.committed is None:
                producer.epoch += 1  # fences it now; the next call finds the markers written
                self._decide(producer.open, commit=False)
            if not producer.open.over:
                return None
            producer.open = None
        producer.epoch += 1
        return producer.epoch

    def is_current(self, owner: str, epoch: int) -> bool:
        return self._producers[owner].epoch == epoch

    def begin(self, owner: str, epoch: int) -> Transaction | None:
        """A transaction, or None while the markers of the last one are being written."""
        producer = self._producers[owner]
        if producer.open is not None and not producer.open.over:
            if producer.open.committed is None and producer.open.epoch == epoch:
                return producer.open  # begun and left: librdkafka would not, a bug may
            return None
        transaction = Transaction(len(self.transactions), owner, epoch, self._scheduler.now)
        producer.open = transaction
        self.transactions.append(transaction)
        wait = TRANSACTION_SECONDS + self._dice.seconds(0.0, SCAN_SECONDS)
        self._scheduler.after(wait, lambda: self._time_out(transaction))
        return transaction

    def send_offsets(self, transaction: Transaction, metadata: object, offsets: Mapping[Partition, int]) -> str | None:
        """The error's name, or None when they are pending now."""
        refused = self.check_member(metadata)
        if refused is None:
            transaction.offsets.update(offsets)
            transaction.offsets_pending = True
        return refused

    def end(self, owner: str, epoch: int, transaction: Transaction | None = None, *, commit: bool) -> str | None:
        """The error's name, or None when it is decided so. Without a transaction: whichever is open, as brokers do."""
        producer = self._producers[owner]
        if producer.epoch != epoch:
            return "_FENCED"
        found = transaction or producer.open
        if found is None or (found.committed is not None and found.committed != commit):
            return "INVALID_TXN_STATE"
        if found.committed is None:
            self._decide(found, commit=commit)
        return None

    def offsets_held(self, partition: Partition) -> bool:
        """Whether an open transaction withholds the answer to a question for this offset."""
        return any(t.offsets_pending and partition in t.offsets for t in self._unfinished())

    def hanging(self) -> list[str]:
        """What is not as it must be when nothing is under way."""
        stuck = [f"transaction {t.number} of {t.owner} is not over" for t in self._unfinished()]
        return stuck + [f"{p} is stable to {log.stable} of {log.end}" for p, log in self.logs.items() if log.open]

    def _unfinished(self) -> list[Transaction]:
        return [p.open for p in self._producers.values() if p.open is not None and not p.open.over]

    def _time_out(self, transaction: Transaction) -> None:
        if transaction.committed is None:
            if self._scheduler.now < self.down_until:
                self._scheduler.at(self.down_until + TRANSACTION_SECONDS, lambda: self._time_out(transaction))
                return
            self._producers[transaction.owner].epoch += 1
            self._decide(transaction, commit=False)

    def _decide(self, transaction: Transaction, *, commit: bool) -> None:
        transaction.committed = commit
        transaction.decided_at = self._scheduler.now
        self.decided(transaction)
        for partition in transaction.partitions:
            self._scheduler.after(self._marker_delay(), lambda p=partition: self._mark(transaction, p))  # type: ignore[misc]
        if transaction.offsets_pending:
            self._scheduler.after(self._marker_delay(), lambda: self._mark_offsets(transaction))

    def _marker_delay(self) -> float:
        slow = self._dice.says("slow_markers")
        return self._dice.seconds(0.1, 8.0) if slow else self._dice.seconds(0.0005, 0.004)

    def _mark(self, transaction: Transaction, partition: Partition) -> None:
        log = self.logs[partition]
        transaction.partitions[partition] = True
        if log.open.pop(transaction, None) is not None:
            marker = Stored(log.end, None, None, (), self._scheduler.wall_ms(), transaction, marks=True)
            log.records.append(marker)

    def _mark_offsets(self, transaction: Transaction) -> None:
        transaction.offsets_pending = False
        if transaction.committed:
            self.committed.update(transaction.offsets)
