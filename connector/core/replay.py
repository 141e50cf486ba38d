"""A dead letter, read back: what it once was, where it stood, and the record that gives it another chance.

That it was sent again stands in the input topic itself, in a header of the new record: there is no second book that
could disagree, and whoever dies between two records leaves exactly those marked that are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from connector.core.dead_letter import CONNECT
from connector.core.errors import ConnectorError
from connector.core.reasons import Reason
from connector.core.record import Headers, OutRecord, Partition, Record
from connector.core.sought import Place

REPLAY_OF = "extend.replay.of"
"""Header of a record that was sent again: the dead letter's own place."""

RUN_MAY_EXIST = frozenset({Reason.DROPPED})
"""Reasons after which a run may have been bought; all others are told before any request, or by a refusal."""

_FIRST = f"{CONNECT}topic"
_REASON = "extend.reason"
_OMITTED_SUM = "extend.{}.omitted.sha256"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of the dead-letter topic.

    Attributes:
        place: where it stands itself.
        source: where the original stood.
        connector: name of the connector that wrote it.
        reason: the reason code.
        message: the sentence.
        timestamp: when it was written, in milliseconds since the epoch, or None.
        key: the original's.
        value: the original's; None for what had none or where it was left out.
        headers: the original's.
        omitted: SHA-256 in hexadecimal digits of each part that was too large and left out: value, headers, key.
    """

    place: Place
    source: Place
    connector: str
    reason: str
    message: str
    timestamp: int | None
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    omitted: Mapping[str, str]


def letter_of(record: Record) -> DeadLetter | None:
    """The dead letter in a record of the dead-letter topic; None when the connector did not write it.

    The original may have been another system's dead letter and have such headers itself: ours are those from the last
    ``__connect.errors.topic`` on.
    """
    names = [name for name, _ in record.headers]
    if _FIRST not in names:
        return None
    first = len(names) - 1 - names[::-1].index(_FIRST)
    ours = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers[first:]}
    number, offset = ours.get(f"{CONNECT}partition", ""), ours.get(f"{CONNECT}offset", "")
    if not (number.isdecimal() and offset.isdecimal()) or _REASON not in ours:
        return None
    return DeadLetter(
        place=Place(record.partition, record.offset),
        source=Place(Partition(ours[_FIRST], int(number)), int(offset)),
        connector=ours.get(f"{CONNECT}connector.name", ""),
        reason=ours[_REASON],
        message=ours.get(f"{CONNECT}exception.message", ""),
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers[:first],
        omitted={
            part: ours[name] for part in ("value", "headers", "key") if (name := _OMITTED_SUM.format(part)) in ours
        },
    )


def replayed_as(headers: Headers) -> str | None:
    """The dead letter that a record of an input topic sends again, by its place; the last of its kind counts."""
    for name, content in reversed(headers):
        if name == REPLAY_OF:
            return (content or b"").decode("utf-8", "replace")
    return None


def restored(letter: DeadLetter, original: Record | None) -> DeadLetter:
    """A letter with what was left out of it.

    Args:
        letter: the letter.
        original: the record at its source, or None where that is gone.

    Raises:
        ConnectorError: something was left out, and the record there is another one, or none.
    """
    if not letter.omitted:
        return letter
    if original is None or any(_sum(original, part) != digest for part, digest in letter.omitted.items()):
        raise ConnectorError(
            f"{letter.source}: its {' and '.join(letter.omitted)} did not fit into the dead-letter topic, and the "
            "input topic does not hold the original any more. Send the document by `extend-connector submit`.",
        )
    return replace(letter, key=original.key, value=original.value, headers=original.headers, omitted={})


def replay_record(letter: DeadLetter, mended: bytes | None = None) -> OutRecord:
    """The record that gives a dead letter another chance: in its old partition, so that its key stays where it is.

    Args:
        letter: nothing is left out of it.
        mended: the value instead of the original's.
    """
    return OutRecord(
        topic=letter.source.partition.topic,
        key=letter.key,
        value=letter.value if mended is None else mended,
        headers=(*letter.headers, (REPLAY_OF, str(letter.place).encode())),
        partition=letter.source.partition.number,
    )


def newest_by_source(letters: Iterable[DeadLetter]) -> dict[Place, DeadLetter]:
    """One letter for each source: an input topic that was made again has the same places once more."""
    newest: dict[Place, DeadLetter] = {}
    for letter in letters:
        known = newest.get(letter.source)
        if known is None or (letter.timestamp or 0) >= (known.timestamp or 0):
            newest[letter.source] = letter
    return newest


def _sum(record: Record, part: str) -> str:
    content = {
        "value": record.value or b"",
        "key": record.key or b"",
        "headers": b"".join(name.encode() + (content or b"") for name, content in record.headers),
    }[part]
    return hashlib.sha256(content).hexdigest()
