"""A fake of the Kafka thread as the event loop sees it: transactions end after a chosen time, well or not.

What is committed is kept as a broker would: the journal as bytes that are folded and decoded again at each restore,
results and dead letters by topic, one offset for each input partition. Ownership is decided by ``core.commit.plan``,
as in the real thread.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connector.core.commit import Assignment, Phase, Plan, Write, plan
from connector.core.entry import Entry
from connector.core.errors import ConnectorError, JournalError, OwnershipLost
from connector.core.journal_record import JournalCodec
from connector.core.record import OutRecord, Partition, Record
from connector.journal.crossing import LoopSide, RecordTooLarge, Settled

TOPIC_ID = "topic-id"


@dataclass
class FakeKafka:
    """Takes writes and tells the loop side what became of them.

    Attributes:
        journal_topic: records of this topic are the journal.
        delay: seconds from the first waiting write to the commit.
        too_large: records that the topic refuses.
        unclear: what the next transactions come to, one after the other: True, committed and nobody knows; False, not
            committed and nobody knows. Empty: they end well.
    """

    codec: JournalCodec
    events: list[tuple[str, str]]
    journal_topic: str = "invoices.journal"
    delay: float = 0.02
    too_large: Callable[[OutRecord], bool] = lambda _record: False
    unclear: deque[bool] = field(default_factory=deque)
    held: bool = False
    journal: dict[bytes, bytes] = field(default_factory=dict)
    topics: dict[str, list[OutRecord]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[Partition, int] = field(default_factory=dict)
    owned: dict[Partition, Assignment] = field(default_factory=dict)
    committed: list[Write] = field(default_factory=list)
    dropped: list[Write] = field(default_factory=list)
    paused: set[Partition] = field(default_factory=set)
    paused_times: int = 0
    drained_said: list[tuple[Partition, int]] = field(default_factory=list)
    stopped: set[Partition] = field(default_factory=set)
    log: dict[Partition, list[Record]] = field(default_factory=lambda: defaultdict(list))
    _pending: list[Write] = field(default_factory=list)
    _numbers: int = 0
    _timer: asyncio.TimerHandle | None = None
    loop_side: LoopSide | None = None

    @property
    def side(self) -> LoopSide:
        assert self.loop_side is not None
        return self.loop_side

    # ---- what the loop calls ---------------------------------------------------------------------------------

    def submit(self, write: Write) -> None:
        self._pending.append(write)
        self._arm()

    def pause(self, partition: Partition, assignment: int) -> None:
        if self._is(partition, assignment):
            self.paused.add(partition)
            self.paused_times += 1

    def resume(self, partition: Partition, assignment: int) -> None:
        if self._is(partition, assignment):
            self.paused.discard(partition)

    def drained(self, partition: Partition, assignment: int) -> None:
        self.drained_said.append((partition, assignment))
        self.events.append(("drained", str(partition)))

    # ---- what a test does ------------------------------------------------------------------------------------

    def assign(self, partition: Partition) -> int:
        """The partition becomes ours, with what the journal says about it."""
        self._numbers += 1
        offset = self.offsets.get(partition, 0)
        self.owned[partition] = Assignment(self._numbers, Phase.LIVE, TOPIC_ID, offset)
        self.paused.discard(partition)
        self.side.restored(partition, self._numbers, TOPIC_ID, self.entries(partition))
        self.deliver(*(record for record in self.log[partition] if record.offset >= offset))
        return self._numbers

    def revoke(self, partition: Partition) -> int:
        """The partition is on its way out; returns the number of its assignment."""
        assignment = self.owned[partition]
        assignment.phase = Phase.SETTLING
        self.side.revoking([(partition, assignment.number)])
        return assignment.number

    def lose(self, partition: Partition) -> int:
        """The partition is gone."""
        number = self.owned.pop(partition).number
        self.side.released([(partition, number)])
        return number

    def deliver(self, *records: Record) -> None:
        self.side.delivered([(self.owned[record.partition].number, record) for record in records])

    def append(self, record: Record) -> None:
        """A record comes into the input topic; whoever owns its partition, now or later, gets it."""
        self.log[record.partition].append(record)
        assignment = self.owned.get(record.partition)
        if assignment is not None and assignment.phase is Phase.LIVE:
            self.deliver(record)

    def process_died(self) -> None:
        """What was not committed is gone, and so is who would have been told."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._pending.clear()
        self.owned.clear()

    def hold(self) -> None:
        """No transaction ends until ``release``."""
        self.held = True

    def release(self) -> None:
        self.held = False
        self._arm()

    def entries(self, partition: Partition) -> tuple[Entry, ...]:
        """What a restore would find."""
        restored = self.codec.restore(self.journal, [partition])[partition]
        assert not isinstance(restored, JournalError)
        return restored.entries

    # ---- transactions ----------------------------------------------------------------------------------------

    def _is(self, partition: Partition, assignment: int) -> bool:
        owned = self.owned.get(partition)
        return owned is not None and owned.number == assignment

    def _arm(self) -> None:
        if self._pending and self._timer is None and not self.held:
            self._timer = asyncio.get_running_loop().call_later(self.delay, self._transaction)

    def _transaction(self) -> None:
        self._timer = None
        if self.held:
            return
        begun = asyncio.get_running_loop().time()
        made = plan(self._pending, self.owned)
        self._pending = []
        self._settle(made.dropped, OwnershipLost("not ours"), begun)
        self.dropped += made.dropped
        refused = [write for write in made.writes if any(map(self.too_large, write.records))]
        if refused:
            self._refuse(refused)
            self._pending = [write for write in made.writes if write not in refused]
            self._arm()
            return
        if not made.writes:
            return
        if self.unclear:
            self._end_unclear(made, committed=self.unclear.popleft())
            return
        self._apply(made)
        self._settle(made.writes, None, begun)

    def _refuse(self, refused: Sequence[Write]) -> None:
        self._settle(refused, RecordTooLarge("too large"), 0.0)
        for write in refused:
            if write.next_offset is not None:
                self.stopped.add(write.partition)
                self.revoke(write.partition)

    def _end_unclear(self, made: Plan, *, committed: bool) -> None:
        if committed:
            self._apply(made)
        self._settle(made.writes, OwnershipLost("unclear"), 0.0)
        for partition in list(self.owned):
            self.lose(partition)
            self.assign(partition)

    def _apply(self, made: Plan) -> None:
        assert made.offsets, "a transaction without offsets fences nobody"
        for write in made.writes:
            for record in write.records:
                self._append(record)
            self.committed.append(write)
            self.events.append(("commit", f"{write.kind} {write.partition}"))
        for partition, offset in made.offsets.items():
            assert offset >= self.offsets.get(partition, 0), "an offset went back"
            self.offsets[partition] = offset
            self.owned[partition].next_offset = offset

    def _append(self, record: OutRecord) -> None:
        if record.topic != self.journal_topic:
            self.topics[record.topic].append(record)
        elif record.value is None:
            self.journal.pop(record.key or b"", None)
        else:
            self.journal[record.key or b""] = record.value

    def _settle(self, writes: Sequence[Write], error: ConnectorError | None, begun: float) -> None:
        if writes:
            self.side.settled([Settled(write, begun, error) for write in writes])
