"""Where reading an input partition begins, from the committed offset and the journal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connector.core.journal_record import Mark


class Cause(StrEnum):
    """Why reading begins there. All but the first two are worth a log line."""

    COMMITTED = "committed"
    NEW = "new"
    OFFSETS_BEHIND = "offsets_behind"
    OFFSETS_AHEAD = "offsets_ahead"
    TOPIC_RECREATED = "topic_recreated"


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading begins.

    Attributes:
        offset: the offset, or None for what ``input.start`` says.
        cause: why.
    """

    offset: int | None
    cause: Cause


def start_position(committed: int | None, mark: Mark | None, topic_id: str) -> Position:
    """Decide where to begin.

    An expired or reset group must not buy everything again, so a committed offset that is missing or below the mark
    yields to the mark. One above the mark is somebody's will and is obeyed. A mark of another topic id speaks of a
    topic that is gone, and so does a committed offset beside it.

    Args:
        committed: the group's offset, or None.
        mark: the journal's mark, or None.
        topic_id: the id of the topic as it is now.
    """
    if mark is None:
        return Position(None, Cause.NEW) if committed is None else Position(committed, Cause.COMMITTED)
    if mark.topic_id != topic_id:
        return Position(None, Cause.TOPIC_RECREATED)
    if committed is None or committed < mark.next_offset:
        return Position(mark.next_offset, Cause.OFFSETS_BEHIND)
    if committed > mark.next_offset:
        return Position(committed, Cause.OFFSETS_AHEAD)
    return Position(committed, Cause.COMMITTED)
