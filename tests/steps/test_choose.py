"""Which document is next: no route and no partition keeps another one waiting, whatever happens to its documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from connector.choose import Candidate, Chooser
from connector.core.entry import Entry, State
from connector.core.errors import ApiThrottled
from connector.core.record import Partition, Record
from connector.core.route_guard import REFUSED_IN_A_ROW, RouteGuards
from connector.core.tag import HASH_CHARS, Tag
from connector.documents import Holding, Holdings
from tests.factories.records import entry_of
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.world import NAME, OTHER, P0, P1, Options, world


@dataclass
class Rooms:
    """Whether new records may be accepted."""

    free: bool = True

    def room(self) -> bool:
        return self.free


class Choosing:
    """Partitions whose topic is their route; each always has a new record, and some have waiting documents."""

    def __init__(self, partitions: dict[str, int]) -> None:
        self.holdings, self.guards, self.rooms = Holdings(), RouteGuards(partitions), Rooms()
        self.chooser = Chooser(self.holdings, self.rooms, self.guards)
        self._offsets = count()
        for topic, number in partitions.items():
            for each in range(number):
                holding = Holding(Partition(topic, each), 1, "id")
                self.holdings.add(holding)
                self.refill(holding)

    def entry(self, partition: Partition, state: State) -> Entry:
        some = entry_of()
        tag = Tag(NAME, partition, next(self._offsets), "a" * HASH_CHARS)
        return replace(some, tag=tag, state=state, request=replace(some.request, route=partition.topic))

    def refill(self, holding: Holding) -> None:
        holding.head = self.entry(holding.partition, State.INTENT)
        record = Record(holding.partition, holding.head.tag.offset, None, b"", (), 0)
        holding.inbox.clear()
        holding.inbox.append(record)

    def start(self, chosen: Candidate, *, waits_again: bool) -> None:
        """What a start leads to at once: a run, or the document waits again."""
        if waits_again:
            chosen.holding.put(replace(chosen.entry, state=State.READY, attempts=chosen.entry.attempts + 1))
        else:
            chosen.holding.close(chosen.entry)
        if chosen.next_offset is not None:
            self.refill(chosen.holding)


@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    refused=st.sets(st.integers(0, 3)),
    stopped=st.sets(st.integers(0, 3)),
    starts=st.integers(40, 80),
)
def test_every_route_that_may_start_gets_its_turn_whatever_becomes_of_the_others(
    counts: list[int], refused: set[int], stopped: set[int], starts: int
) -> None:
    names = [f"route-{number}" for number in range(len(counts))]
    world = Choosing(dict(zip(names, counts, strict=True)))
    for number in stopped & set(range(len(names))):
        for _ in range(REFUSED_IN_A_ROW):
            world.guards.of(names[number]).refused("BAD", 0.0)
    going = [name for number, name in enumerate(names) if number not in stopped]
    by_route: Counter[str] = Counter()
    by_partition: Counter[Partition] = Counter()
    for _ in range(starts):
        chosen = world.chooser.next(0.5, trial=False)  # before a stopped route may have a trial
        if chosen is None:
            assert not going
            return
        route = chosen.entry.request.route
        by_route[route] += 1
        by_partition[chosen.holding.partition] += 1
        world.start(chosen, waits_again=names.index(route) in refused)
    assert set(by_route) <= set(going)
    assert all(abs(by_route[route] - starts / len(going)) <= 1 for route in going)
    for route in going:
        shares = [by_partition[each.partition] for each in world.holdings if each.partition.topic == route]
        assert max(shares) - min(shares) <= 1


def test_within_a_partition_who_was_accepted_goes_first_and_without_room_nobody_else() -> None:
    choosing = Choosing({"documents": 1})
    (holding,) = choosing.holdings
    waiting = choosing.entry(holding.partition, State.READY)
    holding.put(waiting)
    first = choosing.chooser.next(0.0, trial=False)
    assert first is not None
    assert first.entry == waiting
    choosing.start(first, waits_again=False)
    choosing.rooms.free = False
    assert choosing.chooser.next(0.0, trial=False) is None
    choosing.rooms.free = True
    second = choosing.chooser.next(0.0, trial=False)
    assert second is not None
    assert second.next_offset is not None


@virtually
async def test_a_route_whose_documents_are_refused_again_and_again_keeps_no_other_route_waiting() -> None:
    options = Options(starts_per_second=10.0)
    async with world(options, partitions=(P0, P1, OTHER)) as w:
        busy = Answer(ApiThrottled("busy", retry_after=0.0))
        w.api.answer = lambda post: busy if "/documents/" in post.tag else Answer()
        w.send(60)
        w.send(60, partition=P1)
        w.send(20, partition=OTHER)
        await w.until(lambda: len(w.results()) == 20, within=3600.0)
