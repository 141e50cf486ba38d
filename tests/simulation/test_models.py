"""The models hold to what was measured on Apache Kafka (``tests/kafka/test_facts.py``): the same facts, one by one."""

from __future__ import annotations

from random import Random

import pytest

from connector.core.record import OutRecord, Partition
from tests.simulation.broker import Broker, Transaction
from tests.simulation.dice import Dice
from tests.simulation.group import NOBODY, Group
from tests.simulation.scheduler import Scheduler

JOURNAL, INPUT = Partition("journal", 0), Partition("documents", 0)


class Client:
    """A member that does what it is told at once."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.owned: frozenset[Partition] = frozenset()
        self.reachable = True

    def asked_to_join(self, member_id: str, number: int) -> None:
        if GROUP[0].is_joining(member_id, number):
            GROUP[0].joined(member_id, self.owned)

    def synced(self, _member_id: str, _generation: int, target: frozenset[Partition]) -> None:
        self.owned = target


GROUP: list[Group] = []


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


@pytest.fixture
def group(scheduler: Scheduler) -> Group:
    made = Group(scheduler, Dice(Random(1)), [INPUT, Partition("documents", 1)], lambda: 0.0)
    GROUP[:] = [made]
    return made


@pytest.fixture
def broker(scheduler: Scheduler, group: Group) -> Broker:
    made = Broker(scheduler, Dice(Random(1)), {"journal": 1, "documents": 2})
    made.check_member = group.check
    return made


def pass_time(scheduler: Scheduler, seconds: float) -> None:
    scheduler.run(lambda: False, scheduler.now + seconds)


def begun(broker: Broker, owner: str = "one") -> tuple[Transaction, int]:
    epoch = broker.initialise(owner)
    assert epoch is not None
    transaction = broker.begin(owner, epoch)
    assert transaction is not None
    broker.append(JOURNAL, OutRecord("journal", b"key", owner.encode(), (), 0), transaction)
    return transaction, epoch


def values(broker: Broker, *, committed: bool) -> list[bytes | None]:
    return [record.value for record in broker.read(JOURNAL, 0, 100, committed=committed)]


def test_what_is_open_or_aborted_stands_in_the_log_and_is_not_read_committed(
    scheduler: Scheduler, broker: Broker
) -> None:
    transaction, epoch = begun(broker)
    assert values(broker, committed=False) == [b"one"]
    assert values(broker, committed=True) == []
    assert broker.logs[JOURNAL].stable == 0

    assert broker.end("one", epoch, transaction, commit=False) is None
    pass_time(scheduler, 1.0)

    assert values(broker, committed=False) == [b"one"]
    assert values(broker, committed=True) == []
    assert broker.logs[JOURNAL].stable == broker.logs[JOURNAL].end == 2


def test_a_second_initialisation_ends_the_open_transaction_and_fences_its_producer(
    scheduler: Scheduler, broker: Broker
) -> None:
    transaction, epoch = begun(broker)

    assert broker.initialise("one") is None
    assert transaction.committed is False
    assert broker.end("one", epoch, transaction, commit=True) == "_FENCED"
    pass_time(scheduler, 1.0)
    assert broker.initialise("one") is not None


def test_the_coordinator_ends_a_transaction_that_is_too_old(scheduler: Scheduler, broker: Broker) -> None:
    transaction, epoch = begun(broker)

    pass_time(scheduler, 26.0)

    assert transaction.committed is False
    assert broker.end("one", epoch, transaction, commit=True) == "_FENCED"


def test_offsets_are_withheld_until_their_marker_is_written(scheduler: Scheduler, broker: Broker, group: Group) -> None:
    member = group.join(Client("one"))
    transaction, epoch = begun(broker)
    assert broker.send_offsets(transaction, (member, group.generation), {INPUT: 7}) is None
    assert broker.offsets_held(INPUT)

    broker.end("one", epoch, transaction, commit=True)
    assert broker.offsets_held(INPUT)
    pass_time(scheduler, 1.0)

    assert not broker.offsets_held(INPUT)
    assert broker.committed == {INPUT: 7}


def test_member_and_generation_are_checked_and_ownership_is_not(scheduler: Scheduler, group: Group) -> None:
    first, second = Client("one"), Client("two")
    members = [group.join(first), group.join(second)]
    pass_time(scheduler, 10.0)
    first.owned = second.owned = frozenset()

    assert group.check((members[0], group.generation)) is None
    assert group.check((members[0], group.generation - 1)) == "ILLEGAL_GENERATION"
    assert group.check(("", group.generation)) == "UNKNOWN_MEMBER_ID"
    assert group.check(("", NOBODY)) is None


def test_a_rebalance_gives_a_partition_away_only_after_its_owner_has_let_it_go(
    scheduler: Scheduler, group: Group
) -> None:
    first, second = Client("one"), Client("two")
    member = group.join(first)
    pass_time(scheduler, 1.0)
    assert len(first.owned) == 2

    group.join(second)
    pass_time(scheduler, 10.0)
    assert len(first.owned) == 1
    assert not second.owned

    group.joined(member, first.owned)
    pass_time(scheduler, 10.0)
    assert len(second.owned) == 1
    assert not first.owned & second.owned


def test_who_is_silent_for_the_session_is_expelled(scheduler: Scheduler, group: Group) -> None:
    silent = Client("one")
    group.join(silent)
    silent.reachable = False
    group.watch(silent)

    pass_time(scheduler, 16.0)
    assert group.client_ids() == {"one"}
    pass_time(scheduler, 5.0)

    assert group.client_ids() == frozenset()
