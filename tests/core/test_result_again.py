"""What the last result of a document says is all that its next one needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.core.entry import Entry, Request
from connector.core.record import OutRecord, Partition, Record
from connector.core.result import failed_run, result_record
from connector.core.result_again import NotAgain, Told, check_run, later
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from tests.factories.records import entry_of, record_of, result_codec, run_of, tag_for

TAG = tag_for(record_of())


def result_of(entry: Entry, run: Run, max_bytes: int = 1_000_000) -> OutRecord:
    return result_record(
        entry,
        run,
        prefix="documents",
        observed_via="sweep",
        observed_ms=3,
        emitted_ms=4,
        max_bytes=max_bytes,
        codec=result_codec,
    )


def told_of(record: OutRecord) -> Told:
    read = Record(Partition(record.topic, 0), 7, record.key, record.value, record.headers)
    return later(None, read, result_codec.decode(record.value or b""))


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_the_next_result_is_the_one_that_the_journal_would_have_led_to(run_type: str) -> None:
    request = Request(run_type, "inv", b"", "ex_1", "doc-1", '{"a":1}', "file_1", "invoice.pdf")
    entry = entry_of(request, revision=1)
    first = result_of(entry, run_of("NEEDS_REVIEW", run_type=run_type, output=None))
    run = run_of("PROCESSED", run_type=run_type)
    again = result_of(told_of(first).entry(TAG), run)
    assert again == result_of(replace(entry, revision=2), run)
    assert result_codec.decode(again.value or b"")["result_id"] == f"{TAG}@3"


def test_key_and_headers_that_are_none_or_doubled_stay_so() -> None:
    entry = replace(entry_of(headers=(("a", b"1"), ("a", None))), key=None)
    again = result_of(told_of(result_of(entry, run_of())).entry(TAG), run_of())
    assert (again.key, again.headers) == (None, (("a", b"1"), ("a", None)))


def test_the_latest_revision_counts_in_whatever_order_topics_are_read() -> None:
    records = []
    for revision in (1, 0, 2):
        made = result_of(entry_of(revision=revision), run_of())
        records.append(Record(Partition(made.topic, 0), 0, made.key, made.value, made.headers))
    told: Told | None = None
    for record in records:
        told = later(told, record, result_codec.decode(record.value or b""))
    assert told is not None
    assert told.revision == 3


def test_what_says_nothing_new_is_seen_and_what_does_is_too() -> None:
    run = run_of(output=b'"' + b"x" * 5000 + b'"')
    omitted = told_of(result_of(entry_of(), run, max_bytes=2000))
    later_entry = omitted.entry(TAG)
    assert omitted.says_as_much_as(result_codec.decode(result_of(later_entry, run, max_bytes=2000).value or b""))
    for changed in (run, replace(run, status="REJECTED", output=None), replace(run, credits=9.0)):
        assert not omitted.says_as_much_as(result_codec.decode(result_of(later_entry, changed).value or b""))


def test_a_document_that_ended_without_a_run_has_none_to_read() -> None:
    entry = replace(entry_of(), run_id=None)
    record = failed_run(
        entry,
        reason="DROPPED",
        message="Nobody knows.",
        prefix="documents",
        observed_via="poll",
        observed_ms=1,
        emitted_ms=2,
        max_bytes=1_000_000,
        codec=result_codec,
    )
    with pytest.raises(NotAgain, match="before a run was known"):
        told_of(record).run()
    assert told_of(result_of(entry_of(), run_of())).run() == ("extract", "exr_1")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (run_of(tag="invoices/documents/3/41#aaaaaaaaaaaaaaaaaaaaaa"), "under another tag"),
        (run_of(tag=None), "under another tag: none"),
        (run_of("PROCESSING", tag=str(TAG)), "has not ended: it is PROCESSING"),
        (run_of(run_type="edit", tag=None, file_name="a~k3-aaaaaaaaaaaaaaaaaaaaaa.pdf"), "under another tag"),
    ],
)
def test_a_run_that_is_not_this_documents_or_goes_on_is_refused(run: Run, why: str) -> None:
    with pytest.raises(NotAgain, match=why):
        check_run(run, TAG)


def test_a_run_that_is_this_documents_is_taken() -> None:
    check_run(run_of(tag=str(TAG)), TAG)
    check_run(run_of("NEEDS_REVIEW", tag=str(TAG)), TAG)
    check_run(run_of(run_type="edit", tag=None, file_name=f"a~k3-{TAG.hash}.pdf"), TAG)
