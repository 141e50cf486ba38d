"""Step 1, accept: records wait in their inbox, and the first of each becomes an entry, a dead letter, or nothing.

Everything that moves the offset of a partition is written in the order of its records, so that no committed offset
ever passes a record that is not accounted for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.entry import Entry, accept
from connector.core.errors import OwnershipLost, RecordRejected, SchemaAwaited
from connector.core.formats.framing import framed_schema_id
from connector.core.reasons import Reason
from connector.core.record import OutRecord, Partition, Record
from connector.core.route import Route
from connector.core.tag import Tag, tag_of
from connector.documents import Holding, Holdings
from connector.journal.crossing import RecordTooLarge
from connector.journal.journal import Journal, Written
from connector.logs import logger

INBOX_FULL = 200
INBOX_LOW = 50
"""Records that wait on the loop for each partition; fetching pauses in between. Pausing drops what librdkafka has
prefetched, so the two are far apart."""
INBOX_BYTES = 16_000_000
INBOX_SHARE = 4
"""All inboxes together may hold this part of ``start.max_bytes``."""
WAITING_MOST = 100
"""Documents of one stopped route, or behind one key, that are accepted ahead; then their partition pauses."""
STATE_CHANGES_BYTES = 1_024
"""What later states of an entry may add to the first one: nonce, run id, reason."""
SCHEMAS_AHEAD = 16
"""Schemas of one inbox that are asked for at once, so that the records behind the first one need not wait as well."""


class Resolver:
    """Decides what a record becomes. It writes nothing down."""

    def __init__(
        self,
        *,
        name: str,
        routes: Sequence[Route],
        decoder: ReferenceDecoder,
        journal_bytes: int,
        size_of: Callable[[Entry], int],
    ) -> None:
        """Build it.

        Args:
            name: the connector's name, part of every tag.
            routes: all routes, in the order of the configuration.
            decoder: reads references.
            journal_bytes: the largest record that the journal takes.
            size_of: bytes of an entry as a journal record, batch included.
        """
        self._name = name
        self._routes = {
            topic: tuple(route for route in routes if route.topic == topic) for topic in {each.topic for each in routes}
        }
        self._decoder = decoder
        self._journal_bytes = journal_bytes
        self._size_of = size_of

    def tag(self, record: Record, topic_id: str) -> Tag:
        """The record's name for ever."""
        return tag_of(self._name, topic_id, record)

    def entry(self, record: Record, tag: Tag, now_ms: int) -> Entry:
        """What a record becomes.

        Args:
            record: an input record with a value.
            tag: its tag.
            now_ms: milliseconds since the epoch.

        Raises:
            RecordRejected: it can never become a run.
            SchemaAwaited: its schema has to be known first.
        """
        if record.headers_lost:
            raise RecordRejected(
                Reason.UNDECODABLE,
                "The name of one of the record's headers is not UTF-8, so that its headers could not be read and kept; "
                "key and value are as they were. Send it with header names in UTF-8.",
            )
        routes = self._routes.get(record.partition.topic, ())
        entry = accept(tag, resolve(record, routes, tag, self._decoder), record, now_ms)
        if self._size_of(entry) + STATE_CHANGES_BYTES > self._journal_bytes:
            raise RecordRejected(
                Reason.TOO_LARGE,
                f"The record and its request take more than the {self._journal_bytes} bytes that the journal topic "
                "takes; raise its max.message.bytes, or send a smaller reference.",
                stage="journal",
                route=entry.request.route,
            )
        return entry


class Learner(Protocol):
    """Asks for schemas; see ``connector.learn``."""

    def knows(self, schema_id: int) -> bool:
        """Whether there is nothing to ask about an id."""

    def want(self, schema_ids: Sequence[int]) -> None:
        """A partition waits for these."""


class Acceptor:
    """The inboxes of the partitions that are ours."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        journal: Journal,
        dead_letter: Callable[[Record, RecordRejected], OutRecord],
        holdings: Holdings,
        route_stopped: Callable[[str], bool],
        most_in_flight: int,
        most_bytes: int,
        pause: Callable[[Partition, int], None],
        resume: Callable[[Partition, int], None],
        spawn: Callable[[Coroutine[object, object, None]], None],
        clock: Clock,
        metrics: Metrics,
        learner: Learner | None = None,
    ) -> None:
        """Build the step.

        Args:
            resolver: decides about records.
            journal: what is durable.
            dead_letter: builds the dead letter of a record.
            holdings: the open documents.
            route_stopped: whether a route is stopped, by its name.
            most_in_flight: documents accepted or started, without a result.
            most_bytes: what they take in memory; a quarter of it again for the records in the inboxes.
            pause: stop fetching a partition, for one assignment of it.
            resume: fetch it again, likewise.
            spawn: runs a coroutine in the pipeline's task group.
            clock: the time.
            metrics: where to count.
            learner: asks for the schemas that records need; None without a schema registry.
        """
        self._resolver = resolver
        self._journal = journal
        self._dead_letter = dead_letter
        self._holdings = holdings
        self._route_stopped = route_stopped
        self._most_in_flight = most_in_flight
        self._most_bytes = most_bytes
        self._most_inbox_bytes = most_bytes // INBOX_SHARE
        self._pause = pause
        self._resume = resume
        self._spawn = spawn
        self._clock = clock
        self._metrics = metrics
        self._learner = learner
        metrics.runs_in_flight_limit.set(most_in_flight)

    def deliver(self, holding: Holding, record: Record) -> None:
        """A record came in."""
        self._metrics.records_consumed.labels(topic=record.partition.topic).inc()
        holding.inbox.append(record)
        holding.inbox_bytes += record.size
        if not holding.paused and self._is_full(holding):
            holding.paused = True
            self._pause(record.partition, holding.assignment)

    def room(self) -> bool:
        """Whether one more document may be accepted."""
        return self._holdings.in_flight < self._most_in_flight and self._holdings.size < self._most_bytes

    def clear_head(self, holding: Holding) -> None:
        """Deal with the first records of an inbox until one is left that may be started, or has to wait here."""
        while holding.inbox and not holding.settling and not self._waits_for_schema(holding):
            record = holding.inbox[0]
            try:
                entry = holding.head = holding.head or self._entry_of(holding, record)
            except SchemaAwaited as awaited:
                self._await_schema(holding, awaited.schema_id)
                continue
            if entry is not None:
                if not self._waits(holding, entry) or not self._may_wait(holding, entry):
                    return
                holding.put(entry)
                self._unwatched(self._journal.accept(holding, entry, record.next_offset))
            self.take_head(holding)

    def take_head(self, holding: Holding) -> None:
        """The first record is accounted for in a write that was handed over."""
        record = holding.inbox.popleft()
        holding.inbox_bytes -= record.size
        holding.head = None
        if holding.paused and self._is_low(holding):
            holding.paused = False
            self._resume(holding.partition, holding.assignment)

    def _waits_for_schema(self, holding: Holding) -> bool:
        if holding.awaits and self._learner is not None and not self._learner.knows(holding.awaits[0]):
            return True
        holding.awaits = ()
        return False

    def _await_schema(self, holding: Holding, schema_id: int) -> None:
        if self._learner is None:
            raise ValueError("the decoder awaits schemas, and nobody asks for them")
        values = (record.value for record in islice(holding.inbox, INBOX_FULL) if record.value is not None)
        ahead = (found for value in values if (found := framed_schema_id(value)) is not None)
        unknown = (each for each in dict.fromkeys((schema_id, *ahead)) if not self._learner.knows(each))
        holding.awaits = tuple(islice(unknown, SCHEMAS_AHEAD))
        self._learner.want(holding.awaits)

    def _is_full(self, holding: Holding) -> bool:
        full = len(holding.inbox) >= INBOX_FULL or holding.inbox_bytes >= INBOX_BYTES
        return full or self._holdings.inbox_bytes >= self._most_inbox_bytes

    def _is_low(self, holding: Holding) -> bool:
        # An empty inbox is always filled again: those of partitions that stand still, their route stopped, may hold
        # all that is allowed, and must not keep the others waiting.
        if not holding.inbox:
            return True
        low = len(holding.inbox) <= INBOX_LOW
        return low and self._holdings.inbox_bytes <= self._most_inbox_bytes // 2

    def _entry_of(self, holding: Holding, record: Record) -> Entry | None:
        """What a record becomes; None when it was skipped or rejected."""
        tag = self._resolver.tag(record, holding.topic_id)
        if record.value is None or holding.get(str(tag)) is not None:
            reason = "tombstone" if record.value is None else "already_open"
            self._metrics.records_skipped.labels(reason=reason).inc()
            self._unwatched(self._journal.skip(holding, record))
            return None
        try:
            return self._resolver.entry(record, tag, self._clock.wall_ms())
        except RecordRejected as error:
            written = self._journal.reject(holding, self._dead_letter(record, error), record.next_offset)
            self._spawn(self._count_rejected(written, record, error))
            return None

    def _waits(self, holding: Holding, entry: Entry) -> bool:
        """Whether it must wait for its key, or for its route to work again, while records behind it go on."""
        return holding.key_busy(entry) or self._route_stopped(entry.request.route)

    def _may_wait(self, holding: Holding, entry: Entry) -> bool:
        if holding.key_busy(entry) and holding.waiting_for_key(entry.key) > WAITING_MOST:
            return False
        route = entry.request.route
        if self._route_stopped(route) and sum(each.ready_on[route] for each in self._holdings) >= WAITING_MOST:
            return False
        return self.room()

    async def _count_rejected(self, written: Written, record: Record, error: RecordRejected) -> None:
        try:
            await written
        except (OwnershipLost, RecordTooLarge):
            return
        self._metrics.dead_letters.labels(reason=error.reason).inc()
        logger.warning(
            "dead_letter",
            partition=str(record.partition),
            offset=record.offset,
            reason=error.reason,
            path=error.path,
        )

    def _unwatched(self, written: Written) -> None:
        """What the failure of this write means is the Kafka thread's business; nobody waits for it."""
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
