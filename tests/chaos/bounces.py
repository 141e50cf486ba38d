"""Brokers that die and come back, one at a time. Nothing here waits for one: ``turn`` is called often."""

from __future__ import annotations

import time
from random import Random

from confluent_kafka import KafkaException

from tests.chaos.history import Fault
from tests.chaos.proxy import END_TXN, HEARTBEAT, KafkaProxy
from tests.chaos.schedule import GROUP_COORDINATOR, TRANSACTION_COORDINATOR
from tests.kafka.cluster import KafkaCluster

_DOWN_SECONDS = (3.0, 18.0)
_BETWEEN_LOOKS = 1.0
_LOOK_SECONDS = 1.0


class Bounces:
    """Kills brokers of a cluster, and starts them again.

    Attributes:
        faults: what happened to them, in order.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        proxy: KafkaProxy,
        nodes: int,
        random: Random,
        *,
        pause: float = 1.0,
    ) -> None:
        """Nothing happens yet.

        Args:
            cluster: the brokers; they must have been started by this thread.
            proxy: knows who coordinates what.
            nodes: how many brokers there are.
            random: which one, and for how long.
            pause: what pauses are multiplied by.
        """
        self.faults: list[Fault] = []
        self._cluster = cluster
        self._proxy = proxy
        self._nodes = nodes
        self._random = random
        self._pause = pause
        self._down: int | None = None
        self._start_at = 0.0
        self._look_at = 0.0
        self._whole = True

    @property
    def whole(self) -> bool:
        """All brokers run, and every partition has all its copies."""
        return self._whole

    def strike(self, kind: str, *, hit: bool) -> bool:
        """Kill a broker.

        Args:
            kind: which one: see ``schedule``.
            hit: documents were open.

        Returns:
            False while the last one is not back: a partition with one copy of three takes no writes.
        """
        if not self._whole:
            return False
        number = self._node_for(kind)
        self._cluster.kill_node(number)
        down = self._pause * self._random.uniform(*_DOWN_SECONDS)
        now_ms = int(time.time() * 1000)
        self.faults.append(Fault(kind, f"broker {number}", now_ms, now_ms + int(1000 * down), hit))
        self._down, self._start_at, self._whole = number, time.monotonic() + down, False
        return True

    def turn(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._down is not None:
            if now >= self._start_at:
                self._cluster.node(self._down).process.start()
                self._down = None
        elif not self._whole and now >= self._look_at:
            self._whole = self._every_copy_is_there()
            self._look_at = time.monotonic() + self._pause * _BETWEEN_LOOKS

    def _node_for(self, kind: str) -> int:
        asked = {GROUP_COORDINATOR: HEARTBEAT, TRANSACTION_COORDINATOR: END_TXN}.get(kind)
        known = self._proxy.last_broker.get(asked) if asked is not None else None
        return known or self._random.randint(1, self._nodes)

    def _every_copy_is_there(self) -> bool:
        try:
            topics = self._cluster.admin.list_topics(timeout=_LOOK_SECONDS).topics.values()
        except KafkaException:
            return False
        partitions = [partition for topic in topics for partition in topic.partitions.values()]
        return bool(partitions) and all(len(each.isrs) == len(each.replicas) for each in partitions)
