"""Who is fenced: writers of open transactions that no member of the group is, and nobody when in doubt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from connector.core.errors import TopicError
from connector.core.journal_record import WRITER_HEADER
from connector.core.record import Partition, Record
from connector.journal.takeover import release_dead

JOURNAL = Partition("invoices.journal", 0)


@dataclass
class Group:
    """The open tail of a journal and the members of a group."""

    writers: list[str | None]
    alive: set[str] = field(default_factory=set)
    listing_fails: bool = False
    asked: list[str] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)

    def log_ends(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int]:
        self.asked.append("stable" if committed else "end")
        return dict.fromkeys(partitions, 5 if committed else 9)

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        self.asked.append("tail")
        assert (starts, ends) == ({JOURNAL: 5}, {JOURNAL: 9})
        return [
            Record(JOURNAL, 5, b"k", b"v", (("other", b"x"),) if w is None else ((WRITER_HEADER, w.encode()),))
            for w in self.writers
        ]

    def members(self, group: str) -> Collection[str]:
        assert group == "invoices"
        self.asked.append("members")
        if self.listing_fails:
            raise TopicError(["no answer"])
        return self.alive

    def release(self) -> list[str]:
        return release_dead([JOURNAL], group="invoices", tails=self, cluster=self, fence=self.fenced.append)


def test_only_writers_that_no_member_is_are_fenced_and_each_once() -> None:
    group = Group(["dead-2", "alive-1", "dead-1", "dead-2", None], {"alive-1", "alive-2"})
    assert group.release() == group.fenced == ["dead-1", "dead-2"]


def test_the_tail_is_read_before_the_members_are_listed() -> None:
    group = Group(["dead"])
    group.release()
    assert group.asked == ["stable", "end", "tail", "members"]


def test_nobody_is_fenced_when_the_members_cannot_be_listed() -> None:
    group = Group(["dead"], listing_fails=True)
    assert group.release() == group.fenced == []


def test_nobody_is_asked_for_when_no_transaction_is_open() -> None:
    group = Group([None])
    assert group.release() == []
    assert "members" not in group.asked
