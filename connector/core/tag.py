"""The tag: the name of one record of one connector, for ever.

``<name>/<topic>/<partition>/<offset>#<hash>``. The hash covers the topic's id and the record's bytes, so two
connectors on one topic, or a topic that was deleted and made again, never meet. It is what a run carries at the API.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from connector.core.record import Partition, Record

HASH_CHARS = 22
"""Base32 characters kept of the SHA-256: 110 bits."""

MAX_STEM_CHARS = 180
"""Kept of a file name that carries the tag, so that the whole stays below the usual 255."""
MAX_SUFFIX_CHARS = 16
"""What is longer after the last dot is no extension."""

METADATA_KEY = "kafka_connector"
"""The key in a run's metadata under which the tag stands. References may not bring it."""

ANY_TOPIC = "*"
"""The topic of a tag of which a file name showed partition and hash only; no topic can be called so."""

# As many ASCII digits as Kafka's numbers have: `int` takes those of every script, and not more than 4300.
_TAG = re.compile(
    r"(?P<name>[^/]+)/(?P<topic>[^/]+)/(?P<partition>[0-9]{1,10})/(?P<offset>[0-9]{1,19})#(?P<hash>[a-z2-7]{22})"
)
_MARK = re.compile(rf"~k(?P<partition>[0-9]{{1,10}})-(?P<hash>[a-z2-7]{{{HASH_CHARS}}})")


@dataclass(frozen=True, slots=True)
class Tag:
    """The tag's parts; ``str(tag)`` is the tag itself."""

    name: str
    partition: Partition
    offset: int
    hash: str

    def __str__(self) -> str:
        return f"{self.name}/{self.partition.topic}/{self.partition.number}/{self.offset}#{self.hash}"

    def is_of(self, partitions: Collection[Partition]) -> bool:
        """Whether its record is in one of these partitions, as far as it shows: a file name shows the number only."""
        if self.partition.topic != ANY_TOPIC:
            return self.partition in partitions
        return any(partition.number == self.partition.number for partition in partitions)

    @classmethod
    def parse(cls, text: str) -> Tag | None:
        """The tag in a text, or None when the text is none."""
        match = _TAG.fullmatch(text)
        if match is None:
            return None
        partition = Partition(match["topic"], int(match["partition"]))
        return cls(match["name"], partition, int(match["offset"]), match["hash"])


def tag_of(name: str, topic_id: str, record: Record) -> Tag:
    """The tag of a record.

    Args:
        name: the connector's name.
        topic_id: the id that Kafka gave the topic when it was made (KIP-516).
        record: the record; its key and value go into the hash, each with its length in front.
    """
    digest = hashlib.sha256()
    position = f"{record.partition.topic}/{record.partition.number}/{record.offset}"
    for part in (name.encode(), topic_id.encode(), position.encode(), record.key, record.value):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    text = base64.b32encode(digest.digest()).decode().lower()
    return Tag(name, record.partition, record.offset, text[:HASH_CHARS])


def metadata_of(tag: Tag) -> dict[str, object]:
    """What a run's metadata holds under ``METADATA_KEY``."""
    return {"tag": str(tag), "partition": tag.partition.number}


def file_mark(tag: Tag) -> str:
    """What a file name carries of the tag: partition and hash."""
    return f"~k{tag.partition.number}-{tag.hash}"


def tagged_file_name(original: str | None, tag: Tag, suffix: str = "") -> str:
    """The file name that carries the tag where list rows carry no metadata: ``<stem>~k<partition>-<hash>.<ext>``.

    Args:
        original: the name that the result will show again, or None.
        tag: the tag.
        suffix: the extension to use when the original has none, e.g. ``.txt``.
    """
    path = PurePosixPath(original or "document")
    extension = path.suffix if len(path.suffix) <= MAX_SUFFIX_CHARS else ""
    return f"{path.stem[:MAX_STEM_CHARS]}{file_mark(tag)}{extension or suffix}"


def marked_tag(name: str, file_name: str) -> Tag | None:
    """What a file name shows of a tag: partition and hash, under ``ANY_TOPIC``; None when it shows none, or several.

    Args:
        name: the connector's name, which file names do not show.
        file_name: the name that the API shows.
    """
    marks = list(_MARK.finditer(file_name))
    if len(marks) != 1:
        return None
    return Tag(name, Partition(ANY_TOPIC, int(marks[0]["partition"])), 0, marks[0]["hash"])


def untagged_file_name(name: str, tag: Tag) -> str:
    """The name that ``tagged_file_name`` was given, from the name that the API shows."""
    return name.replace(file_mark(tag), "", 1)
