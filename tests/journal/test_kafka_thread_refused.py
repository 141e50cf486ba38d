"""What the broker does not take: who is stopped by it, and who is not."""

from __future__ import annotations

import pytest

from connector.adapters.kafka.transactions import End, Ended
from connector.core.commit import Kind
from tests.journal.thread_world import P0, P1, ThreadWorld

REFUSED = Ended(End.ABORTED, "RECORD_REFUSED", refused=(0,))


def test_a_record_too_large_that_moves_the_offset_stops_its_partition_alone(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.ends.extend([REFUSED, REFUSED])  # once for the batch, and once alone
    w.write(P0, "reject", offset=6)
    w.write(P0, "intent", offset=7)
    w.write(P0, "started")
    w.write(P1, "intent", offset=6)
    w.turn(8)
    assert [transaction.offsets for transaction in w.transactions[-2:]] == [{P0: 5}, {P1: 6}]
    assert w.of("settled") == [
        ("settled", ("reject", "RecordTooLarge")),
        ("settled", ("intent", "OwnershipLost")),
        ("settled", ("started", "NoneType")),
        ("settled", ("intent", "NoneType")),
    ]
    assert w.of("revoking") == [("revoking", (P0, w.number(P0)))]
    assert w.sample("stopped_partitions", topic="documents", partition="0", reason="record_too_large") == 1


def test_a_refused_batch_is_written_again_one_by_one_before_anybody_is_blamed(w: ThreadWorld) -> None:
    """Brokers refuse a batch as a whole: forty results that fit alone must not lose their outputs together."""
    w.own(P0, P1)
    w.ends.append(Ended(End.ABORTED, "RECORD_REFUSED", refused=(0, 1)))
    w.write(P0, "result")
    w.write(P1, "result")
    w.turn(6)
    assert w.of("settled") == [("settled", ("result", "NoneType"))] * 2
    w.write(P0, "result")
    w.write(P1, "result")
    w.turn(2)
    assert len(w.transactions[-1].offsets) == 2


def test_a_topic_that_takes_nothing_holds_back_its_own_writes_alone(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.ends.append(Ended(End.ABORTED, "NOT_DELIVERED", stuck=frozenset({"documents.failed"})))
    stuck = w.write(P0, "result", topic="documents.failed")
    w.write(P1, "result", topic="documents.processed")
    w.turn(2)
    assert w.thread.unwritable == ["documents.failed"]
    w.turn(4)
    assert w.transactions[-1].offsets == {P1: 5}
    w.clock.now += 6.0
    w.turn(2)
    assert stuck.records[0] in w.transactions[-1].records
    assert w.thread.unwritable == []


def test_a_producer_that_cannot_abort_is_replaced_and_nothing_is_restored(w: ThreadWorld) -> None:
    """No commit was asked for, so nothing is unclear: the same writes go out by the next instance."""
    w.own(P0)
    w.ends.append(Ended(End.ABORTED, "NOT_DELIVERED", broken=True))
    w.write(P0, "started")
    w.turn(4)
    assert [transaction.producer for transaction in w.transactions] == [1, 2]
    assert w.of("settled", "released") == [("settled", ("started", "NoneType"))]


def test_no_offset_passes_a_record_that_a_stuck_topic_holds_back(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.ends.append(Ended(End.ABORTED, "NOT_DELIVERED", stuck=frozenset({"documents.dead-letter"})))
    w.write(P0, "reject", offset=6, topic="documents.dead-letter")
    w.write(P0, "intent", offset=7)
    w.write(P0, "started")
    w.write(P1, "intent", offset=6)
    w.turn(4)
    assert w.transactions[-1].offsets == {P0: 5, P1: 6}
    w.clock.now += 6.0
    w.turn(2)
    assert w.transactions[-1].offsets == {P0: 7}


@pytest.mark.parametrize("kind", ["started", "reject"])
def test_what_has_no_smaller_form_and_cannot_be_written_down_stops_its_partition(w: ThreadWorld, kind: Kind) -> None:
    w.own(P0)
    w.ends.append(Ended(End.ABORTED, "record refused", refused=(0,)))
    w.write(P0, kind)
    w.turn(4)
    assert w.of("settled") == [("settled", (kind, "RecordTooLarge"))]
    assert w.sample("stopped_partitions", topic="documents", partition="0", reason="record_too_large") == 1


def test_aborts_go_on_for_ever_without_harm(w: ThreadWorld) -> None:
    """The pause between attempts is a power of two of their number; a day of aborts must not overflow it."""
    w.own(P0)
    w.thread._commit._aborts_in_row = 100_000
    w.ends.append(Ended(End.ABORTED, "_TRANSPORT"))
    w.write(P0, "started")
    w.turn(2)
    w.clock.now += 3.0
    w.turn(2)
    assert w.of("settled") == [("settled", ("started", "NoneType"))]
    assert w.sample("produce_errors_total", error="_TRANSPORT") == 1


def test_a_result_too_large_stops_nothing(w: ThreadWorld) -> None:
    w.own(P0)
    w.ends.append(Ended(End.ABORTED, "record refused", refused=(0,)))
    w.write(P0, "result")
    w.turn(4)
    assert w.of("settled") == [("settled", ("result", "RecordTooLarge"))]
    assert w.of("revoking", "pause") == []
