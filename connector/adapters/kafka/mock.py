"""librdkafka's built-in mock cluster: a broker inside the process, for the demo.

It speaks the protocol and keeps no promises: aborted records are visible, offsets of transactions are dropped, nobody
is ever fenced (measured). Fine to show a flow, worthless as a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import Producer

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.client_log import ClientLog
from connector.core.errors import TopicError
from connector.core.topics import TopicFacts

PARTITIONS = 4
"""The mock gives every topic that it makes by itself this many partitions."""

MAX_MESSAGE_BYTES = 1_048_588

PROPERTIES: Mapping[str, str | int] = {
    # Classic rebalances take 5 to 15 s on the mock; KIP-848 joins in a moment.
    "group.protocol": "consumer",
    # It does not wake a fetch that waits: half the waiting time would be added to every record.
    "fetch.wait.max.ms": 10,
}
"""What clients of the mock need."""

_TIMEOUT_SECONDS = 10.0


class MockBroker:
    """The cluster; it ends with this object."""

    def __init__(self) -> None:
        self._owner = Producer(
            {
                "test.mock.num.brokers": 1,
                "enable.metrics.push": False,
                "log_level": 3,
                "logger": ClientLog("mock-broker"),
            },
        )
        brokers = self._owner.list_topics(timeout=_TIMEOUT_SECONDS).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def make_topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """Make topics by asking about them, the one way that the mock knows, and say what they are like."""
        facts: dict[str, TopicFacts] = {}
        for name in names:
            found = self._owner.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name]
            facts[name] = TopicFacts(
                partitions=len(found.partitions),
                topic_id=_id_of(name),
                config={"max.message.bytes": str(MAX_MESSAGE_BYTES)},
            )
        return facts


class MockCluster(Cluster):
    """Answers what the mock itself cannot: it keeps no topic ids."""

    def each_topic_id(self, names: Iterable[str]) -> Mapping[str, str | TopicError]:
        """A fixed id for every name."""
        return {name: _id_of(name) for name in names}


def _id_of(name: str) -> str:
    return f"mock-{name}"
