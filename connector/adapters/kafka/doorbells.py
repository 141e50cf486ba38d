"""Writes doorbells: each is acknowledged within seconds, or its sender is told to come again.

`adapters.kafka.signals` keeps what it was given until the brokers have it. Here somebody waits for the answer, and
repeats what was not taken; so nothing is kept, and memory stays flat while Kafka is away.
"""

from __future__ import annotations

import asyncio
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

_LOOK_SECONDS = 0.005
"""Between two looks for answers, while something waits for one."""
_IDLE_SECONDS = 0.1
"""The same while nothing does: librdkafka has log lines to hand over."""
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
    """A producer whose answers are heard on the event loop.

    A thread that waits for them would take the interpreter from the loop for each one, and nothing here blocks.
    """

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Connects in the background; belongs to the running event loop.

        Args:
            properties: from `producer_properties`, without a transactional id.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._troubles = Troubles(properties)
        self.trouble: ConnectorError | None = None
        """Why a record was not acknowledged last, until one is."""
        ours = {name: value for name, value in {**properties, **_OURS}.items() if name != _TWIN}
        try:
            self._producer = Producer(with_troubles(ours, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Write", "cluster") from error
        self._loop = asyncio.get_running_loop()
        self._is_idle = True
        self._next_look = self._loop.call_soon(self._look)

    def send(self, record: OutRecord, done: Done) -> None:
        """Write a record; ``done`` is called within about 5 s, on the event loop, and not before this returns."""
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
            self._loop.call_soon(done, False)  # noqa: FBT003 - `done` takes the one thing that is told
        if self._is_idle:
            self._next_look.cancel()
            self._look_soon()

    async def close(self) -> None:
        """Wait a moment for what is on its way, then end; what is not acknowledged by then is not."""
        self._next_look.cancel()
        until = self._loop.time() + _FLUSH_SECONDS
        while len(self._producer) and self._loop.time() < until:
            self._producer.poll(0)
            await asyncio.sleep(_LOOK_SECONDS)
        self._producer.purge()
        self._producer.poll(0)
        await asyncio.to_thread(self._producer.close)

    def _look(self) -> None:
        try:
            self._producer.poll(0)
        finally:
            self._look_soon()

    def _look_soon(self) -> None:
        self._is_idle = not len(self._producer)
        self._next_look = self._loop.call_later(_IDLE_SECONDS if self._is_idle else _LOOK_SECONDS, self._look)

    def _delivered(self, topic: str, done: Done, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.trouble = None
        else:
            self._say(error, topic)
        done(error is None)

    def _say(self, error: KafkaError, topic: str) -> None:
        trouble = self._troubles.explain(error, "Write", f"topic {topic}")
        if str(trouble) != str(self.trouble):
            logger.warning("doorbells_not_written", reason=str(trouble))
        self.trouble = trouble
