"""What single steps cost in CPU, without broker and network."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from connector.core.accept.mapping import mapping_of
from connector.core.accept.reference import Reference, reference_of
from connector.core.accept.request import resolve, route_of
from connector.core.accept.source import Given
from connector.core.accept.when import when_of
from connector.core.entry import Entry, accept
from connector.core.follow.schedule import Schedule
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Restored
from connector.core.record import OutRecord, Partition, Record
from connector.core.result import result_record
from connector.core.route import Route
from connector.core.run import parse_run
from connector.core.tag import tag_of
from connector.documents import Holding, Holdings
from connector.schema_files import load_schema
from tests.benchmarks.figures import Figures
from tests.factories.records import decoder, result_codec, run_of

pytestmark = pytest.mark.benchmark

T = TypeVar("T")

COUNT = 20_000
ROUNDS = 3
PARTITION = Partition("documents", 3)
ROUTES = (Route("invoices", "documents", run="extract", processor="ex_1"),)
RECORDS = [
    Record(
        PARTITION,
        offset,
        b"customer-%d" % (offset % 97),
        json.dumps(
            {"url": f"https://bucket.example.com/invoices/{offset}.pdf", "document_id": f"doc-{offset}"}
        ).encode(),
        (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
        1_790_000_000_000,
    )
    for offset in range(COUNT)
]
THEIRS = [
    replace(
        record,
        value=json.dumps(
            {
                "type": "invoice",
                "id": f"doc-{record.offset}",
                "payload": {"location": f"https://bucket.example.com/invoices/{record.offset}.pdf"},
            }
        ).encode(),
    )
    for record in RECORDS
]
"""The same documents in records of another shape, and the routes that find them."""
MAPPED = tuple(
    replace(
        ROUTES[0],
        name=kind,
        when=when_of({"type": kind}),
        mapping=mapping_of({"url": "payload.location", "document_id": "id"}),
    )
    for kind in ("receipt", "letter", "invoice")
)
RUN = json.dumps(
    {
        "object": "extract_run",
        "id": "exr_Zk9mNP12Qw4-yTv8BdR3H",
        "status": "PROCESSED",
        "output": {"value": {f"field_{number}": f"value {number}" for number in range(20)}, "metadata": {}},
        "metadata": {"kafka_connector": {"tag": "a/documents/3/1#aaaaaaaaaaaaaaaaaaaaaa", "partition": 3}},
        "usage": {"credits": 10},
        "createdAt": "2026-02-09T10:00:00.000Z",
        "updatedAt": "2026-02-09T10:00:02.000Z",
    },
).encode()


@dataclass(slots=True, eq=False)
class Item:
    place: int = 0


def test_one_step_at_a_time(figures: Callable[[str], Figures]) -> None:
    journal = JournalCodec(Codec(load_schema("journal_entry")), "invoices")
    table = figures(f"Single steps, {COUNT} times each, best of {ROUNDS} rounds, one core")

    entries = measured(
        table, "record to entry: tag, decode, route, create body", lambda: [_accepted(r) for r in RECORDS]
    )
    plain = measured(table, "of that: decode and read the reference", lambda: [_reference(r, ROUTES) for r in RECORDS])
    mapped = measured(
        table, "the same mapped, by the third of 3 routes", lambda: [_reference(r, MAPPED) for r in THEIRS]
    )
    assert [each.file and each.file.value for each in mapped] == [each.file and each.file.value for each in plain]
    values = measured(table, "journal: encode an entry", lambda: [journal.encode_entry(entry) for entry in entries])
    folded = {str(entry.tag).encode(): value for entry, value in zip(entries, values, strict=True)}
    restored = measured(table, "restore: decode a folded entry", lambda: journal.restore(folded, [PARTITION]))
    found = restored[PARTITION]
    assert isinstance(found, Restored)
    assert list(found.entries) == entries

    started = [entry.intend("n").start("exr_1", 1_790_000_000_200) for entry in entries]
    parsed = measured(table, "answer of the API to run", lambda: [parse_run("extract", RUN) for _ in RECORDS])
    assert parsed[-1].status == "PROCESSED"
    results = measured(table, "result: build and encode", lambda: [_result(entry) for entry in started])
    read = result_codec.decode(results[-1].value or b"")
    assert read["result_id"] == f"{started[-1].tag}@1"

    holdings = measured(table, "holdings: one document from ready to closed", lambda: _carried(entries))
    assert (holdings.in_flight, holdings.size) == (0, 0)
    measured(table, "holdings: next of a queue that waits", lambda: _next_ready(entries))
    measured(table, "holdings: next of a queue behind busy keys", lambda: _next_behind_keys(entries))
    popped = measured(table, "schedule: put and pop", _scheduled)
    assert popped == COUNT


def measured(table: Figures, what: str, work: Callable[[], T]) -> T:
    """Do ``COUNT`` pieces of work a few times, and note the best time of one piece."""
    times: list[float] = []
    done: list[T] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        done = [work()]
        times.append(time.process_time() - begun)
    best = min(times)
    table.add(what, f"{1e6 * best / COUNT:6.1f} us  {COUNT / best:9,.0f} per second")
    return done[0]


def _accepted(record: Record) -> Entry:
    tag = tag_of("invoices", "topic-id", record)
    return accept(tag, resolve(record, ROUTES, tag, decoder), record, 1_790_000_000_100)


def _reference(record: Record, routes: tuple[Route, ...]) -> Reference:
    given = Given(record, decoder)
    mapping = route_of(given, routes).mapping
    return reference_of(given.value()) if mapping is None else mapping.reference(given)


def _result(entry: Entry) -> OutRecord:
    return result_record(
        entry,
        run_of(),
        prefix="invoices",
        observed_via="poll",
        observed_ms=1_790_000_005_000,
        emitted_ms=1_790_000_005_100,
        max_bytes=1_000_000,
        codec=result_codec,
    )


def _carried(entries: list[Entry]) -> Holdings:
    """Each document through its states, while the limits are looked at as the pipeline does."""
    holdings = _six_holdings()
    holding = holdings.of(PARTITION)
    assert holding is not None
    for entry in entries:
        holding.put(entry)
        assert holdings.in_flight + holdings.size > 0
        intent = entry.intend("n")
        holding.put(intent)
        run = intent.start("exr_1", 1_790_000_000_200)
        holding.put(run)
        holding.close(run)
    return holdings


def _next_ready(entries: list[Entry]) -> None:
    """A long queue of documents that wait, taken in turn."""
    holdings = _six_holdings()
    holding = holdings.of(PARTITION)
    assert holding is not None
    for entry in entries:
        holding.put(entry)
    for expected in entries:
        found = holding.next_ready(lambda _: True, lambda _: False)
        assert found is expected
        holding.put(expected.intend("n"))


def _next_behind_keys(entries: list[Entry]) -> None:
    """All documents wait, one of each key is started: one ends, and the next of its key is found."""
    holding = Holding(PARTITION, 1, "topic-id", ordered=True)
    for entry in entries:
        holding.put(entry)
    carried = 0
    started: deque[Entry] = deque()
    while carried < COUNT:
        while (found := holding.next_ready(lambda _: True, lambda _: False)) is not None:
            started.append(found.intend("n"))
            holding.put(started[-1])
        holding.close(started.popleft())
        carried += 1
    assert len(holding) == 0


def _six_holdings() -> Holdings:
    holdings = Holdings()
    for number in range(6):
        holdings.add(Holding(Partition("documents", number), number + 1, "topic-id"))
    return holdings


def _scheduled() -> int:
    schedule: Schedule[Item] = Schedule()
    draw = random.Random(7)
    for _ in range(COUNT):
        schedule.put(Item(), draw.random())
    popped = 0
    while schedule.pop_due(1.0) is not None:
        popped += 1
    return popped
