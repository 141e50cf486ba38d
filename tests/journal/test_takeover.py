"""Who is fenced: writers of open transactions that no member of the group is, and nobody when in doubt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from connector.core.errors import TopicError
from connector.core.journal_record import WRITER_HEADER
from connector.core.record import Partition, Record
from connector.journal.takeover import release_dead

JOURNAL, OTHER = Partition("invoices.journal", 0), Partition("invoices.journal", 1)


@dataclass
class Group:
    """The open tail of a journal and the members of a group."""

    writers: list[str | None]
    alive: set[str] = field(default_factory=set)
    listing_fails: bool = False
    asked: list[str] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)
    unavailable: set[Partition] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)

    def each_log_end(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int | TopicError]:
        self.asked.append("stable" if committed else "end")
        answers: dict[Partition, int | TopicError] = dict.fromkeys(partitions, 5 if committed else 9)
        return {each: TopicError(["no leader"]) if each in self.unavailable else at for each, at in answers.items()}

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        self.asked.append("tail")
        here = {JOURNAL, OTHER} - self.unavailable
        assert (starts, ends) == (dict.fromkeys(here, 5), dict.fromkeys(here, 9))
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
        return release_dead([OTHER, JOURNAL], group="invoices", tails=self, cluster=self, fence=self.fence)

    def fence(self, writer: str) -> None:
        if writer in self.refuses:
            raise TopicError(["no coordinator"])
        self.fenced.append(writer)


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


def test_a_journal_partition_that_does_not_answer_keeps_no_dead_writer_of_another_alive() -> None:
    group = Group(["dead"], unavailable={OTHER})
    assert group.release() == group.fenced == ["dead"]


def test_a_writer_that_cannot_be_fenced_now_keeps_no_other_alive() -> None:
    group = Group(["dead-1", "dead-2"], refuses={"dead-1"})
    assert group.release() == group.fenced == ["dead-2"]
