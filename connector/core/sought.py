"""What somebody asks about: a tag, a run, a place in an input topic, or the key of a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connector.core.entry import Entry
from connector.core.record import Partition
from connector.core.tag import Tag

_PLACE = re.compile(r"(?P<topic>[^/#]+)/(?P<partition>\d{1,10})/(?P<offset>\d{1,19})")
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{3,200}")

FORMS = "a tag (name/topic/partition/offset#hash), a run id, or topic/partition/offset"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an input record stands."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


def place_of(tag: Tag) -> Place:
    """The place of the record that a tag names."""
    return Place(tag.partition, tag.offset)


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for; one of the four is given, and with a tag its place too.

    Attributes:
        text: what it is called in sentences.
        place: the input record's place.
        tag: the tag.
        run_id: the run.
        key: the input record's key.
    """

    text: str
    place: Place | None = None
    tag: Tag | None = None
    run_id: str | None = None
    key: bytes | None = None

    def fits_tag(self, tag: Tag) -> bool:
        """Whether a document is looked for, as far as its tag says so."""
        return tag == self.tag if self.tag is not None else place_of(tag) == self.place

    def fits_entry(self, entry: Entry) -> bool:
        """Whether an open document is looked for."""
        if self.run_id is not None:
            return entry.run_id == self.run_id
        if self.key is not None:
            return entry.key == self.key
        return self.fits_tag(entry.tag)

    def fits_result(self, tag: Tag, run_id: object, key: bytes | None) -> bool:
        """Whether a result is looked for.

        Args:
            tag: of its document.
            run_id: its run.
            key: of its record, which is the input record's.
        """
        if self.run_id is not None:
            return run_id == self.run_id
        if self.key is not None:
            return key == self.key
        return self.fits_tag(tag)

    def may_be_in_entry(self, value: bytes) -> bool:
        """Whether a record of the journal is worth decoding, where a run or a key is looked for: both stand in it."""
        return (str(self.run_id).encode() if self.key is None else self.key) in value

    def may_be_in(self, value: bytes, key: bytes | None) -> bool:
        """Whether a record is worth decoding: results are large, and nearly all are somebody else's.

        Args:
            value: the record's value, in which tags and run ids stand as they are.
            key: the record's key.
        """
        if self.key is not None:
            return key == self.key
        needle = self.run_id or f"/{self.place}#"
        return needle.encode() in value


def by_key(key: str) -> Sought:
    """Every document whose record has this key; bytes that are no UTF-8 come as the command line gives them."""
    content = key.encode("utf-8", "surrogateescape")
    return Sought(f"the key {content.decode('utf-8', 'replace')}", key=content)


def by_text(text: str) -> Sought:
    """What an argument of the command line means.

    Raises:
        ValueError: none of the forms; the sentence names them.
    """
    if (tag := Tag.parse(text)) is not None:
        return Sought(f"the tag {text}", place_of(tag), tag)
    if (place := place_in(text)) is not None:
        return Sought(f"the record {place}", place)
    if is_run_id(text):
        return Sought(f"the run {text}", run_id=text)
    raise ValueError(f"is not {FORMS}")


def place_in(text: str) -> Place | None:
    """The place that ``topic/partition/offset`` means; None for anything else."""
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    return Place(Partition(match["topic"], int(match["partition"])), int(match["offset"]))


def is_run_id(text: str) -> bool:
    """Whether a text can be the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


def tag_of_result(fields: Mapping[str, object]) -> Tag | None:
    """The tag in a decoded result, or None when it has none that can be read."""
    return Tag.parse(str(fields.get("result_id", "")).rpartition("@")[0])
