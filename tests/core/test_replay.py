"""A dead letter, read back: the original byte for byte, whatever it brought with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.dead_letter import dead_letter
from connector.core.errors import ConnectorError, RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Headers, Partition, Record
from connector.core.replay import (
    REPLAY_OF,
    DeadLetter,
    letter_of,
    newest_by_source,
    replay_record,
    replayed_as,
    restored,
)
from connector.core.sought import Place

SOURCE = Place(Partition("documents", 3), 41)
PLACE = Place(Partition("documents.dead-letter", 0), 7)
ERROR = RecordRejected(Reason.NO_FILE, "name the file", path="url", stage="request")

headers = st.lists(
    st.tuples(
        st.sampled_from(["x", "__connect.errors.topic", "extend.reason", "extend.value.omitted.sha256", REPLAY_OF]),
        st.none() | st.binary(max_size=20),
    ),
    max_size=6,
).map(tuple)


def written(
    key: bytes | None, value: bytes | None, original: Headers, *, max_bytes: int = 1_000_000, timestamp: int = 5
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
    )
    return Record(PLACE.partition, PLACE.offset, out.key, out.value, out.headers, timestamp)


def read(record: Record) -> DeadLetter:
    letter = letter_of(record)
    assert letter is not None
    return letter


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=20), headers)
def test_what_went_in_comes_back_out_even_when_it_was_a_dead_letter_itself(
    key: bytes | None, value: bytes | None, original: Headers
) -> None:
    letter = read(written(key, value, original))
    assert (letter.key, letter.value, letter.headers) == (key, value, original)
    assert (letter.source, letter.place, letter.reason, letter.connector) == (SOURCE, PLACE, "NO_FILE", "invoices")
    assert letter.message == "url: name the file"

    again = replay_record(letter)
    assert (again.topic, again.partition, again.key, again.value) == ("documents", 3, key, value)
    assert again.headers == (*original, (REPLAY_OF, b"documents.dead-letter/0/7"))
    assert replayed_as(again.headers) == str(letter.place), "the newest mark counts"
    assert replay_record(letter, b"mended").value == b"mended"


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=12)), max_size=12).map(tuple))
def test_a_record_that_the_connector_did_not_write_is_no_letter(strange: Headers) -> None:
    assert letter_of(Record(PLACE.partition, 0, None, b"x", strange)) is None


def test_a_letter_without_its_place_is_no_letter() -> None:
    record = written(None, b"x", ())
    for name in ("__connect.errors.partition", "extend.reason"):
        assert letter_of(replace(record, headers=tuple(each for each in record.headers if each[0] != name))) is None


@pytest.mark.parametrize("max_bytes", [3_000, 2_000, 900])
def test_what_was_left_out_comes_from_the_input_topic_when_it_is_the_same_there(max_bytes: int) -> None:
    key, value, original = b"k" * 500, b"v" * 5_000, (("h", b"h" * 1_500),)
    letter = read(written(key, value, original, max_bytes=max_bytes))
    assert "value" in letter.omitted
    there = Record(SOURCE.partition, SOURCE.offset, key, value, original)
    assert replay_record(restored(letter, there)).value == value
    whole = restored(letter, there)
    assert (whole.key, whole.headers, whole.omitted) == (key, original, {})

    for gone in (None, replace(there, value=b"another one")):
        with pytest.raises(ConnectorError, match=r"documents/3/41: its value.* `extend-connector submit`"):
            restored(letter, gone)


def test_what_is_whole_needs_no_original() -> None:
    letter = read(written(b"k", b"v", ()))
    assert restored(letter, None) is letter


def test_of_two_topics_of_one_name_the_newer_letter_counts() -> None:
    old, new = (read(written(b"k", value, (), timestamp=at)) for at, value in ((1, b"old"), (2, b"new")))
    assert newest_by_source([new, old]) == newest_by_source([old, new]) == {SOURCE: new}
