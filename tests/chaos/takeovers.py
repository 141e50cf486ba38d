"""How long the partitions of a dead worker had no owner that wrote, as the journal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.core.journal_record import WRITER_HEADER
from connector.core.tag import Tag
from tests.chaos.history import Fault
from tests.chaos.readers import Raw

_MARK = "mark:"
_SLACK_MS = 1_000
"""The harness notices a death a little later; clocks of records and harness are the same."""
_LATEST_MS = 5_000
"""Who wrote nothing for so long before it died is not recognised."""


class Write(NamedTuple):
    """Something that was written for an input partition."""

    at_ms: int
    writer: str


def takeovers(journal: Iterable[Raw], deaths: Sequence[Fault]) -> tuple[int, ...]:
    """For each death, milliseconds until the last of its partitions was written for by another process.

    Who died is who wrote last before and never again: processes name themselves by chance.

    Args:
        journal: its records, in the order of each partition.
        deaths: of workers, in order.

    Returns:
        One figure per death that is recognised and left partitions behind.
    """
    by_partition = writes_in(journal)
    last: dict[str, int] = {}
    for writes in by_partition.values():
        for write in writes:
            last[write.writer] = max(last.get(write.writer, 0), write.at_ms)
    found = []
    for death in deaths:
        victim = _victim(last, death.at_ms)
        if victim is None:
            continue
        owned_ms = last.pop(victim) - _LATEST_MS
        gaps = [gap for writes in by_partition.values() if (gap := _gap(writes, victim, owned_ms)) is not None]
        if gaps:
            found.append(max(gaps))
    return tuple(found)


def writes_in(journal: Iterable[Raw]) -> Mapping[str, list[Write]]:
    """Every write by input partition."""
    writes: dict[str, list[Write]] = {}
    for record in journal:
        writer = next(((value or b"").decode() for key, value in record.headers if key == WRITER_HEADER), "")
        key = (record.key or b"").decode()
        tag = Tag.parse(key)
        place = key if tag is None else f"{_MARK}{tag.name}/{tag.partition}"
        writes.setdefault(place, []).append(Write(record.at_ms, writer))
    return writes


def _victim(last: Mapping[str, int], at_ms: int) -> str | None:
    """Whose last write is the latest before a death."""
    silent = {writer: at for writer, at in last.items() if at_ms - _LATEST_MS <= at <= at_ms + _SLACK_MS}
    return max(silent, key=lambda writer: silent[writer], default=None)


def _gap(writes: Sequence[Write], victim: str, owned_ms: int) -> int | None:
    """From the victim's last write to the next of somebody else; None where it had not written since ``owned_ms``."""
    places = [place for place, write in enumerate(writes) if write.writer == victim and write.at_ms >= owned_ms]
    if not places or places[-1] + 1 == len(writes):
        return None
    mine, following = writes[places[-1]], writes[places[-1] + 1]
    return following.at_ms - mine.at_ms
