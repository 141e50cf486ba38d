"""The holding against a naive model: order of keys, order of offsets, counters that never drift."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connector.core.entry import Entry, State
from connector.core.record import Partition
from connector.core.tag import Tag
from connector.documents import IN_FLIGHT, Holding, Holdings
from tests.factories.records import entry_of

PARTITION = Partition("documents", 0)
KEYS = (None, b"a", b"b", b"")
ROUTES = ("good", "other")


def entry_at(offset: int, key: bytes | None, state: State, route: str, size: int) -> Entry:
    known = entry_of()
    return replace(
        known,
        tag=Tag("invoices", PARTITION, offset, known.tag.hash),
        state=state,
        key=key,
        value=b"v" * size,
        request=replace(known.request, route=route),
    )


class Model(RuleBasedStateMachine):
    """Documents come in offset order and move between states; the model is a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[int, Entry] = {}
        self.next_offset = 0
        self.stopped: set[str] = set()
        self.on_trial: set[str] = set()
        self.holding = Holding(PARTITION, 1, "id")

    @initialize(ordered=st.booleans())
    def begin(self, *, ordered: bool) -> None:
        self.holding = Holding(PARTITION, 1, "id", ordered=ordered)

    keys = st.sampled_from(KEYS)
    routes = st.sampled_from(ROUTES)

    def _put(self, entry: Entry) -> None:
        self.open[entry.tag.offset] = entry
        self.holding.put(entry)

    @rule(key=keys, route=routes, gap=st.integers(0, 3), size=st.integers(0, 9))
    def accept(self, key: bytes | None, route: str, gap: int, size: int) -> None:
        self.next_offset += gap
        self._put(entry_at(self.next_offset, key, State.READY, route, size))
        self.next_offset += 1

    @precondition(lambda self: self.open)
    @rule(data=st.data(), state=st.sampled_from(State))
    def move(self, data: st.DataObject, state: State) -> None:
        entry = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        if state is State.INTENT:
            self._put(entry.intend("n"))
        elif state is State.REVIEW:
            self._put(entry.review())
        elif state is State.STARTED:
            self._put(entry.start("run", data.draw(st.integers(1, 5))))
        elif entry.revision == 0:
            self._put(entry.wait("w") if state is State.READY else entry.park("p"))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.holding.close(self.open.pop(data.draw(st.sampled_from(sorted(self.open)))))

    @rule(route=routes, trial=st.booleans())
    def stop_a_route(self, route: str, *, trial: bool) -> None:
        self.stopped.add(route)
        (self.on_trial.add if trial else self.on_trial.discard)(route)

    @rule(route=routes)
    def open_a_route(self, route: str) -> None:
        self.stopped.discard(route)

    def _may_start(self, entry: Entry) -> bool:
        return entry.request.route not in self.stopped or entry.request.route in self.on_trial

    def _is_trial(self, entry: Entry) -> bool:
        return entry.request.route in self.stopped

    def _blocked(self, entry: Entry) -> bool:
        return (
            self.holding.ordered
            and entry.key is not None
            and any(
                other.key == entry.key and other.revision == 0 and other.tag.offset < entry.tag.offset
                for other in self.open.values()
            )
        )

    @invariant()
    def the_next_one_is_the_first_that_may_start(self) -> None:
        startable = [
            entry
            for _, entry in sorted(self.open.items())
            if entry.state is State.READY and not self._blocked(entry) and self._may_start(entry)
        ]
        expected = startable[0] if startable else None
        if expected is not None and self._is_trial(expected):
            trials = [entry for entry in startable if self._is_trial(entry)]
            expected = min(trials, key=lambda entry: entry.attempts)
        assert self.holding.next_ready(self._may_start, self._is_trial) == expected
        assert self.holding.next_ready(self._may_start, self._is_trial) == expected, "asking changes nothing"

    @invariant()
    def the_counters_do_not_drift(self) -> None:
        states = Counter(entry.state for entry in self.open.values())
        assert +self.holding.states == +states
        assert self.holding.in_flight == sum(states[state] for state in IN_FLIGHT)
        assert self.holding.size == sum(entry.size for entry in self.open.values())
        assert len(self.holding) == len(self.open)
        assert {entry.tag.offset: entry for entry in self.holding} == self.open

    @invariant()
    def the_oldest_run_is_the_one_that_was_started_first(self) -> None:
        started = [entry.started_ms for entry in self.open.values() if entry.state is State.STARTED]
        assert self.holding.oldest_started_ms() == min((ms for ms in started if ms is not None), default=None)

    @invariant()
    def nobody_is_offered_twice(self) -> None:
        places = Counter(tag for _, tag in self.holding._ready)
        assert set(places.values()) <= {1}

    @invariant()
    def keys_are_busy_until_their_first_revision(self) -> None:
        for key in KEYS:
            waiting = [e for e in self.open.values() if e.key == key and e.revision == 0]
            probe = entry_at(10**6, key, State.READY, "good", 0)
            counted = len(waiting) if self.holding.ordered and key is not None else 0
            assert self.holding.key_busy(probe) is (counted > 0)
            assert self.holding.waiting_for_key(key) == counted
        for entry in self.open.values():
            assert self.holding.key_waits(entry) is self._blocked(entry)

    @invariant()
    def sums_over_holdings_are_sums(self) -> None:
        holdings = Holdings()
        holdings.add(self.holding)
        assert holdings.in_flight == self.holding.in_flight
        assert holdings.size == self.holding.size
        assert all(holdings.count(state) == self.holding.states[state] for state in State)
        assert holdings.get(PARTITION, 1) is self.holding
        assert holdings.get(PARTITION, 2) is None


TestModel = Model.TestCase


def test_runs_that_are_over_leave_nothing_behind_one_that_goes_on() -> None:
    holding = Holding(PARTITION, 1, "id")
    for offset in range(1000):
        entry = entry_at(offset, None, State.READY, "good", 1).start("run", offset)
        holding.put(entry)
        if offset:
            holding.close(entry)
    assert holding.oldest_started_ms() == 0
    assert len(holding._started) < 100
