"""Writes references and notes what was acknowledged: only that is an input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from connector.core.record import Partition, Record
from connector.core.tag import tag_of
from tests.chaos.history import Input

_SECONDS = 60.0
_ANY_PARTITION = -1  # RD_KAFKA_PARTITION_UA
_FOR_URLS = str.maketrans("+/", "-_")


class Reference(NamedTuple):
    """A record to write. Partition None leaves the choice to the key."""

    topic: str
    key: bytes | None
    value: bytes
    document_id: str | None
    partition: int | None = None


def topic_id_of(bootstrap_servers: str, topic: str) -> str:
    """The id that Kafka gave the topic, as Kafka's own tools print it: in the alphabet for URLs, without padding."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    description = admin.describe_topics(TopicCollection([topic]))[topic].result(_SECONDS)
    return str(description.topic_id).translate(_FOR_URLS).rstrip("=")


class ReferenceWriter:
    """An idempotent producer, so that a retry of its own never makes two records of one reference.

    Attributes:
        inputs: what was acknowledged, in the order of the acknowledgements.
        unknown: how many writes have no acknowledgement; the records may be there.
    """

    def __init__(self, bootstrap_servers: str, name: str) -> None:
        """A writer for one connector.

        Args:
            bootstrap_servers: the cluster.
            name: the connector's name, part of every tag.
        """
        self.inputs: list[Input] = []
        self.unknown = 0
        self._servers = bootstrap_servers
        self._name = name
        self._topic_ids: dict[str, str] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "log_level": 0,
            },
        )

    def write(self, references: Iterable[Reference]) -> None:
        """Write, and wait for the acknowledgements."""
        self.send(references)
        self.flush()

    def send(self, references: Iterable[Reference]) -> None:
        """Write; the acknowledgements come later."""
        for reference in references:
            self._write(reference)

    def flush(self) -> None:
        """Wait for the acknowledgements."""
        self.unknown += self._producer.flush(_SECONDS)

    def _write(self, reference: Reference) -> None:
        if reference.topic not in self._topic_ids:
            self._topic_ids[reference.topic] = topic_id_of(self._servers, reference.topic)

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.unknown += 1
                return
            place = Partition(reference.topic, int(message.partition() or 0))
            record = Record(place, int(message.offset() or 0), reference.key, reference.value)
            tag = tag_of(self._name, self._topic_ids[reference.topic], record)
            self.inputs.append(Input(tag, reference.document_id, reference.key, message.timestamp()[1]))

        self._producer.produce(
            reference.topic,
            reference.value,
            reference.key,
            _ANY_PARTITION if reference.partition is None else reference.partition,
            on_delivery=acknowledged,
        )
        self._producer.poll(0)
