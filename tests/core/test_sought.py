from __future__ import annotations

import pytest
from hypothesis import given

from connector.core.entry import Entry
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec
from connector.core.record import Partition
from connector.core.sought import Place, Sought, by_key, by_text, place_of, tag_of_result
from connector.core.tag import Tag
from connector.schema_files import load_schema
from tests.factories.entries import NAME, entries, tags

TAG = "invoices/documents/3/17#aaaaaaaaaaaaaaaaaaaaaa"


def test_each_form_is_told_from_the_others() -> None:
    assert by_text(TAG).tag == Tag.parse(TAG)
    assert by_text(TAG).place == Place(Partition("documents", 3), 17)
    assert by_text("documents.v2/3/17").place == Place(Partition("documents.v2", 3), 17)
    assert by_text("exr_9Qm2kV7tLx4RbN8cYw1Z").run_id == "exr_9Qm2kV7tLx4RbN8cYw1Z"
    assert by_key("müller").key == "müller".encode()


@pytest.mark.parametrize("text", ["", "a b", "documents/3", "documents/x/1", "a/b/c/d", "x/1/2#short", "-1\n", "ä" * 9])
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"a tag .* a run id, or topic/partition/offset"):
        by_text(text)


@given(tags, tags)
def test_a_tag_finds_its_document_and_no_other(tag: Tag, other: Tag) -> None:
    sought = by_text(str(tag))
    assert sought.fits_tag(tag)
    assert sought.fits_tag(other) == (tag == other)
    assert by_text(str(place_of(tag))).fits_tag(other) == (place_of(tag) == place_of(other))


def test_a_record_of_another_topic_made_under_the_same_name_is_another_document() -> None:
    other = Tag.parse(TAG.replace("#a", "#b"))
    assert other is not None
    assert not by_text(TAG).fits_tag(other)
    assert by_text("documents/3/17").fits_tag(other)


@given(entries())
def test_an_entry_is_found_by_run_and_by_key(entry: Entry) -> None:
    assert by_text("exr_none").fits_entry(entry) == (entry.run_id == "exr_none")
    if entry.key is not None:
        found = by_key(entry.key.decode("utf-8", "surrogateescape"))
        assert found.fits_entry(entry)


@given(entries())
def test_no_entry_that_is_looked_for_is_passed_over_undecoded(entry: Entry) -> None:
    value = JournalCodec(Codec(load_schema("journal_entry")), NAME).encode_entry(entry)
    assert Sought("the run", run_id=entry.run_id).may_be_in_entry(value)
    if entry.key is not None:
        assert Sought("the key", key=entry.key).may_be_in_entry(value)
    assert not Sought("another run", run_id="exr_of_another_document").may_be_in_entry(value)


def test_what_may_be_in_a_result_is_seen_without_decoding_it() -> None:
    value = b"\xc3\x01........." + TAG.encode() + b"@1....exr_1234...."
    assert by_text(TAG).may_be_in(value, None)
    assert by_text("documents/3/17").may_be_in(value, None)
    assert not by_text("documents/3/1").may_be_in(value, None)
    assert by_text("exr_1234").may_be_in(value, None)
    assert not by_text("exr_9").may_be_in(value, None)
    assert by_key("k").may_be_in(b"", b"k")
    assert not by_key("k").may_be_in(b"k", None)


def test_the_tag_of_a_result_is_its_id_without_the_revision() -> None:
    assert str(tag_of_result({"result_id": f"{TAG}@2"})) == TAG
    assert tag_of_result({"result_id": "nonsense"}) is None
    assert tag_of_result({}) is None
