"""What each transition of an entry keeps, changes and forgets."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from connector.core.entry import Entry, State, accept
from tests.factories.entries import entries
from tests.factories.records import record_of, request_of, tag_for

states = entries()


def changed(before: Entry, after: Entry) -> set[str]:
    names = [field.name for field in fields(Entry)]
    return {name for name in names if getattr(before, name) != getattr(after, name)}


def test_an_accepted_entry_holds_the_whole_record_and_asks_nothing_yet() -> None:
    record = record_of()
    request = request_of({"url": "https://files.example.com/a.pdf"})
    entry = accept(tag_for(record), request, record, 5)
    assert entry.state is State.READY
    assert (entry.key, entry.value, entry.headers) == (record.key, record.value, record.headers)
    assert (entry.source_timestamp, entry.accepted_ms, entry.request) == (record.timestamp, 5, request)
    assert (entry.nonce, entry.attempts, entry.run_id, entry.revision) == (None, 0, None, 0)
    assert entry.partition == record.partition


@given(states, st.text(min_size=1))
def test_an_intent_has_a_nonce_of_its_own_and_counts(entry: Entry, nonce: str) -> None:
    intent = entry.intend(nonce)
    assert (intent.state, intent.nonce, intent.attempts) == (State.INTENT, nonce, entry.attempts + 1)
    assert intent.reason is None
    assert changed(entry, intent) <= {"state", "nonce", "attempts", "reason"}


@given(states, st.text(min_size=1))
def test_waiting_again_forgets_the_nonce_and_keeps_the_record(entry: Entry, reason: str) -> None:
    waiting = entry.wait(reason)
    assert (waiting.state, waiting.nonce, waiting.reason) == (State.READY, None, reason)
    assert changed(entry, waiting) <= {"state", "nonce", "reason"}


@given(states, st.text(min_size=1))
def test_parking_keeps_everything_that_finding_the_run_needs(entry: Entry, reason: str) -> None:
    parked = entry.park(reason)
    assert (parked.state, parked.nonce, parked.reason) == (State.PARKED, entry.nonce, reason)
    assert changed(entry, parked) <= {"state", "reason"}


@given(states, st.text(min_size=1), st.integers(0, 2**40), st.booleans())
def test_a_started_entry_drops_the_record_and_keeps_what_the_result_needs(
    entry: Entry,
    run_id: str,
    now_ms: int,
    adopted: bool,  # noqa: FBT001 - hypothesis passes it by position
) -> None:
    started = entry.start(run_id, now_ms, adopted=adopted)
    assert (started.state, started.run_id, started.started_ms, started.adopted) == (
        State.STARTED,
        run_id,
        now_ms,
        adopted,
    )
    assert (started.request.body, started.value, started.nonce, started.reason) == (b"", None, None, None)
    assert (started.key, started.headers, started.request.metadata) == (
        entry.key,
        entry.headers,
        entry.request.metadata,
    )
    assert started.size <= entry.size


@given(states)
def test_a_review_is_one_revision_more_and_nothing_else(entry: Entry) -> None:
    review = entry.review()
    assert (review.state, review.revision) == (State.REVIEW, entry.revision + 1)
    assert changed(entry, review) <= {"state", "revision"}
