"""A dead letter, read back: what it once was, where it stood, and the record that gives it another chance.

That it was sent again stands in the input topic itself, in a header of the new record: there is no second book that
could disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from connector.core.accept.dead_letter import CONNECT, RUN_MAY_EXIST
from connector.core.errors import ConnectorError
from connector.core.reasons import Reason
from connector.core.record import Headers, OutRecord, Partition, Record
from connector.core.sought import Place

REPLAY_OF = "extend.replay.of"
"""Header of a record that was sent again: the dead letter's own place."""

_FIRST = f"{CONNECT}topic"
_REASON = "extend.reason"
_OMITTED_SUM = "extend.{}.omitted.sha256"


@dataclass(frozen=True, slots=True)
class Original:
    """What a dead letter keeps of its record, byte for byte."""

    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What one record of the dead-letter topic says, without the original: there may be many, and large ones.

    Attributes:
        place: where it stands itself.
        source: where the original stood.
        connector: name of the connector that wrote it.
        reason: the reason code.
        message: the sentence.
        timestamp: when it was written, in milliseconds since the epoch, or None.
        run_may_exist: its document was started, and nobody knows whether that made a run.
        omitted: SHA-256 in hexadecimal digits of each part that was too large and left out: value, headers, key.
        digest: of the original, as far as it is kept.
        copies: the places of all letters of the same record, this one among them.
    """

    place: Place
    source: Place
    connector: str
    reason: str
    message: str
    timestamp: int | None
    run_may_exist: bool
    omitted: Mapping[str, str]
    digest: bytes
    copies: tuple[Place, ...]


def letter_of(record: Record) -> DeadLetter | None:
    """The dead letter in a record of the dead-letter topic; None when the connector did not write it."""
    first = _first_of_ours(record.headers)
    if first is None:
        return None
    ours = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers[first:]}
    number, offset = ours.get(f"{CONNECT}partition", ""), ours.get(f"{CONNECT}offset", "")
    if not (number.isdecimal() and offset.isdecimal()) or _REASON not in ours:
        return None
    place = Place(record.partition, record.offset)
    sums = {part: _OMITTED_SUM.format(part) for part in ("value", "headers", "key")}
    return DeadLetter(
        place=place,
        source=Place(Partition(ours[_FIRST], int(number)), int(offset)),
        connector=ours.get(f"{CONNECT}connector.name", ""),
        reason=ours[_REASON],
        message=ours.get(f"{CONNECT}exception.message", ""),
        timestamp=record.timestamp,
        run_may_exist=RUN_MAY_EXIST in ours or ours[_REASON] == Reason.DROPPED,
        omitted={part: ours[name] for part, name in sums.items() if name in ours},
        digest=_digest(record.key, record.value),
        copies=(place,),
    )


def original_of(record: Record) -> Original:
    """What a record of the dead-letter topic keeps of the original."""
    return Original(record.key, record.value, record.headers[: _first_of_ours(record.headers)])


def _first_of_ours(headers: Headers) -> int | None:
    """Where our headers begin.

    The original may have been another system's dead letter and have such headers itself: ours are those from the last
    ``__connect.errors.topic`` on.
    """
    names = [name for name, _ in headers]
    return len(names) - 1 - names[::-1].index(_FIRST) if _FIRST in names else None


def replayed_as(headers: Headers) -> str | None:
    """The dead letter that a record of an input topic sends again, by its place; the last of its kind counts."""
    for name, content in reversed(headers):
        if name == REPLAY_OF:
            return (content or b"").decode("utf-8", "replace")
    return None


def restored(letter: DeadLetter, kept: Original, found: Record | None) -> Original:
    """The whole original.

    Args:
        letter: the letter.
        kept: what it keeps.
        found: the record at its source, or None where that is gone.

    Raises:
        ConnectorError: something was left out, and the record there is another one, or none.
    """
    if not letter.omitted:
        return kept
    if found is None or any(_sum(found, part) != digest for part, digest in letter.omitted.items()):
        raise ConnectorError(
            f"its {' and '.join(letter.omitted)} did not fit into the dead-letter topic, and the input topic does not "
            "hold the original any more; send the document by `extend-connector submit`",
        )
    return Original(found.key, found.value, found.headers)


def replay_record(letter: DeadLetter, original: Original, mended: bytes | None = None) -> OutRecord:
    """The record that gives a dead letter another chance: in its old partition, so that its key stays where it is.

    Args:
        letter: the letter.
        original: all of the original.
        mended: the value instead of the original's.
    """
    return OutRecord(
        topic=letter.source.partition.topic,
        key=original.key,
        value=original.value if mended is None else mended,
        headers=(*original.headers, (REPLAY_OF, str(letter.place).encode())),
        partition=letter.source.partition.number,
    )


def newest_by_source(letters: Iterable[DeadLetter]) -> dict[Place, DeadLetter]:
    """One letter for each source, which knows its copies.

    A group whose offsets went back makes a second letter of the same record. An input topic that was made again has the
    same places once more, with other records.
    """
    newest: dict[Place, DeadLetter] = {}
    for letter in letters:
        known = newest.get(letter.source)
        if known is None:
            newest[letter.source] = letter
            continue
        last = max(known, letter, key=lambda each: each.timestamp or 0)
        copies = (*known.copies, *letter.copies) if known.digest == letter.digest else last.copies
        newest[letter.source] = replace(last, copies=copies)
    return newest


def _digest(*parts: bytes | None) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


def _sum(record: Record, part: str) -> str:
    content = {
        "value": record.value or b"",
        "key": record.key or b"",
        "headers": b"".join(name.encode() + (content or b"") for name, content in record.headers),
    }[part]
    return hashlib.sha256(content).hexdigest()
