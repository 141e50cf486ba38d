"""Group commit as values: what wants to be written, and which of it may share the next transaction.

Brokers check generations and not who owns a partition, so this is where ownership is enforced: a write carries the
number of the assignment it was made under, and a write with another number is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from connector.core.backlog import Backlog
from connector.core.record import OutRecord, Partition

Kind = Literal["intent", "ready", "started", "parked", "review", "result", "reject", "skip", "reply"]


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """Records of one input partition that must appear together or not at all.

    Attributes:
        kind: what it does to the document.
        partition: the input partition whose ownership it needs.
        assignment: the number of the assignment that it was made under.
        records: what to write; may be empty when only the offset moves.
        next_offset: where the input offset moves to, or None when it stays.
    """

    kind: Kind
    partition: Partition
    assignment: int
    records: tuple[OutRecord, ...]
    next_offset: int | None = None

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return sum(record.size for record in self.records)


class Phase(Enum):
    """Where one assignment of a partition is."""

    RESTORING = "the journal is being read; the partition is paused"
    LIVE = "documents are carried"
    SETTLING = "it goes away or cannot be read on: nothing new, what is open is settled"
    STOPPED = "its journal cannot be read; paused, with an alert"


@dataclass(slots=True)
class Assignment:
    """One assignment of one partition in this process.

    Attributes:
        number: unique in the process; a partition that is lost and regained gets another.
        phase: where it is.
        topic_id: the topic's id, known once restored.
        next_offset: the first offset that no committed transaction accounts for; -1 until restored.
        backlog: how far it was read.
    """

    number: int
    phase: Phase = Phase.RESTORING
    topic_id: str = ""
    next_offset: int = -1
    backlog: Backlog = field(default_factory=Backlog)


@dataclass(frozen=True, slots=True)
class Plan:
    """One transaction.

    Attributes:
        writes: what goes in, in order.
        dropped: what is not ours to write any more.
        offsets: for every input partition that is written for, the offset to commit, moved or not: an empty list
            would be no fence at all (measured on Kafka 4.4.0).
    """

    writes: list[Write] = field(default_factory=list)
    dropped: list[Write] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)


def plan(writes: Iterable[Write], owned: Mapping[Partition, Assignment]) -> Plan:
    """Decide what the next transaction carries.

    Of a partition that is settling only what settles open documents is written: no new intent, and nothing that
    moves the offset, because an offset that moved past a dropped intent would lose its record. Those inputs stay with
    the next owner.

    Args:
        writes: what waits, in the order it came.
        owned: the assignments at the time of the group metadata that the transaction will show.
    """
    made = Plan()
    for write in writes:
        assignment = owned.get(write.partition)
        if assignment is None or assignment.number != write.assignment or not _may_write(assignment, write):
            made.dropped.append(write)
            continue
        made.writes.append(write)
        offset = made.offsets.get(write.partition, assignment.next_offset)
        made.offsets[write.partition] = max(offset, write.next_offset or 0)
    return made


def _may_write(assignment: Assignment, write: Write) -> bool:
    if assignment.phase is Phase.SETTLING:
        return write.next_offset is None and write.kind != "intent"
    return assignment.phase is Phase.LIVE
