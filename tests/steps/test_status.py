"""What a worker tells of itself."""

from __future__ import annotations

import json
from dataclasses import replace

from connector import __version__
from connector.clock import Clock
from connector.core.breaker import UNCLEAR_IN_A_ROW, StartGate
from connector.core.commit import Phase
from connector.core.entry import Entry, State
from connector.core.record import Partition
from connector.core.route_guard import RouteGuards
from connector.documents import Holding, Holdings
from connector.journal.kafka_thread import Owned
from connector.status import OLDEST_MOST, Sources, status_of
from tests.factories.records import entry_of

P0 = Partition("documents", 0)
NOW_MS = 1_790_000_600_000
CLOCK = Clock(monotonic=lambda: 1_000.0, wall=lambda: NOW_MS / 1000)


class World:
    """Everything that is asked, with nothing in it."""

    def __init__(self) -> None:
        self.partitions: list[Owned] = []
        self.unwritable: list[str] = []
        self.kafka_answered = 0.0
        self.holding = Holding(P0, 1, "topic-id")
        self.gate = StartGate()
        self.guards = RouteGuards(["inv", "other"])
        self.wrong: list[str] = []

    def owned(self) -> list[Owned]:
        return self.partitions

    def status(self) -> dict[str, object]:
        holdings = Holdings()
        holdings.add(self.holding)
        sources = Sources(900.0, self, self, holdings, self.gate, self.guards, lambda: self.wrong)
        return status_of("invoices", sources, CLOCK)


def document(offset: int, age_seconds: int, state: State = State.STARTED) -> Entry:
    entry = entry_of()
    tag = replace(entry.tag, offset=offset)
    return replace(entry, tag=tag, state=state, accepted_ms=NOW_MS - age_seconds * 1000)


def test_a_worker_that_has_nothing_says_so() -> None:
    status = World().status()
    assert (status["name"], status["version"], status["uptime_seconds"]) == ("invoices", __version__, 100.0)
    assert status["kafka_answered_seconds_ago"] is None
    assert status["documents"] == [{"state": state, "count": 0, "oldest_seconds": None} for state in State]
    assert status["partitions"] == status["held_topics"] == status["starts_stopped"] == status["not_ready"] == []


def test_documents_are_counted_by_state_with_the_oldest_age() -> None:
    world = World()
    for entry in (document(1, 60), document(2, 7200), document(3, 5, State.PARKED)):
        world.holding.put(entry)
    status = world.status()
    told = {row["state"]: (row["count"], row["oldest_seconds"]) for row in rows(status, "documents")}
    assert (told["started"], told["parked"], told["ready"]) == ((2, 7200.0), (1, 5.0), (0, None))
    assert status["in_flight"] == 2
    assert [row["age_seconds"] for row in rows(status, "oldest_documents")] == [7200.0, 60.0, 5.0]


def test_the_list_of_documents_is_bounded() -> None:
    world = World()
    for offset in range(100):
        world.holding.put(document(offset, offset))
    ages = [row["age_seconds"] for row in rows(world.status(), "oldest_documents")]
    assert ages == [float(age) for age in range(99, 99 - OLDEST_MOST, -1)]


def test_partitions_tell_assignment_phase_mark_lag_and_why_they_are_stopped() -> None:
    world = World()
    world.partitions = [
        Owned(P0, 3, Phase.LIVE, 17, 4, None),
        Owned(Partition("documents", 1), 4, Phase.STOPPED, None, None, "journal_unreadable"),
    ]
    world.holding.awaits = (12, 13)
    first, second = rows(world.status(), "partitions")
    assert first == {
        "topic": "documents",
        "partition": 0,
        "assignment": 3,
        "phase": "live",
        "next_offset": 17,
        "lag": 4,
        "stopped": None,
        "awaits_schema": 12,
    }
    assert second["awaits_schema"] is None
    assert (second["phase"], second["stopped"]) == ("stopped", "journal_unreadable")


def test_what_holds_the_work_up_is_named() -> None:
    world = World()
    world.unwritable, world.kafka_answered, world.wrong = ["b", "a"], 995.0, ["The worker is stopping."]
    for _ in range(UNCLEAR_IN_A_ROW):
        world.gate.unclear(0.0)
    status = world.status()
    assert status["held_topics"] == ["a", "b"]
    assert status["kafka_answered_seconds_ago"] == 5.0
    assert status["not_ready"] == ["The worker is stopping."]
    assert status["starts_stopped"] == [
        {"route": "inv", "reason": "breaker"},
        {"route": "other", "reason": "breaker"},
    ]
    world.gate = StartGate()
    while not world.guards.of("other").stopped:
        world.guards.of("other").refused("BAD", 0.0)
    assert world.status()["starts_stopped"] == [{"route": "other", "reason": "refusals"}]


def test_nothing_of_a_document_is_shown_but_its_tag() -> None:
    world = World()
    entry = document(1, 60)
    request = replace(entry.request, body=b"canary", metadata="canary", document_id="canary", file_name="canary")
    secret = replace(entry, request=request, value=b"canary", key=b"canary", run_id="canary", nonce="canary")
    world.holding.put(secret)
    text = json.dumps(world.status())
    assert str(entry.tag) in text
    assert "canary" not in text


def rows(status: dict[str, object], name: str) -> list[dict[str, object]]:
    found = status[name]
    assert isinstance(found, list)
    return found
