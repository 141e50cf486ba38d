"""The transactional producer: one transaction at a time, and an honest answer about how it ended.

librdkafka 2.16 has no KIP-890 part 2: a transaction whose end is unknown must not be followed by another one on the
same instance. So an unclear end is an answer here and not an exception, and the caller replaces the producer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from connector.adapters.kafka.call_thread import CallThread, NoAnswerError
from connector.adapters.kafka.errors import Troubles
from connector.core.record import OutRecord, Partition

SLICE_SECONDS = 1.0
"""How long one call may wait before the caller is heard again."""
GIVE_UP_SECONDS = 10.0
"""How long sending offsets may take. librdkafka knows no bound for it while the broker that it takes for the group's
coordinator is away (its issue 5456; measured: 9 to 22 s), and a new client asks anew who that is. Brokers notice a dead
one after 9 s."""

LOOK_SECONDS = 2.0
DELIVERY_SHARE = 0.6
"""The part of the transaction's time that its records may take to arrive."""

_REFUSED_RECORD = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG_SIZE})


class End(Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one transaction.

    Attributes:
        end: committed; aborted, certainly nothing is visible; or unclear, and the producer must be replaced.
        reason: librdkafka's name for what went wrong, or an empty text.
        fenced: the group or the coordinator refused us as stale.
        refused: positions of records that were refused for good, alone or with their batch; only when aborted.
        stuck: topics that did not take their records (missing, denied, no leader); only when aborted.
        broken: the producer must be replaced all the same. Nothing is unclear: a commit was never asked for.
    """

    end: End
    reason: str = ""
    fenced: bool = False
    refused: tuple[int, ...] = ()
    stuck: frozenset[str] = frozenset()
    broken: bool = False


_FENCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's local error codes have no public name
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
    },
)

_ABOUT_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED})
"""What the transaction itself fails with when a partition cannot be added to it. It may show in any call."""


class TransactionalProducer:
    """One ``transactional.id``. Belongs to the Kafka thread."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        transaction_timeout: float,
        beat: Callable[[], None],
    ) -> None:
        """Create the client; ``initialise`` settles what an earlier instance left.

        Args:
            properties: librdkafka properties, ``transactional.id`` among them.
            transaction_timeout: seconds after which the coordinator ends a transaction, and so our patience.
            beat: called before every call that may block.
        """
        self._troubles = Troubles(properties)
        try:
            # No error_cb here: a fatal error raises out of it in the middle of serving delivery reports.
            self._producer = Producer(dict(properties))
        except KafkaException as error:
            raise self._troubles.explain(error, "Write", "transactional id") from error
        self._timeout = transaction_timeout
        self._beat = beat
        self._aside = CallThread()

    def initialise(self, timeout: float) -> bool:
        """Fence earlier instances of the same id and settle their transaction.

        Args:
            timeout: seconds to wait now.

        Returns:
            Whether transactions may begin; False means call again.

        Raises:
            ConnectorError: the broker will never allow it (authorization).
        """
        self._beat()
        try:
            self._producer.init_transactions(timeout)
        except KafkaException as error:
            if error.args[0].retriable():
                return False
            raise self._troubles.explain(error, "Write", "transactional id") from error
        return True

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Partition, int],
        metadata: object,
        before_commit: Callable[[], None],
    ) -> Ended:
        """One transaction: produce, flush, send offsets, commit.

        The flush before the commit is deliberate: without it librdkafka makes 11 transactions a second instead of 150
        (measured on Kafka 4.4.0).

        Args:
            records: what to write.
            offsets: the offsets to commit, by input partition; never empty, because an empty list fences nobody.
            metadata: the group metadata of the ownership snapshot that the records were chosen by.
            before_commit: called once everything but the commit is done.
        """
        if not offsets:
            raise ValueError("A transaction without offsets is not fenced.")
        begun = time.monotonic()
        delivery = _Delivery(records)
        try:
            self._beat()
            self._producer.begin_transaction()
            # An abort must still come in time for the coordinator, or the end would be unclear.
            self._produce(delivery, begun + DELIVERY_SHARE * self._timeout)
            if delivery.refused:
                return self._abort("RECORD_REFUSED", refused=tuple(delivery.refused))
            if delivery.failed or delivery.open:
                reason = next(iter(delivery.failed.values()), "NOT_DELIVERED")
                return self._abort(reason, stuck=self._stuck(delivery))
            self._send_offsets(offsets, metadata, begun + self._timeout)
        except NoAnswerError:  # without a commit nothing is visible; in the middle of a call a client takes no abort
            return Ended(End.ABORTED, "NO_ANSWER", broken=True)
        except KafkaException as error:
            return self._after(error, delivery)
        before_commit()
        return self._commit(delivery, begun + self._timeout)

    def close(self) -> None:
        """Let go without waiting; an open transaction is left to the next instance or the coordinator."""
        self._aside.close()
        with contextlib.suppress(KafkaException):
            self._producer.purge()
        del self._producer

    def _produce(self, delivery: _Delivery, deadline: float) -> None:
        """Hand everything over and wait until it is delivered, some of it failed, or the deadline passed."""
        for position, record in enumerate(delivery.records):
            if not self._produce_one(delivery, position, record, deadline):
                return
        while self._flush() and not delivery.failed and time.monotonic() < deadline:
            continue

    def _produce_one(self, delivery: _Delivery, position: int, record: OutRecord, deadline: float) -> bool:
        placed: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    on_delivery=partial(delivery.report, position),
                    **placed,
                )
            except BufferError:  # the local queue is full: serve delivery reports and try again
                self._beat()
                self._producer.poll(0.05)
                if time.monotonic() > deadline:
                    return False
            except KafkaException as error:
                if error.args[0].fatal() or error.args[0].txn_requires_abort():
                    raise
                delivery.report(position, error.args[0])
                return not delivery.failed
            else:
                return True

    def _stuck(self, delivery: _Delivery) -> frozenset[str]:
        """The topics to blame. One missing topic keeps every partition out of the transaction (measured), so ask."""
        blamed: set[str] = set()
        for topic in sorted({record.topic for record in delivery.records}):
            self._beat()
            try:
                found = self._producer.list_topics(topic, LOOK_SECONDS).topics.get(topic)
            except KafkaException:
                return frozenset()  # nobody answers: no topic's fault
            if found is None or found.error is not None:
                blamed.add(topic)
        return frozenset(blamed)

    def _flush(self) -> int:
        self._beat()
        try:
            return self._producer.flush(SLICE_SECONDS)
        except SystemError as error:
            # confluent-kafka 2.16 sets the exception of a fatal error while it serves delivery reports, and trips
            # over it (measured: a producer that is fenced during flush). What it means is the fatal error.
            fatal = KafkaError(KafkaError._FENCED, "fatal error during flush", fatal=True)  # noqa: SLF001
            raise KafkaException(fatal) from error

    def _send_offsets(self, offsets: Mapping[Partition, int], metadata: object, deadline: float) -> None:
        positions = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
        send = partial(self._producer.send_offsets_to_transaction, positions, metadata, SLICE_SECONDS)
        while True:
            until = min(time.monotonic() + GIVE_UP_SECONDS, deadline + SLICE_SECONDS)
            try:
                self._aside.call(send, until, SLICE_SECONDS, self._beat)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def _commit(self, delivery: _Delivery, deadline: float) -> Ended:
        while True:
            self._beat()
            try:
                self._producer.commit_transaction(SLICE_SECONDS)
            except KafkaException as error:
                reason = error.args[0]
                if reason.retriable() and time.monotonic() < deadline:
                    continue  # no end yet: the same call resumes it (measured: it then succeeds)
                if reason.txn_requires_abort():
                    return self._after(error, delivery)
                return Ended(End.UNCLEAR, reason.name(), fenced=reason.code() in _FENCED)
            else:
                return Ended(End.COMMITTED)

    def _after(self, error: KafkaException, delivery: _Delivery) -> Ended:
        reason: KafkaError = error.args[0]
        fenced = reason.code() in _FENCED
        if reason.fatal():
            return Ended(End.UNCLEAR, reason.name(), fenced=fenced)
        stuck = self._stuck(delivery) if reason.code() in _ABOUT_TOPIC else frozenset()
        return self._abort(reason.name(), fenced=fenced, stuck=stuck)

    def _abort(
        self,
        reason: str,
        *,
        fenced: bool = False,
        refused: tuple[int, ...] = (),
        stuck: frozenset[str] = frozenset(),
    ) -> Ended:
        deadline = time.monotonic() + self._timeout
        while True:
            self._beat()
            try:
                self._producer.abort_transaction(SLICE_SECONDS)
            except KafkaException as error:
                if error.args[0].retriable() and time.monotonic() < deadline:
                    continue
                # Without a commit nothing can become visible, whatever the coordinator thinks of the transaction: one
                # that it never saw begin, because its only topic is missing, cannot be aborted either (measured).
                return Ended(End.ABORTED, reason, fenced, refused, stuck, broken=True)
            else:
                return Ended(End.ABORTED, reason, fenced=fenced, refused=refused, stuck=stuck)


class _Delivery:
    """Which records of one transaction have arrived."""

    def __init__(self, records: Sequence[OutRecord]) -> None:
        self.records = records
        self.open = set(range(len(records)))
        self.refused: list[int] = []
        self.failed: dict[str, str] = {}

    def report(self, position: int, error: KafkaError | None, _message: object = None) -> None:
        """A delivery report, or what ``produce`` itself said."""
        self.open.discard(position)
        if error is None:
            return
        if error.code() in _REFUSED_RECORD:
            self.refused.append(position)
        elif error.code() != KafkaError._PURGE_QUEUE:  # noqa: SLF001 - librdkafka's own code
            self.failed[self.records[position].topic] = error.name()
