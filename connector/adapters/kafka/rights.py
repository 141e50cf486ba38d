"""What this login is allowed to do, as the brokers say it: nothing is tried but the making of a transactional id."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from confluent_kafka import KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from connector.adapters.kafka.errors import Troubles, error_of, with_troubles
from connector.core.errors import ConnectorError, TopicError

Granted = frozenset[str] | None
"""Operations in the words of an ACL (``Read``, ``DescribeConfigs``); None where the brokers do not say."""

_DENIED = frozenset({"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"})
_ABSENT = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"})
_NOT_YET = frozenset({"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"})
"""The first question about any group of a new cluster makes the topic of offsets, and is answered so (measured)."""
_PAUSE = 0.2


class Rights:
    """Asks for rights (KIP-430). Calls block, and raise ``TopicError`` where no broker answers."""

    def __init__(self, properties: Mapping[str, object], timeout: float) -> None:
        """Connects at the first question.

        Args:
            properties: from `client_properties`.
            timeout: seconds that one question may take.
        """
        self._timeout = timeout
        self._troubles = Troubles(properties)
        try:
            self._admin = AdminClient(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Describe", "cluster") from error

    def on_topics(self, names: Iterable[str]) -> Mapping[str, Granted]:
        """What is allowed on each topic; empty also where it may not be described, and then it may not exist.

        A topic that does not exist is left out, as far as that may be known.
        """
        wanted = list(dict.fromkeys(names))
        try:
            futures = self._admin.describe_topics(
                TopicCollection(wanted), include_authorized_operations=True, request_timeout=self._timeout
            )
        except KafkaException as error:
            raise self._explained(error, "cluster") from error
        found: dict[str, Granted] = {}
        for name, future in futures.items():
            try:
                found[name] = _operations(future.result(timeout=self._timeout + 5))
            except KafkaException as error:
                if error_of(error).name() in _DENIED:
                    found[name] = frozenset()
                elif error_of(error).name() not in _ABSENT:
                    raise self._explained(error, f"topic {name}") from error
            except TimeoutError:
                raise _silent(f"topic {name}", self._timeout) from None
        return found

    def on_group(self, group: str) -> Granted:
        """What is allowed on a consumer group, which need not exist."""
        until = time.monotonic() + self._timeout
        while True:
            try:
                return _operations(self._described(group).result(timeout=self._timeout + 5))
            except KafkaException as error:
                name = error_of(error).name()
                if name in _DENIED:
                    return frozenset()
                if name not in _NOT_YET or time.monotonic() > until:
                    raise self._explained(error, f"group {group}") from error
            except TimeoutError:
                raise _silent(f"group {group}", self._timeout) from None
            time.sleep(_PAUSE)

    def close(self) -> None:
        """End the connections."""
        self._admin.poll(0)
        self._admin.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _explained(self, error: KafkaException, resource: str) -> ConnectorError:
        self._admin.poll(0)  # now the reason is told, which hides behind a timeout
        return self._troubles.explain(error, "Describe", resource)

    def _described(self, group: str) -> Future[Any]:
        try:
            future: Future[Any] = self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=self._timeout
            )[group]
        except KafkaException as error:
            raise self._explained(error, f"group {group}") from error
        return future


def refusal_of_transactions(properties: Mapping[str, object], timeout: float) -> ConnectorError | None:
    """Why this client may not write transactions, or None when it may.

    No broker tells the rights on a transactional id, so one is registered. It holds no transaction, and Kafka forgets
    it after a week (``transactional.id.expiration.ms``).

    Args:
        properties: from `producer_properties`, with a `transactional.id` that nobody else has.
        timeout: seconds.

    Raises:
        ConnectorError: it is not known: no broker answers.
    """
    troubles = Troubles(properties)
    try:
        producer = Producer(with_troubles(properties, troubles))
    except KafkaException as error:
        raise troubles.explain(error, "Write", "transactional id") from error
    try:
        producer.init_transactions(timeout)
    except KafkaException as error:
        if error_of(error).name() == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED":
            return troubles.explain(error, "Write", "transactional id")
        with suppress(KafkaException):  # after a fatal error it says the same again
            producer.poll(0)
        raise troubles.explain(error, "Write", "transactional id") from error
    return None


def _operations(described: Any) -> Granted:  # noqa: ANN401 - confluent-kafka's result objects have no types
    allowed = described.authorized_operations
    return None if allowed is None else frozenset(_word(operation.name) for operation in allowed)


def _word(name: str) -> str:
    """``DESCRIBE_CONFIGS`` as ``kafka-acls.sh`` writes it."""
    return "".join(part.capitalize() for part in name.split("_"))


def _silent(resource: str, timeout: float) -> TopicError:
    return TopicError([f"Describe on {resource} has no answer after {timeout:g} s."])
