from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.dead_letter import dead_letter
from connector.core.entry import Entry
from connector.core.errors import RecordRejected
from connector.core.journal_record import WRITER_HEADER
from connector.core.record import Partition, Record
from connector.core.run import Run
from connector.core.sought import Place
from connector.core.timeline import (
    CLOSED,
    Event,
    Source,
    api_event,
    in_order,
    journal_event,
    letter_event,
    result_event,
    runs_of,
)
from tests.factories.entries import entries
from tests.factories.records import entry_of

JOURNAL = Partition("invoices.journal", 1)
RESULTS = Partition("invoices.processed", 0)
CANARY = "canary-content"


def record(partition: Partition, offset: int, at_ms: int | None, value: bytes | None = b"x") -> Record:
    return Record(partition, offset, b"k", value, ((WRITER_HEADER, b"invoices-host-1"),), at_ms)


def full_of_content() -> Entry:
    entry = entry_of().intend("nonce-1")
    request = replace(entry.request, body=CANARY.encode(), metadata=CANARY, file_name=CANARY)
    return replace(entry, request=request, value=CANARY.encode(), headers=(("h", CANARY.encode()),))


def test_a_journal_record_tells_state_attempt_and_writer() -> None:
    entry = full_of_content()
    line = journal_event(entry.tag, record(JOURNAL, 5, 100), entry).line()
    assert (line["source"], line["what"], line["at_ms"], line["tag"]) == ("journal", "intent", 100, str(entry.tag))
    assert (line["attempts"], line["nonce"], line["writer"]) == (1, "nonce-1", "invoices-host-1")
    assert line["record"] == {"topic": "invoices.journal", "partition": 1, "offset": 5}


def test_a_tombstone_closes() -> None:
    event = journal_event(entry_of().tag, record(JOURNAL, 6, 101, None), None)
    assert (event.what, dict(event.details)) == (CLOSED, {"writer": "invoices-host-1"})


@given(entries())
def test_any_entry_has_an_event_that_says_nothing_of_the_document(entry: Entry) -> None:
    request = replace(entry.request, body=CANARY.encode(), metadata=CANARY, file_name=CANARY)
    secret = replace(entry, request=request, value=CANARY.encode(), headers=(("h", CANARY.encode()),))
    event = journal_event(entry.tag, record(JOURNAL, 1, None), secret)
    assert event.what == entry.state.value
    assert CANARY not in repr(event)


def test_a_result_tells_how_the_run_ended_and_not_what_came_out() -> None:
    tag = entry_of().tag
    fields: dict[str, object] = {
        "result_id": f"{tag}@1",
        "run_id": "exr_1",
        "run_type": "extract",
        "status": "FAILED",
        "failure_reason": "CORRUPT",
        "credits": 0.0,
        "output": CANARY,
        "metadata": CANARY,
        "file_name": CANARY,
    }
    event = result_event(record(RESULTS, 2, 200), fields)
    assert event is not None
    assert (event.what, event.tag, event.place) == ("FAILED", str(tag), Place(tag.partition, tag.offset))
    assert dict(event.details) == {
        "run_type": "extract",
        "run_id": "exr_1",
        "failure_reason": "CORRUPT",
        "credits": 0.0,
    }
    assert CANARY not in repr(event)
    assert result_event(record(RESULTS, 3, 201), {"result_id": "?"}) is None


def test_a_dead_letter_tells_reason_and_place() -> None:
    error = RecordRejected("REFUSED_BY_API", "no such processor", stage="start", api_code="NOT_FOUND", request_id="r1")
    place = Place(Partition("documents", 3), 17)
    letter = dead_letter(
        b"k",
        CANARY.encode(),
        (),
        place.partition,
        place.offset,
        error,
        topic="invoices.dead-letter",
        connector="invoices",
        max_bytes=10_000,
    )
    event = letter_event(Record(Partition(letter.topic, 0), 1, letter.key, letter.value, letter.headers, 300))
    assert event is not None
    assert (event.what, event.place, event.tag) == ("REFUSED_BY_API", place, None)
    assert dict(event.details) == {
        "stage": "start",
        "message": "no such processor",
        "api_code": "NOT_FOUND",
        "request_id": "r1",
    }
    assert CANARY not in repr(event)
    assert letter_event(record(RESULTS, 1, 1)) is None


def test_what_was_sent_again_names_its_dead_letter_everywhere() -> None:
    headers = (("extend.replay.of", b"invoices.dead-letter/0/17"),)
    entry = replace(entry_of(), headers=headers)
    result = replace(record(RESULTS, 2, 200), headers=headers)
    letter = dead_letter(
        *(b"k", b"{}", headers, Partition("documents", 3), 18, RecordRejected("NO_FILE", "no file is named")),
        topic="invoices.dead-letter",
        connector="invoices",
        max_bytes=10_000,
    )
    events = [
        journal_event(entry.tag, record(JOURNAL, 5, 100), entry),
        result_event(result, {"result_id": f"{entry.tag}@1", "status": "PROCESSED"}),
        letter_event(Record(Partition(letter.topic, 0), 1, letter.key, letter.value, letter.headers, 300)),
    ]
    assert [event and event.line().get("replay_of") for event in events] == ["invoices.dead-letter/0/17"] * 3


def test_a_header_of_that_name_that_names_no_place_is_not_shown() -> None:
    entry = replace(entry_of(), headers=(("extend.replay.of", CANARY.encode()),))
    assert "replay_of" not in journal_event(entry.tag, record(JOURNAL, 5, 100), entry).line()


def test_the_api_tells_what_a_run_is_now_and_whose_it_is() -> None:
    tag = entry_of().tag
    run = Run("exr_1", "extract", "PROCESSED", output=CANARY.encode(), file_name=CANARY, tag=str(tag), finished_ms=5)
    event = api_event(tag, run, 400)
    assert (event.what, event.at_ms, dict(event.details)) == ("PROCESSED", 400, {"run_id": "exr_1", "finished_ms": 5})
    assert CANARY not in repr(event)
    assert dict(api_event(tag, replace(run, tag="another"), 400).details)["tag_at_api"] == "another"


def test_clocks_that_differ_do_not_turn_the_journal_around() -> None:
    entry = entry_of()
    ahead = journal_event(entry.tag, record(JOURNAL, 5, 1_000), entry.intend("a"))
    behind = journal_event(entry.tag, record(JOURNAL, 6, 900), entry.start("exr_1", 1))
    result = result_event(record(RESULTS, 0, 950), {"result_id": f"{entry.tag}@1", "status": "PROCESSED"})
    closed = journal_event(entry.tag, record(JOURNAL, 7, 1_000, None), None)
    assert result is not None
    assert in_order([closed, behind, ahead, result]) == [result, ahead, behind, closed]
    later = replace(result, at_ms=1_000)
    assert in_order([closed, later, behind, ahead]) == [ahead, behind, later, closed]


@given(st.permutations(range(6)))
def test_the_order_does_not_depend_on_where_it_was_read_first(order: list[int]) -> None:
    place = Place(Partition("documents", 0), 1)
    events = [
        Event(place, Source.JOURNAL, str(offset), 10 - offset, record=(JOURNAL, offset)) for offset in range(4)
    ] + [Event(place, Source.API, "now", 50), Event(place, Source.RESULT, "end", 20, record=(RESULTS, 0))]
    assert [event.what for event in in_order([events[index] for index in order])] == ["0", "1", "2", "3", "end", "now"]


def test_runs_are_named_once() -> None:
    started = entry_of().start("exr_1", 1)
    events = [journal_event(started.tag, record(JOURNAL, n, n), started) for n in range(2)]
    assert list(runs_of(events)) == [(started.tag, "extract", "exr_1")]
    assert list(runs_of([journal_event(started.tag, record(JOURNAL, 3, 3), None)])) == []
