"""The open documents of the partitions that are ours: one ``Holding`` for each assignment. Lives on the event loop."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from connector.core.entry import Entry, State
from connector.core.record import Partition, Record

FEWEST_TO_TIDY = 64
IN_FLIGHT = (State.INTENT, State.READY, State.STARTED)
"""States that count against ``start.max_in_flight``; people take their time over the others."""


@dataclass(slots=True, eq=False)
class Holding:
    """What one assignment of one partition has open.

    Attributes:
        partition: the input partition.
        assignment: the number of its assignment; every write carries it.
        topic_id: the topic's id, part of every tag.
        ordered: whether a document waits for earlier ones with its key.
        inbox: records that are delivered and not accepted yet, in offset order.
        inbox_bytes: their size.
        head: the entry that the first record of the inbox would become, once it was looked at.
        awaits: schemas that are asked for: the first one is that of the first record of the inbox.
        starts: starts that are under way, from the intent's write to the outcome's.
        settling: nothing new may be started; the partition is on its way out, or stopped.
        paused: fetching is paused because the inbox is full.
        over: the assignment is over; its documents are somebody else's.
        states: how many documents are in each state.
        ready_on: how many wait in ``ready``, by route.
        size: bytes that the open documents take.
    """

    partition: Partition
    assignment: int
    topic_id: str
    ordered: bool = False
    inbox: deque[Record] = field(default_factory=deque)
    inbox_bytes: int = 0
    head: Entry | None = None
    awaits: tuple[int, ...] = ()
    starts: int = 0
    settling: bool = False
    paused: bool = False
    over: bool = False
    states: Counter[State] = field(default_factory=Counter)
    ready_on: Counter[str] = field(default_factory=Counter)
    size: int = 0
    _open: dict[str, Entry] = field(default_factory=dict)
    _ready: list[tuple[int, str]] = field(default_factory=list)
    _started: list[tuple[int, str]] = field(default_factory=list)
    _offered: set[str] = field(default_factory=set)
    _keys: dict[bytes, list[tuple[int, str]]] = field(default_factory=dict)

    def put(self, entry: Entry) -> None:
        """Remember the newest state of a document."""
        tag = str(entry.tag)
        known = self._open.get(tag)
        if known is None:
            if self.ordered and entry.key is not None and entry.revision == 0:
                insort(self._keys.setdefault(entry.key, []), (entry.tag.offset, tag))
        else:
            self._uncount(known)
            if entry.revision > 0:
                self._release_key(entry)
        self._open[tag] = entry
        self.states[entry.state] += 1
        self.size += entry.size
        if entry.state is State.STARTED:
            self._note_start((entry.started_ms or 0, tag))
        elif entry.state is State.READY:
            self.ready_on[entry.request.route] += 1
            if not self.key_waits(entry):  # who waits for a key is offered when the key is released
                self._offer((entry.tag.offset, tag))

    def close(self, entry: Entry) -> None:
        """A document is done."""
        known = self._open.pop(str(entry.tag), None)
        if known is not None:
            self._uncount(known)
            self._release_key(known)

    def get(self, tag: str) -> Entry | None:
        """The newest state of an open document, or None."""
        return self._open.get(tag)

    def __iter__(self) -> Iterator[Entry]:
        """The open documents, the longest known first."""
        return iter(self._open.values())

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def in_flight(self) -> int:
        """Documents that count against the limit."""
        return sum(self.states[state] for state in IN_FLIGHT)

    def key_waits(self, entry: Entry) -> bool:
        """Whether an earlier document with the same key has no result yet."""
        if not self.ordered or entry.key is None:
            return False
        places = self._keys.get(entry.key, [])
        return bool(places) and places[0][0] < entry.tag.offset

    def key_busy(self, entry: Entry) -> bool:
        """Whether any open document carries the key of a new one and has no result yet."""
        return self.ordered and entry.key is not None and entry.key in self._keys

    def waiting_for_key(self, key: bytes | None) -> int:
        """How many open documents carry this key."""
        return len(self._keys.get(key, ())) if key is not None else 0

    def next_ready(self, may_start: Callable[[Entry], bool], on_trial: Callable[[Entry], bool]) -> Entry | None:
        """The first waiting document in offset order that may start; it stays where it is until it is put again.

        Of those that would be a trial the one that was tried least goes first: a document that is at fault itself
        would otherwise be every trial, and keep the others waiting for ever.

        Args:
            may_start: whether its route lets it.
            on_trial: whether its start would be a trial, because starts or its route are stopped.
        """
        passed: list[tuple[int, str]] = []
        found: Entry | None = None
        while self._ready and (found is None or on_trial(found)):
            offset, tag = heapq.heappop(self._ready)
            entry = self._open.get(tag)
            if entry is None or entry.state is not State.READY:
                self._offered.discard(tag)
                continue  # an old place; the document moved on
            passed.append((offset, tag))
            if self.key_waits(entry) or not may_start(entry):
                continue
            if found is None or (on_trial(entry) and entry.attempts < found.attempts):
                found = entry
        for place in passed:
            heapq.heappush(self._ready, place)
        return found

    def oldest_started_ms(self) -> int | None:
        """When the oldest run that is followed was started."""
        # Not simply the first: a document that waited long for its start stands before runs that are older. And not by
        # a look at all of them: with 50,000 the event loop stood still for 30 ms, once a second.
        while self._started and not self._is_started(self._started[0]):
            heapq.heappop(self._started)
        return self._started[0][0] if self._started else None

    def _note_start(self, place: tuple[int, str]) -> None:
        if len(self._started) > 2 * self.states[State.STARTED] + FEWEST_TO_TIDY:
            self._started = [each for each in self._started if self._is_started(each)]
            heapq.heapify(self._started)
        heapq.heappush(self._started, place)

    def _is_started(self, place: tuple[int, str]) -> bool:
        entry = self._open.get(place[1])
        return entry is not None and entry.state is State.STARTED and (entry.started_ms or 0) == place[0]

    def _offer(self, place: tuple[int, str]) -> None:
        # Who was started and waits again has its place still: a second one would stay for as long as it waits.
        if place[1] not in self._offered:
            self._offered.add(place[1])
            heapq.heappush(self._ready, place)

    def _uncount(self, entry: Entry) -> None:
        self.states[entry.state] -= 1
        self.size -= entry.size
        if entry.state is State.READY:
            self.ready_on[entry.request.route] -= 1

    def _release_key(self, entry: Entry) -> None:
        places = self._keys.get(entry.key) if entry.key is not None else None
        place = (entry.tag.offset, str(entry.tag))
        if not places or place not in places:
            return
        first = places[0] == place
        places.remove(place)
        if not places:
            del self._keys[entry.key or b""]
        elif first and (known := self._open.get(places[0][1])) is not None and known.state is State.READY:
            self._offer(places[0])


DocumentKey = tuple[Holding, str]
"""One document under one assignment, by its tag: what belongs to an assignment that is over holds up no other."""


class Holdings:
    """The holdings of this process."""

    def __init__(self) -> None:
        self._by_partition: dict[Partition, Holding] = {}

    def add(self, holding: Holding) -> None:
        """A partition is ours."""
        self._by_partition[holding.partition] = holding

    def remove(self, holding: Holding) -> None:
        """Its assignment is over."""
        del self._by_partition[holding.partition]

    def of(self, partition: Partition) -> Holding | None:
        """The holding of a partition, or None when it is not ours."""
        return self._by_partition.get(partition)

    def get(self, partition: Partition, assignment: int) -> Holding | None:
        """The holding of a partition under this very assignment, or None."""
        holding = self._by_partition.get(partition)
        return holding if holding is not None and holding.assignment == assignment else None

    def __iter__(self) -> Iterator[Holding]:
        """All of them."""
        return iter(self._by_partition.values())

    @property
    def in_flight(self) -> int:
        """Documents that count against the limit."""
        return sum(holding.in_flight for holding in self)

    @property
    def inbox_bytes(self) -> int:
        """Bytes that wait in the inboxes."""
        return sum(holding.inbox_bytes for holding in self)

    @property
    def size(self) -> int:
        """What the open documents take."""
        return sum(holding.size for holding in self)

    def count(self, state: State) -> int:
        """Documents in one state."""
        return sum(holding.states[state] for holding in self)

    def awaits(self, schema_id: int) -> bool:
        """Whether a partition waits for a schema."""
        return any(schema_id in holding.awaits for holding in self)

    def oldest_started_ms(self) -> int | None:
        """When the oldest run that is followed was started."""
        started = [ms for holding in self if (ms := holding.oldest_started_ms()) is not None]
        return min(started, default=None)
