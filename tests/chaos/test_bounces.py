"""Brokers die one at a time: the next only when every partition has all its copies again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException

from tests.chaos.bounces import Bounces
from tests.chaos.proxy import END_TXN, HEARTBEAT, KafkaProxy
from tests.chaos.schedule import BROKER, GROUP_COORDINATOR, TRANSACTION_COORDINATOR
from tests.kafka.cluster import KafkaCluster

SECONDS = 30.0


@dataclass
class FakeCluster:
    """What is asked of a cluster; nothing runs."""

    killed: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    copies: int = 3

    def kill_node(self, number: int) -> None:
        self.killed.append(number)

    def node(self, number: int) -> Any:  # noqa: ANN401 - as little of a node as is needed
        return SimpleNamespace(process=SimpleNamespace(start=lambda: self.started.append(number)))

    @property
    def admin(self) -> Any:  # noqa: ANN401 - as above
        return self

    def list_topics(self, timeout: float) -> Any:  # noqa: ANN401 - as above
        assert timeout <= 1
        if self.copies == 0:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        partition = SimpleNamespace(isrs=range(self.copies), replicas=range(3))
        return SimpleNamespace(topics={"documents": SimpleNamespace(partitions={0: partition})})


def bounces_of(cluster: FakeCluster, **known: int) -> Bounces:
    keys = {"group": HEARTBEAT, "transactions": END_TXN}
    proxy = SimpleNamespace(last_broker={keys[what]: number for what, number in known.items()})
    return Bounces(cast("KafkaCluster", cluster), cast("KafkaProxy", proxy), 3, Random(1), pause=0.0)


def turn_until_whole(bounces: Bounces) -> None:
    deadline = time.monotonic() + SECONDS
    while not bounces.whole:
        assert time.monotonic() < deadline
        bounces.turn()
        time.sleep(0.01)


def test_who_coordinates_is_killed_and_comes_back() -> None:
    cluster = FakeCluster()
    bounces = bounces_of(cluster, group=2, transactions=3)

    assert bounces.strike(GROUP_COORDINATOR, hit=True)
    turn_until_whole(bounces)
    assert bounces.strike(TRANSACTION_COORDINATOR, hit=False)
    turn_until_whole(bounces)

    assert cluster.killed == cluster.started == [2, 3]
    assert [(fault.kind, fault.target, fault.hit) for fault in bounces.faults] == [
        (GROUP_COORDINATOR, "broker 2", True),
        (TRANSACTION_COORDINATOR, "broker 3", False),
    ]


def test_the_next_waits_until_every_copy_is_there() -> None:
    cluster = FakeCluster(copies=0)
    bounces = bounces_of(cluster)
    assert bounces.strike(BROKER, hit=True)
    for copies in (0, 2):
        cluster.copies = copies
        for _ in range(3):
            bounces.turn()
        assert not bounces.whole
        assert not bounces.strike(BROKER, hit=True)

    cluster.copies = 3
    turn_until_whole(bounces)

    assert bounces.strike(BROKER, hit=True)
    assert len(cluster.killed) == 2
