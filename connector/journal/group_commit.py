"""Group commit: everything that waits shares one transaction, and an honest look at how it ended.

Owns the transactional producer and the writes that wait. Who owns which partition is the Kafka thread's business and
is handed in with every commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connector.adapters.kafka.transactions import End, Ended, TransactionalProducer
from connector.adapters.metrics import Metrics
from connector.core.commit import Assignment, Plan, Write, plan
from connector.core.errors import ConnectorError, OwnershipLost
from connector.core.record import OutRecord, Partition
from connector.journal.crossing import MOST_WRITES, PendingWrites, RecordTooLarge, Settled
from connector.logs import logger
from connector.stop_points import StopPoint

INITIALISE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 2.0
"""Between a transaction that was aborted and the next attempt."""
HELD_SECONDS = 5.0
"""How long a topic that takes nothing is left alone, so that writes for other topics go on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Kafka thread has to react to after a commit.

    Attributes:
        unclear: nobody knows how it ended: everything must be restored from the journal.
        fenced: our membership was refused as stale.
        stopped: partitions with a write that its topic will never take and that has no smaller form.
    """

    unclear: bool = False
    fenced: bool = False
    stopped: tuple[Partition, ...] = ()


class GroupCommit:
    """The writes that wait, and the one producer that writes them."""

    def __init__(
        self,
        *,
        open_producer: Callable[[], TransactionalProducer],
        mark: Callable[[Partition, str, int], OutRecord],
        linger: float,
        settled: Callable[[Sequence[Settled]], None],
        metrics: Metrics,
        stop_point: StopPoint,
        monotonic: Callable[[], float],
    ) -> None:
        """Build it; ``open`` readies the producer.

        Args:
            open_producer: makes a transactional producer, always with the same ``transactional.id``.
            mark: the journal record that says how far a partition is accounted for (partition, topic id, offset).
            linger: seconds that a write may wait for company.
            settled: told what became of writes.
            metrics: where to count.
            stop_point: test hook.
            monotonic: the clock.
        """
        self._open_producer = open_producer
        self._mark = mark
        self._linger = linger
        self._settled = settled
        self._metrics = metrics
        self._stop_point = stop_point
        self._monotonic = monotonic
        self._pending = PendingWrites()
        self._producer: TransactionalProducer | None = None
        self._held: dict[str, float] = {}
        self._aborts_in_row = 0
        self._not_before = 0.0
        self._singly = 0
        self.ready = False

    @property
    def unwritable(self) -> list[str]:
        """Topics that take nothing at the moment. May be read from any thread."""
        return sorted(self._held.copy())

    def open(self) -> bool:
        """Ready the producer, where it is not.

        Returns:
            Whether it has just become ready: only now the instance before it has left a truth to be restored.

        Raises:
            ConnectorError: the broker will never allow it.
        """
        if self.ready:
            return False
        if self._producer is None:
            self._producer = self._open_producer()
        self.ready = self._producer.initialise(INITIALISE_SECONDS)
        return self.ready

    def add(self, write: Write) -> None:
        """A write wants to be committed."""
        if not self._pending.writes:
            self._pending.since = self._monotonic()
        self._pending.writes.append(write)

    def waits_for(self) -> set[tuple[Partition, int]]:
        """The assignments with writes that a commit would take."""
        return {
            (write.partition, write.assignment)
            for write in self._pending.writes
            if not any(record.topic in self._held for record in write.records)
        }

    def may_commit(self) -> bool:
        """Whether something waits, and the pause after an abort is over."""
        return self.ready and bool(self._pending.writes) and self._monotonic() >= self._not_before

    def is_due(self) -> bool:
        """Whether something has waited long enough for company, or the company is complete."""
        full = len(self._pending.writes) >= MOST_WRITES
        return self.may_commit() and (full or self._monotonic() - self._pending.since >= self._linger)

    def commit(self, owned: Mapping[Partition, Assignment], metadata: object) -> Verdict:
        """One transaction with what waits.

        Args:
            owned: the assignments at the time of the metadata.
            metadata: the group metadata.
        """
        producer = self._producer
        if producer is None or not self.ready:
            return Verdict()
        made = plan(self._pending.take(1 if self._singly else MOST_WRITES, self._still_held()), owned)
        self._settle(made.dropped, error=OwnershipLost("The partition is not ours any more."))
        self._metrics.dropped_writes.inc(len(made.dropped))
        if not made.writes:
            return Verdict()
        begun = self._monotonic()
        records = self._records_of(made, owned)
        ended = producer.write(records, made.offsets, metadata, lambda: self._reached(made))
        self._pending.since = self._monotonic()
        self._metrics.transactions.labels(end=ended.end.value).inc()
        self._metrics.transaction_duration_seconds.observe(self._pending.since - begun)
        if ended.fenced:
            self._metrics.fenced_transactions.inc()
        if ended.end is End.COMMITTED:
            return self._committed(made, owned, records, begun)
        if ended.end is End.ABORTED:
            return self._aborted(made, ended)
        return self._unclear(made, ended)

    def close(self) -> None:
        """Let the producer go."""
        if self._producer is not None:
            self._producer.close()

    def _still_held(self) -> set[str]:
        now = self._monotonic()
        return {topic for topic, until in self._held.items() if now < until}

    def _records_of(self, made: Plan, owned: Mapping[Partition, Assignment]) -> list[OutRecord]:
        records = [record for write in made.writes for record in write.records]
        records.extend(self._mark(p, owned[p].topic_id, offset) for p, offset in made.offsets.items())
        return records

    def _reached(self, made: Plan) -> None:
        if any(write.kind == "result" for write in made.writes):
            self._stop_point("before_result_commit")

    def _committed(
        self,
        made: Plan,
        owned: Mapping[Partition, Assignment],
        records: Sequence[OutRecord],
        begun: float,
    ) -> Verdict:
        self._aborts_in_row = 0
        self._singly = max(0, self._singly - 1)
        for topic in {record.topic for record in records} & self._held.keys():
            del self._held[topic]
            logger.info("topic_writable_again", topic=topic)
        for partition, offset in made.offsets.items():
            owned[partition].next_offset = offset
        kinds = {write.kind for write in made.writes}
        if "intent" in kinds:
            self._stop_point("after_intent_commit")
        if "result" in kinds:
            self._stop_point("after_result_commit")
        self._settle(made.writes, begun=begun)
        return Verdict()

    def _aborted(self, made: Plan, ended: Ended) -> Verdict:
        self._aborts_in_row += 1
        pause = min(0.02 * 2 ** min(self._aborts_in_row, 7), LONGEST_PAUSE_SECONDS)
        self._not_before = self._monotonic() + pause
        if not ended.fenced:
            self._metrics.produce_errors.labels(error=ended.reason).inc()
        if ended.broken:
            self._replace_producer()
        for topic in ended.stuck:
            if topic not in self._held:
                logger.error("topic_not_writable", topic=topic, reason=ended.reason)
            self._held[topic] = self._monotonic() + HELD_SECONDS
        if ended.refused:
            return self._refused(made)
        # Routine: a rebalance that moved nothing still changes the generation. Poll, take a new snapshot, go on.
        if self._aborts_in_row > 1:
            logger.warning("transaction_aborted", reason=ended.reason, in_a_row=self._aborts_in_row)
        self._pending.put_back(made.writes)
        return Verdict(fenced=ended.fenced)

    def _refused(self, made: Plan) -> Verdict:
        """Brokers refuse whole batches for their size, so only a write that was alone is known to be at fault."""
        if len(made.writes) > 1:
            self._singly = len(made.writes)
            self._pending.put_back(made.writes)
            return Verdict()
        self._singly = max(0, self._singly - 1)
        self._settle(made.writes, error=RecordTooLarge("The topic refuses a record of this size or without a key."))
        # A result has a smaller form. Nothing else has, and later offsets must not pass it: its partition stops.
        write = made.writes[0]
        return Verdict() if write.kind in ("result", "review") else Verdict(stopped=(write.partition,))

    def _unclear(self, made: Plan, ended: Ended) -> Verdict:
        """Nobody knows how it ended. The journal does: a new producer settles it, and then everything is re-read."""
        logger.warning("transaction_unclear", reason=ended.reason, writes=len(made.writes))
        self._settle(made.writes, error=OwnershipLost("The end of its transaction is unknown; the journal decides."))
        self._replace_producer()
        return Verdict(unclear=True)

    def _replace_producer(self) -> None:
        """The next one has the same id: it settles what this one left before it begins anything."""
        self.close()
        self._producer, self.ready = None, False

    def _settle(self, writes: Sequence[Write], *, begun: float = 0.0, error: ConnectorError | None = None) -> None:
        if writes:
            self._settled([Settled(write, begun, error) for write in writes])
