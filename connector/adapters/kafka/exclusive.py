"""All or nothing, and one at a time: a transaction under an id that everybody shares who does the same thing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from connector.adapters.kafka.errors import Troubles, with_troubles
from connector.core.errors import ConnectorError, TopicError
from connector.core.record import OutRecord

SECONDS = 30.0
_FULL_WAIT = 0.1
_OVERTAKEN = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})  # noqa: SLF001


class ExclusiveProducer:
    """Whoever begins last wins: what an earlier one has not committed by then never shows. Belongs to one thread."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        """Begin; earlier ones cannot commit any more.

        Args:
            properties: from `producer_properties`, with the shared transactional id.

        Raises:
            ConnectorError: librdkafka refuses the properties, no coordinator answers, or the id is not allowed.
        """
        self._troubles = Troubles(properties)
        try:
            self._producer = Producer(with_troubles(properties, self._troubles))
            self._producer.init_transactions(SECONDS)
        except KafkaException as error:
            raise self._troubles.explain(
                error, "Write", f"transactional id {properties['transactional.id']}"
            ) from error

    def write(self, records: Sequence[OutRecord]) -> None:
        """Write all of them, or none.

        Raises:
            ConnectorError: none was written, and why; or nobody knows whether they were, which it says.
        """
        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record)
        except KafkaException as error:
            self._abort()
            raise self._nothing(error) from error
        try:
            self._producer.commit_transaction(SECONDS)
        except KafkaException as error:
            if error.args[0].txn_requires_abort() or error.args[0].code() in _OVERTAKEN:
                self._abort()
                raise self._nothing(error) from error
            reason = (
                f"Nobody knows whether the records were written ({error.args[0].name()}); look before you repeat it."
            )
            raise ConnectorError(reason) from error

    def close(self) -> None:
        """Let go without waiting."""
        with contextlib.suppress(KafkaException):
            self._producer.purge()
        del self._producer

    def _abort(self) -> None:
        """At once: until then readers of the topics see nothing that comes behind. Else the coordinator does it."""
        with contextlib.suppress(KafkaException):
            self._producer.abort_transaction(SECONDS)

    def _produce(self, record: OutRecord) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=-1 if record.partition is None else record.partition,
                )
            except BufferError:
                self._producer.poll(_FULL_WAIT)
            else:
                self._producer.poll(0)
                return

    def _nothing(self, error: KafkaException) -> ConnectorError:
        if error.args[0].code() in _OVERTAKEN:
            return TopicError(
                ["Somebody else began the same after this command did, and goes on: nothing was written."]
            )
        return self._troubles.explain(error, "Write", "the records' topics")
