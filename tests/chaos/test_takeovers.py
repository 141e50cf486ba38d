"""Take-over times are read from the journal: who wrote, and who wrote next."""

from __future__ import annotations

from connector.core.journal_record import WRITER_HEADER, mark_key
from connector.core.record import Partition, Record
from connector.core.tag import tag_of
from tests.chaos.history import Fault
from tests.chaos.readers import Raw
from tests.chaos.takeovers import takeovers

P0, P1 = Partition("documents", 0), Partition("documents", 1)


def mark(partition: Partition, at_s: float, writer: str) -> Raw:
    return written(mark_key("invoices", partition), at_s, writer)


def entry(partition: Partition, at_s: float, writer: str) -> Raw:
    tag = tag_of("invoices", "id", Record(partition, round(at_s), b"", b""))
    return written(str(tag).encode(), at_s, writer)


def written(key: bytes, at_s: float, writer: str) -> Raw:
    header = ((WRITER_HEADER, writer.encode()),)
    return Raw(Partition("invoices.journal", 0), 0, key, b"", header, round(1000 * at_s))


def killed(at_s: float) -> Fault:
    return Fault("kill", "worker-1", round(1000 * at_s), round(1000 * at_s))


def test_the_last_partition_to_be_written_for_counts() -> None:
    journal = [
        entry(P0, 10, "a"),
        mark(P0, 11, "a"),
        entry(P0, 30, "b"),
        mark(P1, 11, "a"),
        mark(P1, 33, "b"),
        mark(P1, 40, "b"),
    ]

    assert takeovers(journal, [killed(11.2)]) == (22_000,)


def test_each_death_is_somebody_elses() -> None:
    journal = [mark(P0, 10, "a"), mark(P0, 20, "b"), mark(P0, 50, "c"), mark(P0, 90, "c")]

    assert takeovers(journal, [killed(10.1), killed(20.1)]) == (10_000, 30_000)


def test_a_partition_that_was_given_away_before_does_not_count() -> None:
    journal = [mark(P0, 10, "a"), mark(P0, 100, "b"), mark(P1, 150, "a"), mark(P1, 171, "b")]

    assert takeovers(journal, [killed(150.5)]) == (21_000,)


def test_without_a_successor_or_a_writer_there_is_no_figure() -> None:
    assert takeovers([mark(P0, 10, "a")], [killed(10.1)]) == ()
    assert takeovers([mark(P0, 10, "a"), mark(P0, 60, "b")], [killed(50)]) == ()
    assert takeovers([], [killed(1)]) == ()
