"""Writes doorbells: each is acknowledged within seconds, or its sender is told to come again.

`adapters.kafka.signals` keeps what it was given until the brokers have it. Here somebody waits for the answer, and
repeats what was not taken; so nothing is kept, and memory stays flat while Kafka is away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connector.adapters.kafka.errors import Troubles, error_of, with_troubles
from connector.core.errors import ConnectorError
from connector.core.record import OutRecord
from connector.logs import logger

ACKNOWLEDGED_SECONDS = 5.0
"""How long Kafka may take. Extend waits 30 s for our answer."""
MOST_WAITING = 10_000
"""Records that are not acknowledged."""

_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 1.0
_OURS: Mapping[str, object] = {
    "acks": "all",
    # A doorbell that is written twice rings twice. Without idempotence no error is the producer's last.
    "enable.idempotence": False,
    "message.timeout.ms": round(ACKNOWLEDGED_SECONDS * 1000),
    "queue.buffering.max.messages": MOST_WAITING,
    # Fewer and fuller requests; a sender that waits 30 s does not notice.
    "linger.ms": 5,
}
_TWIN = "delivery.timeout.ms"

Done = Callable[[bool], None]
"""Told whether a record is acknowledged by all replicas that are in sync."""


class DoorbellWriter:
    """A producer and the thread that hears its answers."""

    def __init__(self, properties: Mapping[str, object], post: Callable[[Callable[[], None]], None]) -> None:
        """Connects in the background.

        Args:
            properties: from `producer_properties`, without a transactional id.
            post: runs a call on the event loop (``loop.call_soon_threadsafe``).

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._troubles = Troubles(properties)
        self._post = post
        self._answers: list[tuple[Done, bool]] = []
        self._over = threading.Event()
        self.trouble: ConnectorError | None = None
        """Why a record was not acknowledged last, until one is."""
        ours = {name: value for name, value in {**properties, **_OURS}.items() if name != _TWIN}
        try:
            self._producer = Producer(with_troubles(ours, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Write", "cluster") from error
        self._thread = threading.Thread(target=self._run, name="doorbells", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether answers are heard."""
        return self._thread.is_alive()

    def send(self, record: OutRecord, done: Done) -> None:
        """Write a record; ``done`` is called within about 5 s, on the event loop."""
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=-1 if record.partition is None else record.partition,
                on_delivery=partial(self._delivered, record.topic, done),
            )
        except (BufferError, KafkaException) as error:
            if isinstance(error, KafkaException):
                self._say(error_of(error), record.topic)
            self._post(partial(done, False))  # noqa: FBT003 - `done` takes the one thing that is told

    def close(self) -> None:
        """Wait a moment for what is on its way, then end. Blocks; what is not acknowledged is not."""
        self._producer.flush(_FLUSH_SECONDS)
        self._over.set()
        self._thread.join()
        self._producer.purge()
        self._producer.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self._producer.poll(_POLL_SECONDS)
            if self._answers:
                answers, self._answers = self._answers, []
                self._post(partial(_tell, answers))

    def _delivered(self, topic: str, done: Done, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.trouble = None
        else:
            self._say(error, topic)
        self._answers.append((done, error is None))

    def _say(self, error: KafkaError, topic: str) -> None:
        trouble = self._troubles.explain(error, "Write", f"topic {topic}")
        if str(trouble) != str(self.trouble):
            logger.warning("doorbells_not_written", reason=str(trouble))
        self.trouble = trouble


def _tell(answers: list[tuple[Done, bool]]) -> None:
    for done, acknowledged in answers:
        done(acknowledged)
