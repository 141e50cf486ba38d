"""A dead letter, read back: the original byte for byte, whatever it brought with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.dead_letter import RUN_MAY_EXIST, dead_letter
from connector.core.accept.replay import (
    REPLAY_OF,
    DeadLetter,
    Original,
    letter_of,
    newest_by_source,
    original_of,
    replay_record,
    replayed_as,
    restored,
)
from connector.core.errors import ConnectorError, RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Headers, Partition, Record
from connector.core.sought import Place

SOURCE = Place(Partition("documents", 3), 41)
PLACE = Place(Partition("documents.dead-letter", 0), 7)
A, B, C = (Place(PLACE.partition, offset) for offset in (1, 2, 3))
ERROR = RecordRejected(Reason.NO_FILE, "name the file", path="url", stage="request")

headers = st.lists(
    st.tuples(
        st.sampled_from(["x", "__connect.errors.topic", "extend.reason", "extend.value.omitted.sha256", REPLAY_OF]),
        st.none() | st.binary(max_size=20),
    ),
    max_size=6,
).map(tuple)


def written(
    key: bytes | None,
    value: bytes | None,
    original: Headers,
    *,
    max_bytes: int = 1_000_000,
    timestamp: int = 5,
    run_may_exist: bool = False,
) -> Record:
    out = dead_letter(
        key,
        value,
        original,
        SOURCE.partition,
        SOURCE.offset,
        ERROR,
        topic=PLACE.partition.topic,
        connector="invoices",
        max_bytes=max_bytes,
        run_may_exist=run_may_exist,
    )
    return Record(PLACE.partition, PLACE.offset, out.key, out.value, out.headers, timestamp)


def read(record: Record) -> DeadLetter:
    letter = letter_of(record)
    assert letter is not None
    return letter


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=20), headers)
def test_what_went_in_comes_back_out_even_when_it_was_a_dead_letter_itself(
    key: bytes | None, value: bytes | None, brought: Headers
) -> None:
    record = written(key, value, brought)
    letter, kept = read(record), original_of(record)
    assert kept == Original(key, value, brought)
    assert (letter.source, letter.place, letter.reason, letter.connector) == (SOURCE, PLACE, "NO_FILE", "invoices")
    assert (letter.message, letter.run_may_exist) == ("url: name the file", False)

    again = replay_record(letter, kept)
    assert (again.topic, again.partition, again.key, again.value) == ("documents", 3, key, value)
    assert again.headers == (*brought, (REPLAY_OF, b"documents.dead-letter/0/7"))
    assert replayed_as(again.headers) == str(letter.place), "the newest mark counts"
    assert replay_record(letter, kept, b"mended").value == b"mended"


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=12)), max_size=12).map(tuple))
def test_a_record_that_the_connector_did_not_write_is_no_letter(strange: Headers) -> None:
    assert letter_of(Record(PLACE.partition, 0, None, b"x", strange)) is None


def test_a_letter_without_its_place_is_no_letter() -> None:
    record = written(None, b"x", ())
    for name in ("__connect.errors.partition", "extend.reason"):
        assert letter_of(replace(record, headers=tuple(each for each in record.headers if each[0] != name))) is None


def test_whether_a_run_may_exist_is_told_and_does_not_come_from_the_original() -> None:
    assert read(written(b"k", b"v", (), run_may_exist=True)).run_may_exist
    assert not read(written(b"k", b"v", ((RUN_MAY_EXIST, b"true"),))).run_may_exist


@pytest.mark.parametrize("max_bytes", [3_000, 2_000, 900])
def test_what_was_left_out_comes_from_the_input_topic_when_it_is_the_same_there(max_bytes: int) -> None:
    whole = Original(b"k" * 500, b"v" * 5_000, (("h", b"h" * 1_500),))
    record = written(whole.key, whole.value, whole.headers, max_bytes=max_bytes)
    letter, kept = read(record), original_of(record)
    assert "value" in letter.omitted
    there = Record(SOURCE.partition, SOURCE.offset, whole.key, whole.value, whole.headers)
    assert restored(letter, kept, there) == whole

    for gone in (None, replace(there, value=b"another one")):
        with pytest.raises(ConnectorError, match=r"^its value.* `extend-connector submit`"):
            restored(letter, kept, gone)


def test_what_is_whole_needs_no_original() -> None:
    record = written(b"k", b"v", ())
    assert restored(read(record), original_of(record), None) == original_of(record)


def test_a_second_letter_of_a_record_is_a_copy_and_one_of_another_record_is_not() -> None:
    old, new = (replace(read(written(b"k", b"v", (), timestamp=at)), copies=(place,)) for at, place in ((1, A), (2, B)))
    other = replace(read(written(b"k", b"other", (), timestamp=3)), copies=(C,))
    for order in ([new, old], [old, new]):
        (letter,) = newest_by_source(order).values()
        assert (letter.timestamp, set(letter.copies)) == (2, {A, B})
    (letter,) = newest_by_source([old, other, new]).values()
    assert (letter.timestamp, letter.copies) == (3, (C,))
