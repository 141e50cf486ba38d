"""One turn after the other: what is committed, under which snapshot, and what becomes of ownership."""

from __future__ import annotations

from connector.adapters.kafka.member import Polled
from connector.adapters.kafka.transactions import End, Ended
from connector.core.commit import Phase
from connector.core.record import Partition, Record
from connector.journal.kafka_thread import REPORT_SECONDS
from tests.journal.thread_world import FENCED, P0, P1, UNCLEAR, ThreadWorld


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
    assert w.sample("next_offset", topic="documents", partition="0") == 5


def test_transaction_markers_at_the_end_are_no_lag_and_move_no_offset(w: ThreadWorld) -> None:
    w.own(P0, P1)
    w.member.polls.append(lambda: Polled((input_record(P0, 5), input_record(P0, 6)), (), ((P0, 10), (P1, 10))))
    w.turn(after=2.0)
    assert w.sample("consumer_lag_records", topic="documents", partition="0") == 5
    assert w.sample("consumer_lag_records", topic="documents", partition="1") == 0
    w.write(P0, "ready", offset=6)
    w.turn(2, after=2.0)
    assert w.sample("consumer_lag_records", topic="documents", partition="0") == 4
    w.write(P0, "ready", offset=7)
    w.turn(2, after=2.0)
    assert w.sample("consumer_lag_records", topic="documents", partition="0") == 0
    assert w.sample("next_offset", topic="documents", partition="0") == 7
    w.write(P0)
    w.turn()
    assert w.transactions[-1].offsets == {P0: 7}


def test_the_end_of_an_assignment_that_is_over_says_nothing_about_the_next(w: ThreadWorld) -> None:
    w.own(P0)
    w.member.polls.append(lambda: Polled(ended=((P0, 10),)))
    w.turn()
    w.member.polls.append(lambda: w.thread.on_lost([P0]))
    w.turn()
    w.member.polls.append(lambda: w.thread.on_assigned([P0]))
    w.turn()
    w.member.polls.append(lambda: Polled(ended=((P0, 10),)))
    w.turn()
    w.report(P0)
    w.turn(2, after=2.0)
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
