"""How a worker stands, as one value for ``/status.json`` and ``/status``.

Names of the configuration, counts, ages and tags: no document content, no secret, no other id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Protocol

from connector import __version__
from connector.clock import Clock
from connector.core.breaker import StartGate
from connector.core.commit import Phase
from connector.core.entry import Entry, State
from connector.core.open_documents import age_seconds
from connector.core.record import Partition
from connector.core.route_guard import RouteGuards
from connector.documents import Holdings

STATUS_VERSION = 1
"""Of the fields: a field that is added leaves it, one that goes or changes its meaning raises it."""

OLDEST_MOST = 20
"""Documents that are shown by name."""


class OwnedPartition(Protocol):
    """What is known of one partition that is ours."""

    @property
    def partition(self) -> Partition:
        """Which."""

    @property
    def number(self) -> int:
        """The number of its assignment."""

    @property
    def phase(self) -> Phase:
        """Where the assignment is."""

    @property
    def next_offset(self) -> int | None:
        """The mark."""

    @property
    def lag(self) -> int | None:
        """Records that are not accounted for."""

    @property
    def stopped(self) -> str | None:
        """Why it is stopped."""


class KafkaSide(Protocol):
    """What is asked of the Kafka thread."""

    def owned(self) -> Sequence[OwnedPartition]:
        """The partitions that are ours."""

    @property
    def unwritable(self) -> list[str]:
        """Topics that take nothing at the moment."""


class RestoreSide(Protocol):
    """What is asked of the restore thread."""

    @property
    def kafka_answered(self) -> float:
        """When Kafka answered last, by the monotonic clock; 0 before the first answer."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows.

    Attributes:
        began: when the worker began, by the monotonic clock.
        kafka: the Kafka thread.
        restorer: the restore thread.
        holdings: the open documents.
        gate: what stops every start.
        guards: what stops the starts of one route.
        wrong: what the probes say.
    """

    began: float
    kafka: KafkaSide
    restorer: RestoreSide
    holdings: Holdings
    gate: StartGate
    guards: RouteGuards
    wrong: Callable[[], Iterable[str]]


def status_of(name: str, sources: Sources, clock: Clock) -> dict[str, object]:
    """The status.

    Args:
        name: the connector's name.
        sources: who knows.
        clock: the time.
    """
    now, now_ms = clock.monotonic(), clock.wall_ms()
    entries = [entry for holding in sources.holdings for entry in holding]
    answered = sources.restorer.kafka_answered
    return {
        "status_version": STATUS_VERSION,
        "name": name,
        "version": __version__,
        "now_ms": now_ms,
        "uptime_seconds": round(now - sources.began, 1),
        "kafka_answered_seconds_ago": round(now - answered, 1) if answered else None,
        "not_ready": list(sources.wrong()),
        "starts_stopped": [{"route": route, "reason": reason} for route, reason in _stopped(sources)],
        "held_topics": sorted(sources.kafka.unwritable),
        "in_flight": sources.holdings.in_flight,
        "documents": [_state(state, entries, now_ms) for state in State],
        "partitions": [_partition(each, sources.holdings) for each in sources.kafka.owned()],
        "oldest_documents": [_document(entry, now_ms) for entry in nsmallest(OLDEST_MOST, entries, key=_accepted)],
    }


def _stopped(sources: Sources) -> Iterable[tuple[str, str]]:
    for route, guard in sources.guards.configured():
        if sources.gate.reason:
            yield route, "breaker" if sources.gate.reason == "unclear" else sources.gate.reason
        if guard.stopped:
            yield route, "refusals"


def _state(state: State, entries: Iterable[Entry], now_ms: int) -> Mapping[str, object]:
    accepted = [entry.accepted_ms for entry in entries if entry.state is state]
    oldest = round(age_seconds(min(accepted), now_ms), 1) if accepted else None
    return {"state": state.value, "count": len(accepted), "oldest_seconds": oldest}


def _partition(owned: OwnedPartition, holdings: Holdings) -> Mapping[str, object]:
    holding = holdings.of(owned.partition)
    return {
        "topic": owned.partition.topic,
        "partition": owned.partition.number,
        "assignment": owned.number,
        "phase": owned.phase.name.lower(),
        "next_offset": owned.next_offset,
        "lag": owned.lag,
        "stopped": owned.stopped,
        "awaits_schema": holding.awaits[0] if holding is not None and holding.awaits else None,
    }


def _document(entry: Entry, now_ms: int) -> Mapping[str, object]:
    return {
        "tag": str(entry.tag),
        "state": entry.state.value,
        "age_seconds": round(age_seconds(entry.accepted_ms, now_ms), 1),
        "route": entry.request.route,
        "attempts": entry.attempts,
        "reason": entry.reason,
    }


def _accepted(entry: Entry) -> int:
    return entry.accepted_ms
