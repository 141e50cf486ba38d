"""What the cluster knows: topics, log ends, the members of a group. Every question has a deadline.

Errors are `TopicError`s with a sentence. Calls block; a worker asks from a thread that may wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self

from confluent_kafka import (
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    TopicDescription,
)

from connector.adapters.kafka.errors import Troubles, error_of, with_troubles
from connector.core.errors import TopicError
from connector.core.record import Partition
from connector.core.topics import TopicFacts, TopicSpec

__all__ = ["Cluster", "TopicFacts", "TopicSpec"]

TIMEOUT = 15.0
"""Seconds that one question may take."""

_SETTLE = 0.1
"""Seconds between two looks at a topic that was just made."""

_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the package gives it no types
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # as above

_FOR_URLS = str.maketrans("+/", "-_")
_ABSENT = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"})
_DENIED = frozenset({"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"})


class Cluster:
    """The admin side of one Kafka cluster. May be used from several threads."""

    def __init__(self, properties: Mapping[str, object], timeout: float = TIMEOUT) -> None:
        """Connects at the first question.

        Args:
            properties: from `client_properties`.
            timeout: seconds that one question may take.

        Raises:
            ConfigurationError: librdkafka refuses the properties.
        """
        self._timeout = timeout
        self._troubles = Troubles(properties)
        try:
            # Kept for as long as the cluster is: requests of a client that is dropped fail with _DESTROY.
            self._admin = AdminClient(with_troubles(properties, self._troubles))
        except KafkaException as error:
            raise self._troubles.explain(error, "Describe", "cluster") from error

    def topics(self, names: Iterable[str]) -> Mapping[str, TopicFacts]:
        """What is known of these topics; those that do not exist are left out.

        Raises:
            TopicError: no broker answers, or the login fails.
        """
        wanted = list(dict.fromkeys(names))
        described = self._describe(wanted)
        settings = self._settings(list(described))
        return {
            name: TopicFacts(
                partitions=len(found.partitions),
                topic_id=_id(found),
                config=settings.get(name),
                replicas=len(found.partitions[0].replicas),
            )
            for name, found in described.items()
        }

    def topic_ids(self, names: Iterable[str]) -> Mapping[str, str]:
        """The ids of these topics; those that do not exist are left out.

        Raises:
            TopicError: no broker answers, or the login fails.
        """
        return {name: _id(found) for name, found in self._describe(list(dict.fromkeys(names))).items()}

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Make topics and wait until each can be described. One that is there already stays as it is.

        Raises:
            TopicError: the cluster refuses some; each with its reason.
        """
        if not specs:
            return
        topics = [
            NewTopic(
                spec.name,
                num_partitions=-1 if spec.partitions is None else spec.partitions,
                replication_factor=-1 if spec.replication_factor is None else spec.replication_factor,
                config=dict(spec.settings),
            )
            for spec in specs
        ]
        futures = self._ask(lambda: self._admin.create_topics(topics, request_timeout=self._timeout), "Create")
        refused: list[str] = []
        for name, future in futures.items():
            try:
                self._result(future, "Create", f"topic {name}", accept=frozenset({"TOPIC_ALREADY_EXISTS"}))
            except TopicError as error:
                refused.extend(error.messages)
        if refused:
            raise TopicError(refused)
        self._await_topics([spec.name for spec in specs])

    def log_ends(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int]:
        """Where these partitions end.

        Args:
            partitions: which.
            committed: the last stable offset, before the first open transaction; else the end of the log.

        Raises:
            TopicError: a partition does not exist, or no broker answers.
        """
        return self._offsets(partitions, _LATEST, committed=committed)

    def log_starts(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Where these partitions begin.

        Raises:
            TopicError: a partition does not exist, or no broker answers.
        """
        return self._offsets(partitions, _EARLIEST, committed=False)

    def offsets_at(self, partitions: Iterable[Partition], timestamp_ms: int) -> Mapping[Partition, int]:
        """The first offset at or after an instant; the end of the log where no record is that young.

        Args:
            partitions: which.
            timestamp_ms: milliseconds since the epoch.

        Raises:
            TopicError: a partition does not exist, or no broker answers.
        """
        # The ends first: a record that comes between the two questions is then read, not skipped.
        wanted = list(partitions)
        ends = self.log_ends(wanted, committed=False)
        found = self._offsets(wanted, OffsetSpec.for_timestamp(timestamp_ms), committed=False)
        return {partition: ends[partition] if at < 0 else at for partition, at in found.items()}

    def members(self, group: str) -> frozenset[str]:
        """The `client.id`s of the members of a consumer group; empty when there is no such group.

        Raises:
            TopicError: the listing failed: nothing is known about the members.
        """
        resource = f"group {group}"
        futures = self._ask(
            lambda: self._admin.describe_consumer_groups([group], request_timeout=self._timeout),
            "Describe",
            resource,
        )
        described = self._result(futures[group], "Describe", resource, accept=frozenset({"GROUP_ID_NOT_FOUND"}))
        return frozenset(member.client_id for member in described.members) if described else frozenset()

    def brokers_answer(self, timeout: float) -> bool:
        """Whether a broker answers a question about the cluster now.

        Args:
            timeout: seconds to wait for it.
        """
        try:
            self._admin.list_topics(topic="", timeout=timeout)
        except KafkaException:
            self._admin.poll(0)
            return False
        self._admin.poll(0)
        return True

    def close(self) -> None:
        """End the connections. The cluster cannot be asked any more."""
        self._admin.poll(0)
        self._admin.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _describe(self, names: Sequence[str]) -> dict[str, Any]:
        if not names:
            return {}
        futures = self._ask(
            lambda: self._admin.describe_topics(
                TopicCollection(list(names)),
                request_timeout=self._timeout,
            ),
            "Describe",
        )
        found = {
            name: self._result(future, "Describe", f"topic {name}", accept=_ABSENT) for name, future in futures.items()
        }
        # A topic that is just being made can be described before it has partitions.
        return {name: topic for name, topic in found.items() if topic is not None and topic.partitions}

    def _settings(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str] | None]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        futures = self._ask(
            lambda: self._admin.describe_configs(resources, request_timeout=self._timeout),
            "DescribeConfigs",
        )
        settings: dict[str, Mapping[str, str] | None] = {}
        for resource, future in futures.items():
            topic = f"topic {resource.name}"
            entries = self._result(future, "DescribeConfigs", topic, accept=_ABSENT | _DENIED)
            settings[resource.name] = entries and {
                name: entry.value for name, entry in entries.items() if entry.value is not None
            }
        return settings

    def _offsets(
        self,
        partitions: Iterable[Partition],
        spec: OffsetSpec,
        *,
        committed: bool,
    ) -> Mapping[Partition, int]:
        request = {TopicPartition(topic, number): spec for topic, number in dict.fromkeys(partitions)}
        if not request:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        futures = self._ask(
            lambda: self._admin.list_offsets(
                request,
                isolation_level=level,
                request_timeout=self._timeout,
            ),
            "Describe",
        )
        return {
            Partition(at.topic, at.partition): self._result(
                future,
                "Describe",
                f"partition {at.partition} of topic {at.topic}",
            ).offset
            for at, future in futures.items()
        }

    def _await_topics(self, names: Sequence[str]) -> None:
        until = time.monotonic() + self._timeout
        while absent := sorted(set(names) - set(self._describe(names))):
            if time.monotonic() > until:
                raise TopicError(
                    [f"Topic {name} was made but does not answer after {self._timeout:g} s." for name in absent],
                )
            time.sleep(_SETTLE)

    def _ask(self, request: Any, operation: str, resource: str = "cluster") -> Mapping[Any, Future[Any]]:  # noqa: ANN401 - futures by name, partition or resource
        self._admin.poll(0)
        try:
            futures: Mapping[Any, Future[Any]] = request()
        except KafkaException as error:
            raise self._troubles.explain(error, operation, resource) from error
        return futures

    def _result(
        self,
        future: Future[Any],
        operation: str,
        resource: str,
        accept: frozenset[str] = frozenset(),
    ) -> Any:  # noqa: ANN401 - confluent-kafka's result objects have no types
        try:
            answer = future.result(timeout=self._timeout + 5)
        except KafkaException as error:
            self._admin.poll(0)
            if error_of(error).name() in accept:
                self._troubles.clear()
                return None
            raise self._troubles.explain(error, operation, resource) from error
        except TimeoutError:
            raise TopicError([f"{operation} on {resource} has no answer after {self._timeout:g} s."]) from None
        self._troubles.clear()
        return answer


def _id(topic: TopicDescription) -> str:
    """The topic's id as Kafka's own tools print it: base64 for URLs."""
    return str(topic.topic_id).translate(_FOR_URLS)
