"""The schedule against a plain dictionary of due times."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connector.core.follow.schedule import Schedule


@dataclass(eq=False)
class Item:
    name: int
    place: int = 0


class Model(RuleBasedStateMachine):
    """Items are put, moved, removed and taken in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: Schedule[Item] = Schedule()
        self.items = [Item(name) for name in range(6)]
        self.due: dict[int, float] = {}

    names = st.integers(0, 5)
    instants = st.integers(0, 20).map(float)

    @rule(name=names, due=instants)
    def put(self, name: int, due: float) -> None:
        self.schedule.put(self.items[name], due)
        self.due[name] = due

    @rule(name=names)
    def remove(self, name: int) -> None:
        self.schedule.remove(self.items[name])
        self.due.pop(name, None)

    @rule(now=instants)
    def take(self, now: float) -> None:
        item = self.schedule.pop_due(now)
        if item is None:
            assert all(due > now for due in self.due.values())
        else:
            assert self.due.pop(item.name) <= min([now, *self.due.values()])

    @rule(now=instants)
    def count(self, now: float) -> None:
        assert self.schedule.due_count(now) == sum(due <= now for due in self.due.values())

    @invariant()
    def the_next_is_the_earliest(self) -> None:
        assert self.schedule.next_due() == min(self.due.values(), default=None)


TestModel = Model.TestCase


def test_of_items_that_are_due_at_once_the_one_that_was_put_first_comes_first() -> None:
    schedule: Schedule[Item] = Schedule()
    for name in (3, 1, 2):
        schedule.put(Item(name), 5.0)
    taken = [schedule.pop_due(5.0) for _ in range(3)]
    assert [item.name for item in taken if item] == [3, 1, 2]


def test_an_item_is_in_one_only_of_two_schedules_that_share_their_places() -> None:
    places = count(1)
    one: Schedule[Item] = Schedule(places)
    other: Schedule[Item] = Schedule(places)
    item = Item(1)
    one.put(item, 5.0)
    other.put(item, 7.0)
    assert (one.pop_due(9.0), other.pop_due(9.0)) == (None, item)


def test_old_places_do_not_pile_up() -> None:
    schedule: Schedule[Item] = Schedule()
    items = [Item(name) for name in range(100)]
    for turn in range(100):
        for item in items:
            schedule.put(item, 3600.0 + turn)
    assert len(schedule) <= 300
    assert sum(schedule.pop_due(1e9) is not None for _ in range(101)) == 100
