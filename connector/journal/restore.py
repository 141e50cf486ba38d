"""Restoring: reading what the journal says about partitions that became ours.

A thread of its own with consumers that never join, so that healthy partitions keep polling and committing meanwhile.
The order is the guarantee: stable committed offsets first, the log end second, and only then the records up to it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connector.adapters.metrics import Metrics
from connector.core.entry import Entry
from connector.core.errors import ConnectorError, JournalError, TopicError
from connector.core.journal_record import (
    JournalCodec,
    Mark,
    Restored,
    fingerprint_of,
)
from connector.core.positions import Cause, Position, start_position
from connector.core.record import Partition
from connector.core.topics import companion_partition
from connector.journal.questions import Cluster, Reader, known
from connector.logs import logger

BLOCKED_SECONDS = 1.0
"""How long an answer may be withheld before a dead predecessor is suspected."""
MARGIN_SECONDS = 20.0
"""Above ``transaction.timeout.ms``: past that a restore is overdue and an operator hears of it."""
WITHHELD_MOST = 4
"""Offsets that may be withheld in one round of single questions, half a second each; the rest has its turn next."""
RETRY_SECONDS = 0.5
CHECK_SECONDS = 5.0
"""How often the ids of the input topics are compared."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a partition goes on with."""

    topic_id: str
    offset: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a partition cannot go on by itself."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The answer to one request."""

    partition: Partition
    assignment: int
    outcome: Found | Failed


class RestoreRequests(Protocol):
    """What the Kafka thread asks for."""

    def request(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """Read the journal of these assignments."""

    def forget(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """These assignments are over; their restores need not go on."""

    def check(self) -> None:
        """Look at the ids of the topics soon."""


class Reports(Protocol):
    """Who is told; the Kafka thread."""

    def report_restored(self, report: RestoreReport) -> None:
        """A restore is done."""

    def report_topic(self, topic: str, topic_id: str) -> None:
        """The topic has this id now."""

    def report_failure(self, error: BaseException) -> None:
        """Restoring is over because of a mistake in the connector; the process must end."""


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """Where the journal is and what it must look like."""

    name: str
    topic: str
    partitions: int

    def of(self, partition: Partition) -> Partition:
        """The journal partition of an input partition."""
        return Partition(self.topic, companion_partition(partition.number, self.partitions))

    @property
    def fingerprint(self) -> str:
        """What every mark must carry."""
        return fingerprint_of(self.name, self.partitions)


@dataclass(slots=True)
class _Job:
    assignment: int
    since: float
    alerted: bool = False


_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")
ReaderT = TypeVar("ReaderT", bound=Reader)
ClusterT = TypeVar("ClusterT", bound=Cluster)


class Restorer(Generic[ReaderT, ClusterT]):
    """The restore thread."""

    def __init__(
        self,
        *,
        open_reader: Callable[[], ReaderT],
        open_cluster: Callable[[], ClusterT],
        release: Callable[[list[Partition], ReaderT, ClusterT], None],
        codec: JournalCodec,
        place: JournalPlace,
        topics: Iterable[str],
        start_ms: int | None,
        transaction_timeout: float,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Build the thread; ``start`` runs it.

        Args:
            open_reader: makes the reader, on the thread.
            open_cluster: makes the admin client, on the thread.
            release: ends open transactions of dead writers in these journal partitions.
            codec: journal values.
            place: where the journal is.
            topics: the input topics, whose ids are compared.
            start_ms: ``input.start`` as an instant, or None for the earliest record.
            transaction_timeout: seconds; bounds how long a living writer can be in the way.
            metrics: where to count.
            monotonic: the clock.
            sleep: waits between two attempts.
        """
        self._open_reader = open_reader
        self._open_cluster = open_cluster
        self._release = release
        self._codec = codec
        self._place = place
        self._start_ms = start_ms
        self._bound = transaction_timeout + MARGIN_SECONDS
        self._metrics = metrics
        self._monotonic = monotonic
        self._sleep = sleep
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._jobs: dict[Partition, _Job] = {}
        self._topics = set(topics)
        self._trouble: ConnectorError | None = None
        self._thread = threading.Thread(target=self._run, name="restore", daemon=True)
        self._next_check = 0.0
        self._over = False
        self._said = ""
        self.kafka_answered = 0.0

    def start(self, reports: Reports) -> None:
        """Run the thread."""
        self._reports = reports
        self._thread.start()

    def stop(self) -> None:
        """End the thread soon."""
        self._inbox.put(self._end)

    def request(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """Part of ``RestoreRequests``."""
        wanted = list(partitions)
        self._inbox.put(lambda: self._add(wanted))

    def forget(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """Part of ``RestoreRequests``."""
        gone = list(partitions)
        self._inbox.put(lambda: self._drop(gone))

    def check(self) -> None:
        """Part of ``RestoreRequests``."""
        self._inbox.put(self._hurry)

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._reader = self._open_reader()
            self._cluster = self._open_cluster()
            while not self._over:
                self._serve()
                try:
                    self._step()
                    self._said = ""
                except ConnectorError as error:  # brokers away, a topic missing: say it once, try again
                    if self._said != str(error):
                        self._said = str(error)
                        logger.warning("restore_waits", reason=self._said)
                    self._sleep(RETRY_SECONDS)
                    # An admin client may go on asking the broker that died (seen for 70 s, three nodes, group
                    # coordinator killed); a new one begins at the bootstrap servers.
                    self._cluster.close()
                    self._cluster = self._open_cluster()
            self._reader.close()
            self._cluster.close()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the process must hear of it and end
            self._reports.report_failure(error)

    def _serve(self) -> None:
        wait = 0.05 if self._jobs else max(0.05, self._next_check - self._monotonic())
        try:
            self._inbox.get(timeout=wait)()
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            return

    def _end(self) -> None:
        self._over = True

    def _hurry(self) -> None:
        self._next_check = 0.0

    def _add(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        now = self._monotonic()
        for partition, assignment in partitions:
            self._jobs[partition] = _Job(assignment, now)
            self._topics.add(partition.topic)

    def _drop(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        for partition, assignment in partitions:
            job = self._jobs.get(partition)
            if job is not None and job.assignment == assignment:
                del self._jobs[partition]

    def _step(self) -> None:
        """One round. What cannot be answered stops nothing else, and is raised at the end.

        Raises:
            ConnectorError: the last thing that could not be answered.
        """
        self._trouble = None
        try:
            if self._jobs:
                self._restore_answered()
            if self._monotonic() >= self._next_check:
                self._next_check = self._monotonic() + CHECK_SECONDS
                for topic, topic_id in self._known(self._cluster.each_topic_id(self._topics)).items():
                    self._reports.report_topic(topic, topic_id)
        finally:
            self._note_overdue()
        if self._trouble is not None:
            raise self._trouble

    def _restore_answered(self) -> None:
        try:
            held_back = self._read(self._committed())
        except ConnectorError as error:
            self._note(error)
        else:
            self._release_dead(held_back)

    def _release_dead(self, journals: Sequence[Partition]) -> None:
        if not journals:
            return
        try:
            self._release(list(journals), self._reader, self._cluster)
        except ConnectorError as error:
            self._note(error)

    def _known(self, answers: Mapping[_Asked, _Answer | TopicError]) -> dict[_Asked, _Answer]:
        found = known(answers, self._note)
        if found or not answers:
            self._note_answer()
        return found

    def _note(self, error: ConnectorError) -> None:
        self._trouble = error

    def _note_answer(self) -> None:
        self.kafka_answered = self._monotonic()

    def _journals_of(self, partitions: Iterable[Partition]) -> list[Partition]:
        return sorted({self._place.of(partition) for partition in partitions})

    def _note_overdue(self) -> None:
        overdue = [p for p, job in self._jobs.items() if self._monotonic() - job.since > self._bound]
        self._metrics.restores_blocked.set(len(overdue))
        for partition in overdue:
            if not self._jobs[partition].alerted:
                self._jobs[partition].alerted = True
                logger.error("restore_overdue", partition=str(partition), journal=str(self._place.of(partition)))

    def _committed(self) -> dict[Partition, int | None]:
        answered = self._ask_committed(list(self._jobs), BLOCKED_SECONDS)
        if answered is not None:
            return answered
        # The dead first: whoever waits for one then waits a second, however many partitions wait with it.
        self._release_dead(self._journals_of(self._jobs))
        # One withheld offset withholds the whole answer, so ask for each: healthy partitions must not wait.
        found: dict[Partition, int | None] = {}
        withheld = 0
        for partition in list(self._jobs):
            alone = self._ask_committed([partition], BLOCKED_SECONDS / 2)
            if alone is not None:
                found.update(alone)
                continue
            self._jobs[partition] = self._jobs.pop(partition)  # behind the others in the next round
            withheld += 1
            if withheld == WITHHELD_MOST:
                break
        return found

    def _ask_committed(self, partitions: list[Partition], timeout: float) -> dict[Partition, int | None] | None:
        answered = self._reader.committed(partitions, timeout)
        if answered is not None:
            self._note_answer()
        return answered

    def _read(self, committed: Mapping[Partition, int | None]) -> list[Partition]:
        """Restore what can be restored; returns the journal partitions that are held back."""
        if not committed:
            return []
        ends = self._known(self._cluster.each_log_end(self._journals_of(committed), committed=False))
        ids = self._known(self._cluster.each_topic_id(sorted({partition.topic for partition in committed})))
        held_back: list[Partition] = []
        fresh: dict[Partition, Restored] = {}
        for journal, end in ends.items():
            # A topic without an id is being made again; the next round sees it.
            mine = [p for p in committed if self._place.of(p) == journal and p.topic in ids]
            if not mine:
                continue
            try:
                folded = self._fold(journal, end)
            except TimeoutError:
                held_back.append(journal)
                continue
            except ConnectorError as error:
                self._note(error)
                continue
            self._note_answer()
            for partition, restored in self._codec.restore(folded, mine).items():
                trusted = self._trusted(restored)
                if isinstance(trusted, Failed):
                    self._report(partition, trusted)
                    continue
                position = start_position(committed[partition], trusted.mark, ids[partition.topic])
                if position.offset is None:
                    fresh[partition] = trusted
                else:
                    self._note_difference(partition, position, committed[partition], trusted.mark)
                    self._report(partition, Found(ids[partition.topic], position.offset, trusted.entries))
        self._begin(fresh, committed, ids)
        return held_back

    def _fold(self, journal: Partition, end: int) -> dict[bytes, bytes]:
        """The last value of each key."""
        folded: dict[bytes, bytes] = {}
        for line in self._reader.read({journal: end}, BLOCKED_SECONDS):
            if line.key is None:
                continue
            if line.value is None:
                folded.pop(line.key, None)
            else:
                folded[line.key] = line.value
        return folded

    def _begin(
        self,
        fresh: Mapping[Partition, Restored],
        committed: Mapping[Partition, int | None],
        ids: Mapping[str, str],
    ) -> None:
        """Report the partitions that begin where ``input.start`` says."""
        if not fresh:
            return
        if self._start_ms is None:
            answers = self._cluster.each_log_start(fresh)
        else:
            answers = self._cluster.each_offset_at(fresh, self._start_ms)
        for partition, offset in self._known(answers).items():
            restored, topic_id = fresh[partition], ids[partition.topic]
            position = start_position(committed[partition], restored.mark, topic_id)
            self._note_difference(partition, position, committed[partition], restored.mark)
            self._report(partition, Found(topic_id, offset, restored.entries))

    def _report(self, partition: Partition, outcome: Found | Failed) -> None:
        job = self._jobs.pop(partition)
        seconds = self._monotonic() - job.since
        self._metrics.restore_seconds.observe(seconds)
        if isinstance(outcome, Found):
            self._metrics.restored_documents.inc(len(outcome.entries))
            logger.info(
                "partition_restored",
                partition=str(partition),
                documents=len(outcome.entries),
                offset=outcome.offset,
                seconds=round(seconds, 3),
            )
        self._reports.report_restored(RestoreReport(partition, job.assignment, outcome))

    def _trusted(self, restored: Restored | JournalError) -> Restored | Failed:
        if isinstance(restored, JournalError):
            return Failed("journal_unreadable", str(restored))
        mark = restored.mark
        if mark is not None and mark.fingerprint != self._place.fingerprint:
            return Failed(
                "journal_moved",
                f"The journal {self._place.topic} was written as {mark.fingerprint} and is now "
                f"{self._place.fingerprint}: its partition count must not change. Give the connector another name, or "
                "restore the topic as it was.",
            )
        return restored

    def _note_difference(
        self,
        partition: Partition,
        position: Position,
        committed: int | None,
        mark: Mark | None,
    ) -> None:
        if position.cause in {Cause.COMMITTED, Cause.NEW}:
            return
        self._metrics.positions_reset.labels(reason=position.cause.value).inc()
        logger.warning(
            "position_differs",
            partition=str(partition),
            cause=position.cause.value,
            committed=committed,
            mark=mark.next_offset if mark else None,
        )
