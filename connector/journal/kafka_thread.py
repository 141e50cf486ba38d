"""The Kafka thread: the one owner of the group membership, of the ownership numbers and of the transactions.

One turn polls, takes a snapshot of what is owned together with the group metadata, hands records to the event loop
and commits what waits. Everything happens in turn, so ownership cannot change between a check and a commit.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from connector.adapters.kafka.member import Listener, Member, Polled
from connector.adapters.kafka.transactions import TransactionalProducer
from connector.adapters.metrics import Metrics
from connector.core.commit import Assignment, Phase, Write
from connector.core.record import OutRecord, Partition, Record
from connector.journal.crossing import LoopSide
from connector.journal.group_commit import GroupCommit, Verdict
from connector.journal.restore import Failed, RestoreReport, RestoreRequests
from connector.logs import logger
from connector.stop_points import StopPoint

MOST_RECORDS = 500
"""Records taken by one poll."""
REVOKE_SECONDS = 20.0
"""How long a revocation may wait for open POSTs; start.deadline is shorter."""
FAREWELL_SECONDS = 1.0
"""The same once the process leaves: open POSTs were waited for before, or shall not be."""
REFUSALS_MOST = 3
"""Transactions in a row that may be refused as stale while partitions are revoked."""
FINISH_SECONDS = 5.0
"""How long writing what waits may take once the process leaves."""
UNREADY_SECONDS = 3.0
"""How long a partition may refuse its new position before we join the group anew."""
REPORT_SECONDS = 1.0
MIN_POLL_SECONDS = 0.005
MAX_POLL_SECONDS = 0.05
"""A poll cannot be woken by the event loop, so it waits about as long as a write may."""


@dataclass(frozen=True, slots=True)
class Owned:
    """What is known of one partition that is ours.

    Attributes:
        partition: which.
        number: the number of its assignment.
        phase: where the assignment is.
        next_offset: the mark: the first offset that is not accounted for; None until it is known.
        lag: records from there to the end of the log at most, or None.
        stopped: why it is stopped, a code; or None.
    """

    partition: Partition
    number: int
    phase: Phase
    next_offset: int | None
    lag: int | None
    stopped: str | None


class KafkaThread(Listener):
    """Runs the turns. Public methods without an underscore may be called from any thread."""

    def __init__(
        self,
        *,
        open_member: Callable[[Listener, Callable[[], None]], Member],
        open_producer: Callable[[Callable[[], None]], TransactionalProducer],
        restorer: RestoreRequests,
        mark: Callable[[Partition, str, int], OutRecord],
        linger: float,
        metrics: Metrics,
        stop_point: StopPoint,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build the thread; ``start`` runs it.

        Args:
            open_member: makes the group member.
            open_producer: makes a transactional producer, always with the same ``transactional.id``.
            restorer: reads journals on a thread of its own.
            mark: the journal record that says how far a partition is accounted for (partition, topic id, offset).
            linger: seconds that a write may wait for company.
            metrics: where to count.
            stop_point: test hook.
            monotonic: the clock.
        """
        self._open_member = open_member
        self._restorer = restorer
        self._patience = min(max(linger, MIN_POLL_SECONDS), MAX_POLL_SECONDS)
        self._metrics = metrics
        self._monotonic = monotonic
        self._commit = GroupCommit(
            open_producer=lambda: open_producer(self._beat),
            mark=mark,
            linger=linger,
            settled=lambda writes: self._tell(lambda side: side.settled(writes)),
            metrics=metrics,
            stop_point=stop_point,
            monotonic=monotonic,
        )
        self._member: Member | None = None
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._owned: dict[Partition, Assignment] = {}
        self._numbers = 0
        self._drained: set[tuple[Partition, int]] = set()
        self._leaving: frozenset[Partition] = frozenset()
        self._alarms: dict[Partition, str] = {}
        self._lags: dict[Partition, int] = {}
        self._restored_meanwhile: list[RestoreReport] = []
        self._unready_since: dict[Partition, float] = {}
        self._to_restore: list[tuple[Partition, int]] = []
        self._last_report = 0.0
        self._stopping = False
        self._loop_side: LoopSide | None = None
        self._post: Callable[[Callable[[], None]], None] = lambda call: call()
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self.last_beat = monotonic()

    # ---- from any thread -------------------------------------------------------------------------------------

    def start(self, loop_side: LoopSide, post: Callable[[Callable[[], None]], None]) -> None:
        """Run the thread.

        Args:
            loop_side: who is told.
            post: runs a call on the event loop, in order (``loop.call_soon_threadsafe``).
        """
        self._loop_side = loop_side
        self._post = post
        self._thread.start()

    def submit(self, write: Write) -> None:
        """Queue a write; ``LoopSide.settled`` says what became of it."""
        self._commands.put(partial(self._commit.add, write))

    def pause(self, partition: Partition, assignment: int) -> None:
        """Stop fetching a partition; nothing happens when this assignment of it is over."""
        self._commands.put(lambda: self._pause(partition, assignment))

    def resume(self, partition: Partition, assignment: int) -> None:
        """Fetch a partition again; likewise."""
        self._commands.put(lambda: self._resume(partition, assignment))

    def drained(self, partition: Partition, assignment: int) -> None:
        """Nothing of this assignment is open any more; its revocation may end."""
        self._commands.put(lambda: self._drained.add((partition, assignment)))

    def report_restored(self, report: RestoreReport) -> None:
        """A restore is done."""
        self._commands.put(lambda: self._restored(report))

    def report_topic(self, topic: str, topic_id: str) -> None:
        """The topic has this id now."""
        self._commands.put(lambda: self._topic_seen(topic, topic_id))

    def report_failure(self, error: BaseException) -> None:
        """The restore thread is over; this one must end too."""
        self._commands.put(partial(_raise, error))

    def stop(self) -> None:
        """Write what waits, leave the group, end."""
        self._commands.put(self._stop)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; whether it ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def joined(self) -> bool:
        """Whether the group has accepted us; also without partitions."""
        return self._thread.is_alive() and self._member is not None and self._member.joined

    @property
    def unwritable(self) -> list[str]:
        """Topics that take nothing at the moment."""
        return self._commit.unwritable

    @property
    def restoring(self) -> int:
        """Partitions whose journal is being read."""
        return sum(a.phase is Phase.RESTORING for a in list(self._owned.values()))

    def owned(self) -> list[Owned]:
        """What is ours now, in order."""
        return [
            Owned(
                partition,
                assignment.number,
                assignment.phase,
                assignment.next_offset if assignment.next_offset >= 0 else None,
                self._lags.get(partition),
                self._alarms.get(partition),
            )
            for partition, assignment in sorted(self._owned.copy().items())
        ]

    # ---- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            member = self._member = self._open_member(self, self._beat)
            while not self._stopping:
                self._turn(member)
            self._finish(member)
        except BaseException as caught:  # noqa: BLE001 - whatever it was, the process must hear of it and end
            error = caught
        self._tell(lambda side: side.kafka_ended(error))

    def _turn(self, member: Member) -> None:
        self._beat()
        self._serve_commands()
        reports, self._restored_meanwhile = self._restored_meanwhile, []
        for report in reports:
            self._restored(report)
        self._open_commit()
        polled = member.poll(self._patience, MOST_RECORDS)
        metadata = member.metadata()  # one snapshot with self._owned: nothing below polls before the commit
        self._deliver(polled)
        self._serve_commands()
        if self._commit.is_due():
            self._transaction(metadata)
        now = self._monotonic()
        if now - self._last_report >= REPORT_SECONDS:
            self._last_report = now
            self._report(member)

    def _beat(self) -> None:
        self.last_beat = self._monotonic()

    def _tell(self, what: Callable[[LoopSide], None]) -> None:
        side = self._loop_side
        if side is not None:
            self._post(lambda: what(side))

    def _serve_commands(self, wait: float = 0.0) -> None:
        try:
            self._commands.get(block=wait > 0, timeout=wait or None)()
            while True:
                self._commands.get_nowait()()
        except queue.Empty:
            return

    def _pause(self, partition: Partition, number: int) -> None:
        # A pause that the loop asked for before it heard of a new assignment would never be taken back.
        if self._is_live(partition, number):
            self._pause_fetching(partition)

    def _resume(self, partition: Partition, number: int) -> None:
        if self._is_live(partition, number) and self._member is not None:
            self._member.resume([partition])

    def _is_live(self, partition: Partition, number: int) -> bool:
        assignment = self._owned.get(partition)
        return assignment is not None and assignment.number == number and assignment.phase is Phase.LIVE

    def _stop(self) -> None:
        self._stopping = True

    def _pause_fetching(self, partition: Partition) -> None:
        if self._member is not None:
            self._member.pause([partition])

    def _metadata(self) -> object:
        return self._member.metadata() if self._member is not None else None

    def _finish(self, member: Member) -> None:
        """Write what waits, then leave. Leaving revokes, and so settles, what is still owned."""
        deadline = self._monotonic() + FINISH_SECONDS
        while self._commit.waits_for() and self._commit.ready and self._monotonic() < deadline:
            self._serve_commands(wait=0.005)
            if self._commit.may_commit():
                self._transaction(member.metadata())
        member.close()
        self._commit.close()

    def _open_commit(self) -> None:
        if self._commit.open():
            self._request_restores()

    def _request_restores(self) -> None:
        """Have journals read; while the producer is being replaced, later: then they show what it has settled."""
        if self._commit.ready and self._to_restore:
            self._restorer.request(self._to_restore)
            self._to_restore = []

    def _transaction(self, metadata: object) -> Verdict:
        verdict = self._commit.commit(self._owned, metadata)
        for partition in verdict.stopped:
            self._stop_partition(partition, "record_too_large")
        if verdict.unclear:
            for partition in list(self._owned):
                self._renew(partition)
        return verdict

    # ---- ownership -------------------------------------------------------------------------------------------

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Part of ``Listener``: number the assignment and have its journal read."""
        self._metrics.rebalances.labels(kind="assigned").inc()
        for partition in partitions:
            self._number(partition)
        logger.info("partitions_assigned", partitions=[str(p) for p in partitions])
        self._request_restores()

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Part of ``Listener``: settle what is open, while the other partitions keep committing."""
        self._metrics.rebalances.labels(kind="revoked").inc()
        self._leaving = frozenset(partitions)
        going = {partition: self._owned[partition] for partition in partitions if partition in self._owned}
        for assignment in going.values():
            if assignment.phase is Phase.LIVE:
                assignment.phase = Phase.SETTLING
        numbers = [(p, a.number) for p, a in going.items() if a.phase is Phase.SETTLING]
        self._tell(lambda side: side.revoking(numbers))
        deadline = self._monotonic() + (FAREWELL_SECONDS if self._stopping else REVOKE_SECONDS)
        refusals = 0
        while self._unsettled(numbers) and self._monotonic() < deadline:
            self._beat()
            self._open_commit()
            self._serve_commands(wait=0.005)
            # The snapshot of the last poll is refused in here, fresh metadata is accepted (measured, Kafka 4.4.0).
            if self._commit.may_commit():
                refusals = refusals + 1 if self._transaction(self._metadata()).fenced else 0
            if refusals >= REFUSALS_MOST:
                break  # fresh metadata is refused all the same: we are out of the group, so these are lost
        left = self._unsettled(numbers)
        if left:
            logger.warning("revoked_with_open_starts", partitions=[str(partition) for partition, _ in left])
        self._release(going)
        self._leaving = frozenset()
        logger.info("partitions_revoked", partitions=[str(p) for p in partitions])

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Part of ``Listener``: they are gone; whoever has them now reads the journal."""
        self._metrics.rebalances.labels(kind="lost").inc()
        logger.warning("partitions_lost", partitions=[str(p) for p in partitions])
        self._release(partitions)

    def _unsettled(self, numbers: Sequence[tuple[Partition, int]]) -> list[tuple[Partition, int]]:
        queued = self._commit.waits_for()
        return [
            (partition, number)
            for partition, number in numbers
            if partition in self._owned
            and self._owned[partition].number == number
            and ((partition, number) not in self._drained or (partition, number) in queued)
        ]

    def _number(self, partition: Partition) -> None:
        self._numbers += 1
        self._owned[partition] = Assignment(self._numbers)
        self._to_restore.append((partition, self._numbers))

    def _renew(self, partition: Partition) -> None:
        """Start a partition over from the journal, in place; nothing of the old assignment may be written any more."""
        self._release([partition])
        if partition not in self._leaving:
            self._pause_fetching(partition)
            self._number(partition)

    def _release(self, partitions: Iterable[Partition]) -> None:
        gone = [(p, self._owned.pop(p).number) for p in list(partitions) if p in self._owned]
        self._drained.difference_update(gone)
        for partition, _ in gone:
            self._forget_figures(partition)
        self._restorer.forget(gone)
        self._tell(lambda side: side.released(gone))

    def _restored(self, report: RestoreReport) -> None:
        if self._leaving:  # inside a revoke callback the assignment must not be touched
            self._restored_meanwhile.append(report)
            return
        assignment = self._owned.get(report.partition)
        if assignment is None or assignment.number != report.assignment or assignment.phase is not Phase.RESTORING:
            return
        if isinstance(report.outcome, Failed):
            assignment.phase = Phase.STOPPED
            self._alarm(report.partition, report.outcome.reason, report.outcome.message)
            return
        found = report.outcome
        if self._member is None or not self._member.begin(report.partition, found.offset):
            self._restored_meanwhile.append(report)
            self._rejoin_if_stuck(report.partition)
            return
        self._unready_since.pop(report.partition, None)
        assignment.phase = Phase.LIVE
        assignment.topic_id = found.topic_id
        assignment.next_offset = found.offset
        self._tell(
            lambda side: side.restored(report.partition, report.assignment, found.topic_id, found.entries),
        )

    def _rejoin_if_stuck(self, partition: Partition) -> None:
        """A client is not ready for a new position for a moment; for a topic that was made again it never will be."""
        since = self._unready_since.setdefault(partition, self._monotonic())
        if self._monotonic() - since > UNREADY_SECONDS and self._member is not None:
            logger.warning("rejoining", partition=str(partition))
            self._unready_since.clear()
            self._member.rejoin()

    def _topic_seen(self, topic: str, topic_id: str) -> None:
        for partition, assignment in list(self._owned.items()):
            known = assignment.topic_id not in ("", topic_id)
            if partition.topic == topic and known and partition not in self._leaving:
                logger.warning("topic_recreated", partition=str(partition))
                self._renew(partition)
        self._request_restores()

    def _stop_partition(self, partition: Partition, reason: str) -> None:
        """Read no further; what is open goes on."""
        assignment = self._owned.get(partition)
        if assignment is None or assignment.phase is not Phase.LIVE:
            return  # a restore that is under way decides by itself where to go on
        self._pause_fetching(partition)
        assignment.phase = Phase.SETTLING
        numbers = [(partition, assignment.number)]
        self._tell(lambda side: side.revoking(numbers))
        self._alarm(partition, reason, _WAYS_OUT[reason])

    def _alarm(self, partition: Partition, reason: str, message: str) -> None:
        self._forget_alarm(partition)
        self._alarms[partition] = reason
        self._metrics.stopped_partitions.labels(**_labels(partition), reason=reason).set(1)
        logger.error("partition_stopped", partition=str(partition), reason=reason, message=message)

    def _forget_figures(self, partition: Partition) -> None:
        self._lags.pop(partition, None)
        self._metrics.consumer_lag_records.remove(**_labels(partition))
        self._metrics.next_offset.remove(**_labels(partition))
        self._forget_alarm(partition)

    def _forget_alarm(self, partition: Partition) -> None:
        reason = self._alarms.pop(partition, None)
        if reason is not None:
            self._metrics.stopped_partitions.remove(**_labels(partition), reason=reason)

    # ---- records and figures ---------------------------------------------------------------------------------

    def _deliver(self, polled: Polled) -> None:
        ours: list[tuple[int, Record]] = []
        for record in polled.records:
            assignment = self._owned.get(record.partition)
            if assignment is not None and assignment.phase is Phase.LIVE:
                ours.append((assignment.number, record))
                assignment.backlog.take(record.next_offset)
        if ours:
            self._tell(lambda side: side.delivered(ours))
        for partition, end in polled.ended:
            assignment = self._owned.get(partition)
            if assignment is not None and assignment.phase is Phase.LIVE:
                assignment.backlog.reach(end)
        for partition in polled.broken:
            self._restorer.check()  # a topic made again does this too, and is no alarm
            self._stop_partition(partition, "offset_out_of_range")

    def _report(self, member: Member) -> None:
        self._metrics.assigned_partitions.set(len(self._owned))
        for partition, assignment in self._owned.items():
            end = member.log_end(partition)
            if end is not None and assignment.next_offset >= 0:
                lag = assignment.backlog.lag(assignment.next_offset, end)
                self._lags[partition] = lag
                self._metrics.consumer_lag_records.labels(**_labels(partition)).set(lag)
                self._metrics.next_offset.labels(**_labels(partition)).set(assignment.next_offset)


_WAYS_OUT = {
    "offset_out_of_range": "Its next record is gone from the topic: records were deleted before they were read. "
    "Set the group's offset to where it shall go on (kafka-consumer-groups.sh --reset-offsets) while no worker runs.",
    "record_too_large": "The journal or the dead-letter topic refuses a record that fitted when the worker started: "
    "raise their max.message.bytes (`extend-connector topics` says to what), then restart the worker.",
}


def _raise(error: BaseException) -> None:
    raise error


def _labels(partition: Partition) -> dict[str, str]:
    return {"topic": partition.topic, "partition": str(partition.number)}
