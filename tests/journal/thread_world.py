"""The Kafka thread on fakes, driven turn by turn: no thread runs and no clock but the test's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from connector.adapters.kafka.member import Member, Polled
from connector.adapters.kafka.transactions import End, Ended, TransactionalProducer
from connector.adapters.metrics import Metrics
from connector.core.commit import Kind, Write
from connector.core.entry import Entry
from connector.core.record import OutRecord, Partition, Record
from connector.journal.crossing import Settled
from connector.journal.kafka_thread import KafkaThread
from connector.journal.restore import Failed, Found, RestoreReport

FENCED = Ended(End.ABORTED, "ILLEGAL_GENERATION", fenced=True)
UNCLEAR = Ended(End.UNCLEAR, "_TIMED_OUT")
P0, P1 = Partition("documents", 0), Partition("documents", 1)
JOURNAL = "invoices.journal"


@dataclass
class Ticking:
    """A clock that moves when it is told to, or a little whenever it is looked at."""

    now: float = 100.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class FakeMember:
    """What the group does next is a queue of calls; each poll makes one."""

    said: list[tuple[str, object]]
    polls: deque[Callable[[], Polled | None]] = field(default_factory=deque)
    begins: deque[bool] = field(default_factory=deque)
    snapshots: int = 0
    joined: bool = True

    def poll(self, _timeout: float, _most: int) -> Polled:
        return (self.polls.popleft()() if self.polls else None) or Polled()

    def metadata(self) -> object:
        self.snapshots += 1
        return self.snapshots

    def begin(self, partition: Partition, offset: int) -> bool:
        ready = self.begins.popleft() if self.begins else True
        self.said.append(("begin" if ready else "not yet", (partition, offset)))
        return ready

    def rejoin(self) -> None:
        self.said.append(("rejoin", None))

    def pause(self, partitions: Iterable[Partition]) -> None:
        self.said.extend(("pause", partition) for partition in partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.said.extend(("resume", partition) for partition in partitions)

    def log_end(self, _partition: Partition) -> int | None:
        return 10

    def close(self) -> None:
        self.said.append(("close", None))


@dataclass(frozen=True)
class Transaction:
    producer: int
    records: tuple[OutRecord, ...]
    offsets: dict[Partition, int]
    metadata: object


@dataclass
class FakeProducer:
    number: int
    world: ThreadWorld
    closed: bool = False

    def initialise(self, _timeout: float) -> bool:
        ready = self.world.initialises.popleft() if self.world.initialises else True
        self.world.said.append(("initialise", (self.number, ready)))
        return ready

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Partition, int],
        metadata: object,
        before_commit: Callable[[], None],
    ) -> Ended:
        assert not self.closed
        assert offsets, "a transaction without offsets fences nobody"
        self.world.transactions.append(Transaction(self.number, tuple(records), dict(offsets), metadata))
        end = self.world.ends.popleft() if self.world.ends else Ended(End.COMMITTED)
        if end.end is End.COMMITTED:
            before_commit()
        return end

    def close(self) -> None:
        self.closed = True
        self.world.said.append(("producer closed", self.number))


class ThreadWorld:
    """A KafkaThread and all that it says, in order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []
        self.clock = Ticking()
        self.metrics = Metrics()
        self.member = FakeMember(self.said)
        self.producers: list[FakeProducer] = []
        self.transactions: list[Transaction] = []
        self.ends: deque[Ended] = deque()
        self.initialises: deque[bool] = deque()
        self.stops: list[str] = []
        self.when_revoking: Callable[[Sequence[tuple[Partition, int]]], None] = lambda _partitions: None
        self.thread = KafkaThread(
            open_member=lambda _listener, _beat: cast("Member", self.member),
            open_producer=self._open_producer,
            restorer=self,
            mark=lambda partition, topic_id, offset: OutRecord(
                JOURNAL, f"mark:{partition}".encode(), f"{topic_id}@{offset}".encode(), (), 0
            ),
            linger=0.02,
            metrics=self.metrics,
            stop_point=self.stops.append,
            monotonic=self.clock,
        )
        self.thread._loop_side = self
        self.thread._member = cast("Member", self.member)

    def _open_producer(self, _beat: Callable[[], None]) -> TransactionalProducer:
        self.producers.append(FakeProducer(len(self.producers) + 1, self))
        return cast("TransactionalProducer", self.producers[-1])

    # ---- RestoreRequests ---------------------------------------------------------------------------------------

    def request(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        self.said.extend(("restore", each) for each in partitions)

    def forget(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        self.said.extend(("forget", each) for each in partitions)

    def check(self) -> None:
        self.said.append(("check", None))

    # ---- LoopSide ----------------------------------------------------------------------------------------------

    def restored(self, partition: Partition, assignment: int, topic_id: str, entries: Sequence[Entry]) -> None:
        self.said.append(("restored", (partition, assignment, topic_id, len(entries))))

    def delivered(self, records: Sequence[tuple[int, Record]]) -> None:
        self.said.extend(("delivered", (number, record.offset)) for number, record in records)

    def revoking(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        self.said.extend(("revoking", each) for each in partitions)
        self.when_revoking(partitions)

    def released(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        self.said.extend(("released", each) for each in partitions)

    def settled(self, writes: Sequence[Settled]) -> None:
        self.said.extend(("settled", (each.write.kind, type(each.error).__name__)) for each in writes)

    def kafka_ended(self, error: BaseException | None) -> None:
        self.said.append(("ended", error))

    # ---- what a test does --------------------------------------------------------------------------------------

    def turn(self, times: int = 1, *, after: float = 0.05) -> None:
        for _ in range(times):
            self.clock.now += after
            self.thread._turn(cast("Member", self.member))

    def own(self, *partitions: Partition, offset: int = 5) -> None:
        """Partitions are assigned and restored."""
        self.member.polls.append(lambda: self.thread.on_assigned(partitions))
        self.turn()
        for partition in partitions:
            self.report(partition, offset=offset)
        self.turn()

    def report(self, partition: Partition, *, number: int | None = None, offset: int = 5) -> None:
        assignment = number or self.number(partition)
        self.thread.report_restored(RestoreReport(partition, assignment, Found("topic-id", offset, ())))

    def report_failed(self, partition: Partition) -> None:
        failed = Failed("journal_unreadable", "damaged")
        self.thread.report_restored(RestoreReport(partition, self.number(partition), failed))

    def number(self, partition: Partition) -> int:
        return self.thread._owned[partition].number

    def write(
        self,
        partition: Partition,
        kind: Kind = "started",
        *,
        number: int | None = None,
        offset: int | None = None,
        topic: str = JOURNAL,
    ) -> Write:
        record = OutRecord(topic, f"{kind}-{partition}".encode(), b"value", (), 0)
        write = Write(kind, partition, number or self.number(partition), (record,), offset)
        self.thread.submit(write)
        return write

    def of(self, *names: str) -> list[tuple[str, object]]:
        return [each for each in self.said if each[0] in names]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"extend_connector_{name}", labels)
