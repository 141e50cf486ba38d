"""One turn after the other: what is committed, under which snapshot, and what becomes of ownership."""

from __future__ import annotations

import pytest

from connector.adapters.kafka.member import Polled
from connector.adapters.kafka.transactions import End, Ended
from connector.core.commit import Kind, Phase
from connector.core.record import Partition, Record
from connector.journal.kafka_thread import REPORT_SECONDS, REVOKE_SECONDS
from tests.journal.thread_world import P0, P1, ThreadWorld

FENCED = Ended(End.ABORTED, "ILLEGAL_GENERATION", fenced=True)
UNCLEAR = Ended(End.UNCLEAR, "_TIMED_OUT")


@pytest.fixture
def w() -> ThreadWorld:
    return ThreadWorld()


def input_record(partition: Partition, offset: int) -> Record:
    return Record(partition, offset, None, b"{}")


def test_waiting_writes_share_one_transaction_with_every_partitions_mark_and_offset(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.write(P0, "intent", offset=7)
    w.write(P0, "result")
    w.write(P1, "started")
    w.turn(2)
    (transaction,) = w.transactions
    assert transaction.offsets == {P0: 7, P1: 5}
    marks = {record.key: record.value for record in transaction.records if record.key and b"mark" in record.key}
    assert marks == {b"mark:documents/0": b"topic-id@7", b"mark:documents/1": b"topic-id@5"}
    assert len(transaction.records) == 5
    assert w.of("settled") == [("settled", (kind, "NoneType")) for kind in ("intent", "result", "started")]
    assert w.stops == ["before_result_commit", "after_intent_commit", "after_result_commit"]


def test_a_write_waits_for_company_no_longer_than_the_linger(w: ThreadWorld) -> None:
    w.own(P0)
    w.write(P0)
    w.turn(after=0.0)
    assert w.transactions == []
    w.turn(after=0.021)
    assert len(w.transactions) == 1


def test_an_offset_never_goes_back_however_late_a_write_comes(w: ThreadWorld) -> None:
    w.own(P0)
    w.write(P0, "intent", offset=9)
    w.turn(2)
    w.write(P0, "started")
    w.turn(2)
    assert [transaction.offsets for transaction in w.transactions] == [{P0: 9}, {P0: 9}]


def test_a_fenced_abort_is_tried_again_with_a_new_snapshot_for_what_is_still_owned(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.ends.append(FENCED)
    w.write(P0)
    w.write(P1)
    w.turn(2)
    assert len(w.transactions) == 1
    w.member.polls.append(lambda: w.thread.on_lost([P1]))
    w.turn(2)
    first, second = w.transactions
    assert second.offsets == {P0: 5}
    assert isinstance(first.metadata, int)
    assert isinstance(second.metadata, int)
    assert second.metadata > first.metadata
    assert sorted(w.of("settled"), key=str) == [
        ("settled", ("started", "NoneType")),
        ("settled", ("started", "OwnershipLost")),
    ]
    assert w.sample("fenced_transactions_total") == 1


def test_writes_that_were_aborted_keep_their_order(w: ThreadWorld) -> None:
    w.own(P0)
    w.ends.append(FENCED)
    w.write(P0, "intent", offset=6)
    w.turn(2)
    w.write(P0, "skip", offset=7)
    w.turn(2)
    keys = [record.key for record in w.transactions[-1].records][:2]
    assert keys == [b"intent-documents/0", b"skip-documents/0"]


def test_a_write_of_an_earlier_assignment_is_dropped(w: ThreadWorld) -> None:
    w.own(P0)
    old = w.number(P0)
    w.thread.on_lost([P0])
    w.own(P0)
    assert w.number(P0) != old
    w.write(P0, "result", number=old)
    w.turn(2)
    assert w.transactions == []
    assert w.of("settled") == [("settled", ("result", "OwnershipLost"))]
    assert w.sample("dropped_writes_total") == 1


def test_nothing_is_written_for_a_partition_that_is_still_being_restored(w: ThreadWorld) -> None:
    w.member.polls.append(lambda: w.thread.on_assigned([P0]))
    w.turn()
    w.write(P0, "intent", offset=6)
    w.turn(2)
    assert w.transactions == []


def test_records_are_delivered_only_while_live_and_with_their_assignments_number(w: ThreadWorld) -> None:
    w.member.polls.append(lambda: w.thread.on_assigned([P0]))
    w.turn()
    w.member.polls.append(lambda: Polled((input_record(P0, 5),)))
    w.turn()
    assert w.of("delivered") == []
    w.report(P0)
    w.member.polls.append(lambda: Polled((input_record(P0, 5), input_record(P1, 8))))
    w.turn()
    assert w.of("delivered") == [("delivered", (w.number(P0), 5))]


# ---- unclear ends ----------------------------------------------------------------------------------------------


def test_after_an_unclear_end_the_producer_is_replaced_before_anything_is_restored(w: ThreadWorld) -> None:
    w.own(P0, P1)
    old = {partition: w.number(partition) for partition in (P0, P1)}
    w.ends.append(UNCLEAR)
    w.write(P0)
    w.turn(2)
    seen = len(w.said)
    w.initialises.extend([False, False, True])
    w.write(P0, "result")
    w.turn(4)
    assert w.of("producer closed") == [("producer closed", 1)]
    new = {partition: w.number(partition) for partition in (P0, P1)}
    assert all(new[partition] > old[partition] for partition in (P0, P1))
    assert [each for each in w.said if each[0] == "pause"] == [("pause", P0), ("pause", P1)]
    later = [each for each in w.said[seen:] if each[0] in {"initialise", "restore"}]
    assert later == [
        ("initialise", (2, False)),
        ("initialise", (2, False)),
        ("initialise", (2, True)),
        ("restore", (P0, new[P0])),
        ("restore", (P1, new[P1])),
    ]
    assert ("settled", ("started", "OwnershipLost")) in w.said
    assert ("released", (P0, old[P0])) in w.said
    assert len(w.transactions) == 1  # the result waits for its partition to be restored, or is dropped


def test_a_report_about_an_earlier_assignment_is_ignored(w: ThreadWorld) -> None:
    w.own(P0)
    old = w.number(P0)
    w.ends.append(UNCLEAR)
    w.write(P0)
    w.turn(3)
    begun = len(w.of("begin"))
    w.report(P0, number=old)
    w.turn()
    assert len(w.of("begin")) == begun
    assert w.thread.restoring == 1
    w.report(P0, offset=8)
    w.turn()
    assert w.of("begin")[-1] == ("begin", (P0, 8))
    assert w.thread.restoring == 0


def test_a_second_report_about_one_assignment_changes_nothing(w: ThreadWorld) -> None:
    w.own(P0)
    w.report(P0, offset=0)
    w.turn()
    assert len(w.of("begin")) == 1


def test_partitions_that_come_before_the_producer_is_ready_are_restored_once_it_is(w: ThreadWorld) -> None:
    w.initialises.extend([False, False, False])
    w.member.polls.append(lambda: w.thread.on_assigned([P0]))
    w.turn(2)
    assert w.of("restore") == []
    w.turn(2)
    assert w.of("restore") == [("restore", (P0, w.number(P0)))]


# ---- revocation ------------------------------------------------------------------------------------------------


def test_a_revocation_commits_for_all_partitions_with_fresh_metadata_until_drained(w: ThreadWorld) -> None:
    w.own(P0, P1)
    number = w.number(P0)
    w.clock.step = 0.01

    def settle(_partitions: object) -> None:
        w.write(P0, "started")
        w.write(P1, "intent", offset=9)
        w.thread.drained(P0, number)

    w.when_revoking = settle
    before = w.member.snapshots
    w.thread.on_revoked([P0])
    offsets: dict[Partition, int] = {}
    for transaction in w.transactions:
        offsets |= transaction.offsets
        assert isinstance(transaction.metadata, int)
        assert transaction.metadata > before
    assert offsets == {P0: 5, P1: 9}
    assert w.of("released") == [("released", (P0, number))]
    assert w.clock.now < 110.0


def test_a_revocation_waits_until_what_is_queued_is_written(w: ThreadWorld) -> None:
    w.own(P0)
    w.clock.step = 0.01
    w.ends.extend([FENCED, FENCED])
    w.thread.drained(P0, w.number(P0))
    w.write(P0, "started")
    w.thread.on_revoked([P0])
    assert len(w.transactions) == 3
    assert w.of("settled") == [("settled", ("started", "NoneType"))]


def test_a_revocation_ends_after_twenty_seconds_whatever_is_open(w: ThreadWorld) -> None:
    w.own(P0)
    begun = w.clock.now
    w.clock.step = 0.5
    w.thread.on_revoked([P0])
    assert REVOKE_SECONDS <= w.clock.now - begun < REVOKE_SECONDS + 5.0
    assert w.of("released")[-1][1] is not None
    assert w.thread._owned == {}


def test_no_intent_and_no_offset_is_written_for_a_partition_on_its_way_out(w: ThreadWorld) -> None:
    w.own(P0)
    number = w.number(P0)
    w.clock.step = 0.01

    def settle(_partitions: object) -> None:
        w.write(P0, "intent")
        w.write(P0, "reject", offset=6)
        w.write(P0, "ready")
        w.thread.drained(P0, number)

    w.when_revoking = settle
    w.thread.on_revoked([P0])
    assert [transaction.offsets for transaction in w.transactions] == [{P0: 5}]
    assert sorted(w.of("settled"), key=str) == [
        ("settled", ("intent", "OwnershipLost")),
        ("settled", ("ready", "NoneType")),
        ("settled", ("reject", "OwnershipLost")),
    ]


def test_an_assignment_is_not_touched_inside_a_revocation_but_right_after_it(w: ThreadWorld) -> None:
    w.own(P0)
    w.member.polls.append(lambda: w.thread.on_assigned([P1]))
    w.turn()
    begun = len(w.of("begin"))
    w.clock.step = 0.01

    def settle(_partitions: object) -> None:
        w.report(P1)
        assert len(w.of("begin")) == begun
        w.thread.drained(P0, w.number(P0))

    w.when_revoking = settle
    w.thread.on_revoked([P0])
    assert len(w.of("begin")) == begun
    w.turn()
    assert w.of("begin")[-1] == ("begin", (P1, 5))


def test_an_unclear_end_inside_a_revocation_renews_only_what_stays(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.clock.step = 0.01
    w.ends.append(UNCLEAR)
    w.write(P0)
    w.thread.on_revoked([P0])
    assert set(w.thread._owned) == {P1}
    w.turn()
    assert w.of("restore")[-1] == ("restore", (P1, w.number(P1)))


def test_what_is_lost_is_released_at_once(w: ThreadWorld) -> None:
    w.own(P0)
    number = w.number(P0)
    w.thread.on_lost([P0])
    assert w.of("released") == [("released", (P0, number))]
    assert w.of("revoking") == []


# ---- one partition alone stops ----------------------------------------------------------------------------------


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


def test_a_journal_that_cannot_be_read_stops_its_partition_alone(w: ThreadWorld) -> None:
    w.member.polls.append(lambda: w.thread.on_assigned([P0, P1]))
    w.turn()
    w.report_failed(P0)
    w.report(P1)
    w.turn()
    assert w.of("begin") == [("begin", (P1, 5))]
    assert w.sample("stopped_partitions", topic="documents", partition="0", reason="journal_unreadable") == 1
    w.thread.on_lost([P0])
    assert w.sample("stopped_partitions", topic="documents", partition="0", reason="journal_unreadable") is None


def test_an_offset_that_is_gone_stops_its_partition_and_has_the_topics_looked_at(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.member.polls.append(lambda: Polled((), (P0,)))
    w.turn()
    assert w.of("pause", "check") == [("check", None), ("pause", P0)]
    assert w.sample("stopped_partitions", topic="documents", partition="0", reason="offset_out_of_range") == 1


def test_alarms_of_a_partition_end_with_its_assignment_however_many_there_were(w: ThreadWorld) -> None:
    w.own(P0)
    w.member.polls.append(lambda: Polled((), (P0,)))
    w.turn()
    w.ends.append(Ended(End.ABORTED, "record refused", refused=(0,)))
    w.write(P0, "started")
    w.turn(4)
    w.thread.on_lost([P0])
    for reason in ("offset_out_of_range", "record_too_large"):
        assert w.sample("stopped_partitions", topic="documents", partition="0", reason=reason) is None


def test_a_partition_that_is_being_restored_is_not_stopped(w: ThreadWorld) -> None:
    """Its old position may be out of range; where it goes on is what the restore finds out."""
    w.member.polls.append(lambda: w.thread.on_assigned([P0]))
    w.turn()
    w.member.polls.append(lambda: Polled((), (P0,)))
    w.turn()
    w.report(P0)
    w.turn()
    assert w.of("begin", "pause") == [("begin", (P0, 5))]


def test_a_partition_begins_as_soon_as_the_client_is_ready_for_it(w: ThreadWorld) -> None:
    w.member.begins.extend([False, False])
    w.own(P0)
    assert w.of("restored") == []
    w.turn(2)
    assert w.of("not yet", "begin", "restored") == [
        ("not yet", (P0, 5)),
        ("not yet", (P0, 5)),
        ("begin", (P0, 5)),
        ("restored", (P0, 1, "topic-id", 0)),
    ]


def test_a_partition_that_never_begins_makes_the_member_join_anew(w: ThreadWorld) -> None:
    """A topic that was made again leaves its partition in a state that no seek ends (measured on Kafka 4.4.0)."""
    w.member.begins.extend([False] * 100)
    w.own(P0)
    w.turn(2)
    assert w.of("rejoin") == []
    w.turn(1, after=4.0)
    assert w.of("rejoin") == [("rejoin", None)]
    w.turn(10)
    assert len(w.of("rejoin")) == 1


def test_a_topic_that_was_made_again_is_restored_anew(w: ThreadWorld) -> None:
    w.own(P0)
    old = w.number(P0)
    w.thread.report_topic("documents", "topic-id")
    w.turn()
    assert w.number(P0) == old
    w.thread.report_topic("documents", "another-id")
    w.turn()
    assert w.number(P0) > old
    assert w.of("restore")[-1] == ("restore", (P0, w.number(P0)))


# ---- fetching ---------------------------------------------------------------------------------------------------


def test_a_pause_for_an_assignment_that_is_over_does_not_stop_its_successor(w: ThreadWorld) -> None:
    w.own(P0)
    old = w.number(P0)
    w.ends.append(UNCLEAR)
    w.write(P0)
    w.turn(3)
    w.report(P0)
    w.thread.pause(P0, old)
    paused = len(w.of("pause"))
    w.turn()
    assert w.of("begin")[-1] == ("begin", (P0, 5))
    assert len(w.of("pause")) == paused
    w.thread.pause(P0, w.number(P0))
    w.thread.resume(P0, old)
    w.turn()
    assert len(w.of("pause")) == paused + 1
    assert w.of("resume") == []
    w.thread.resume(P0, w.number(P0))
    w.turn()
    assert w.of("resume") == [("resume", P0)]


# ---- the end ----------------------------------------------------------------------------------------------------


def test_stopping_writes_what_waits_and_then_leaves(w: ThreadWorld) -> None:
    w.own(P0)
    w.write(P0)
    w.thread.stop()
    w.thread._run()
    assert len(w.transactions) == 1
    assert [name for name, _ in w.said][-4:] == ["settled", "close", "producer closed", "ended"]
    assert w.said[-1] == ("ended", None)


def test_a_mistake_on_the_thread_is_told_and_does_not_vanish(w: ThreadWorld) -> None:
    mistake = RuntimeError("a mistake")

    def fail() -> None:
        raise mistake

    w.member.polls.append(fail)
    w.thread._run()
    assert w.said[-1] == ("ended", mistake)


def test_the_end_of_the_restore_thread_is_the_end_of_this_one(w: ThreadWorld) -> None:
    mistake = RuntimeError("a mistake")
    w.thread.report_failure(mistake)
    w.thread._run()
    assert w.said[-1] == ("ended", mistake)


def test_the_lag_counts_from_what_is_committed(w: ThreadWorld) -> None:
    w.own(P0)
    w.turn(after=2.0)
    assert w.sample("consumer_lag_records", topic="documents", partition="0") == 5


def test_what_is_owned_is_told_with_phase_mark_lag_and_why_it_stopped(w: ThreadWorld) -> None:
    w.member.polls.append(lambda: w.thread.on_assigned([P1, P0]))
    w.turn()
    first, second = w.thread.owned()
    assert (first.partition, first.phase, first.next_offset, first.lag) == (P0, Phase.RESTORING, None, None)
    assert second.partition == P1
    w.report(P0, offset=4)
    w.report_failed(P1)
    w.turn(2, after=REPORT_SECONDS)
    first, second = w.thread.owned()
    assert (first.phase, first.next_offset, first.lag, first.stopped) == (Phase.LIVE, 4, 6, None)
    assert (second.phase, second.next_offset, second.lag) == (Phase.STOPPED, None, None)
    assert second.stopped == "journal_unreadable"
    w.member.polls.append(lambda: w.thread.on_lost([P0, P1]))
    w.turn()
    assert w.thread.owned() == []
