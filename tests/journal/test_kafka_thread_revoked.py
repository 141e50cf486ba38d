"""What is still written while partitions go, and what goes with them."""

from __future__ import annotations

from connector.core.record import Partition
from connector.journal.kafka_thread import REVOKE_SECONDS
from tests.journal.thread_world import FENCED, P0, P1, UNCLEAR, ThreadWorld


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
