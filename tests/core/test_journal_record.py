"""The journal's bytes: everything comes back, and what cannot be trusted stops its own partition and no other."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.entry import Entry, Request
from connector.core.errors import JournalError
from connector.core.formats.framing import Codec
from connector.core.journal_record import VERSION, JournalCodec, Mark, Restored, fingerprint_of, mark_key
from connector.core.record import Partition
from connector.schema_files import load_schema
from tests.factories.entries import NAME, entries, partitions, texts, times
from tests.factories.records import entry_of

schema = load_schema("journal_entry")
raw = Codec(schema)
codec = JournalCodec(raw, NAME)
P0, P1 = Partition("documents", 3), Partition("documents", 1)
ENTRY = entry_of()
KEY = str(ENTRY.tag).encode()
DATUM = raw.decode(codec.encode_entry(ENTRY))
marks = st.builds(Mark, st.just(NAME), partitions, texts, times, texts)


def changed(**fields_: object) -> bytes:
    return raw.encode(DATUM | fields_)


@given(entries())
def test_every_entry_comes_back_as_it_was(entry: Entry) -> None:
    restored = codec.restore({str(entry.tag).encode(): codec.encode_entry(entry)}, [entry.partition])
    assert restored == {entry.partition: Restored(None, (entry,))}


@given(marks)
def test_every_mark_comes_back_as_it_was(mark: Mark) -> None:
    assert codec.restore({mark.key: codec.encode_mark(mark)}, [mark.partition]) == {mark.partition: Restored(mark, ())}


@given(st.lists(entries(), max_size=6), st.lists(marks, max_size=3), st.sets(partitions, min_size=1))
def test_a_restore_finds_what_belongs_to_the_partitions_asked_for_in_offset_order(
    written: list[Entry], marked: list[Mark], asked: set[Partition]
) -> None:
    folded = {str(entry.tag).encode(): codec.encode_entry(entry) for entry in written}
    folded |= {mark.key: codec.encode_mark(mark) for mark in marked}
    newest = {str(entry.tag): entry for entry in written}
    last_marks = {mark.partition: mark for mark in marked}
    restored = codec.restore(folded, asked)
    assert set(restored) == asked
    for partition, found in restored.items():
        assert isinstance(found, Restored)
        assert found.mark == last_marks.get(partition)
        mine = [entry for entry in newest.values() if entry.partition == partition]
        assert sorted(found.entries, key=str) == sorted(mine, key=str)
        offsets = [entry.tag.offset for entry in found.entries]
        assert offsets == sorted(offsets)


def test_entries_and_marks_of_other_connectors_and_foreign_keys_are_left_alone() -> None:
    foreign = {
        KEY.replace(b"invoices/", b"receipts/"): b"garbage",
        mark_key("receipts", P0): b"garbage",
        b"\xff\xfe": b"garbage",
        b"something else": b"garbage",
    }
    assert codec.restore(foreign, [P0]) == {P0: Restored(None, ())}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        codec.encode_entry(ENTRY)[:-1],
        codec.encode_entry(ENTRY) + b"\x00",
        b"\xc3\x01" + b"\x00" * 8 + codec.encode_entry(ENTRY)[10:],
        changed(version=VERSION + 1),
        changed(state="postponed"),
        changed(state="mark"),
        changed(state="started", run_id=None),
        changed(state="review", run_id=""),
    ],
    ids=[
        "empty",
        "garbage",
        "cut",
        "too long",
        "other schema",
        "newer version",
        "unknown state",
        "a mark",
        "started without a run",
        "review without a run",
    ],
)
def test_a_damaged_or_newer_entry_stops_its_partition_alone(value: bytes) -> None:
    mark = Mark(NAME, P1, "id", 4, "print")
    restored = codec.restore({KEY: value, mark.key: codec.encode_mark(mark)}, [P0, P1])
    assert isinstance(restored[P0], JournalError)
    assert str(ENTRY.tag) in str(restored[P0])
    assert restored[P1] == Restored(mark, ())


@pytest.mark.parametrize(
    "value",
    [
        b"garbage",
        raw.encode({"version": VERSION + 1, "state": "mark", "body": b""}),
        raw.encode({"version": VERSION, "state": "mark", "body": b""}),
        codec.encode_entry(ENTRY),
    ],
    ids=["garbage", "newer version", "no offset", "an entry"],
)
def test_a_damaged_or_newer_mark_stops_its_partition_alone(value: bytes) -> None:
    restored = codec.restore({mark_key(NAME, P0): value}, [P0, P1])
    assert isinstance(restored[P0], JournalError)
    assert str(P0) in str(restored[P0])
    assert restored[P1] == Restored(None, ())


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_whatever_escape_as_another_error(noise: bytes, framed: bool) -> None:  # noqa: FBT001 - hypothesis passes it by position
    value = codec.encode_entry(ENTRY)[:10] + noise if framed else noise
    restored = codec.restore({KEY: value, mark_key(NAME, P1): value}, [P0, P1])
    assert all(isinstance(found, JournalError | Restored) for found in restored.values())


def test_the_schema_holds_every_field_of_an_entry() -> None:
    listed = schema["fields"]
    assert isinstance(listed, list)
    names = {field["name"] for field in listed}
    of_entry = {field.name for field in (*fields(Entry), *fields(Request))} - {"tag", "request"}
    of_mark = {field.name for field in fields(Mark)} - {"name", "partition"}
    assert names == of_entry | of_mark | {"version"}


def test_the_fingerprint_changes_with_all_that_places_an_entry() -> None:
    prints = {fingerprint_of("a", 4), fingerprint_of("b", 4), fingerprint_of("a", 8)}
    assert len(prints) == 3
