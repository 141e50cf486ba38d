"""Sending records outside of transactions, each counted when the brokers have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.core.errors import ConnectorError
from connector.core.record import OutRecord

_FULL_WAIT = 0.1


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Ctrl-C while a callback runs: confluent-kafka 2.16 loses that exception and ends in a SystemError without it."""
    try:
        yield
    except SystemError as error:
        raise KeyboardInterrupt from error


@dataclass(slots=True)
class Sent:
    """What became of the records so far.

    Attributes:
        acked: how many the brokers have.
        refused: the label of each other record and why, in the order in which it was known.
    """

    acked: int = 0
    refused: list[tuple[str, ConnectorError]] = field(default_factory=list)


class RecordProducer:
    """An idempotent producer. Belongs to one thread."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Connects in the background.

        Args:
            properties: from `producer_properties`, without a transactional id.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._troubles = Troubles(properties)
        self.sent = Sent()
        try:
            self._producer = Producer(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Write", "cluster") from error

    def send(self, record: OutRecord, label: str) -> None:
        """Queue a record; waits while the queue is full.

        Args:
            record: the record.
            label: what `sent.refused` calls it.
        """
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=-1 if record.partition is None else record.partition,
                    on_delivery=self._on_delivery(record.topic, label),
                )
            except BufferError:
                self._poll(_FULL_WAIT)
            except KafkaException as error:
                # Refused at once, e.g. larger than message.max.bytes: no delivery report follows.
                self.sent.refused.append((label, self._troubles.explain(error, "Write", f"topic {record.topic}")))
                return
            else:
                self._poll(0)
                return

    def flush(self, on_progress: Callable[[], object] = lambda: None) -> Sent:
        """Wait until the fate of every record is known; `message.timeout.ms` is the bound.

        Args:
            on_progress: called several times a second.
        """
        while self._flush():
            on_progress()
        on_progress()
        return self.sent

    def _poll(self, seconds: float) -> None:
        with _ctrl_c_kept():
            self._producer.poll(seconds)

    def _flush(self) -> int:
        with _ctrl_c_kept():
            return self._producer.flush(_FULL_WAIT)

    def close(self) -> None:
        """End the connections. Records that were not flushed are lost."""
        self._producer.purge()
        self._producer.close()

    def _on_delivery(self, topic: str, label: str) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.sent.acked += 1
            else:
                self.sent.refused.append((label, self._troubles.explain(error, "Write", f"topic {topic}")))

        return report
