"""What the cluster knows: topics, log ends, the members of a group. Every question has a deadline.

Errors are `TopicError`s with a sentence. Calls block; a worker asks from a thread that may wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from confluent_kafka import (
    OFFSET_INVALID,
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AdminClient,
    ConfigResource,
    ListOffsetsResultInfo,
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

EACH_TIMEOUT = 5.0
"""Seconds for each answer where the others are of use without it."""
RENEW_TIMEOUT = 2.0
"""Seconds for a new look at the cluster, when the broker that was asked is silent."""

_SETTLE = 0.1
"""Seconds between two looks at a topic that was just made."""

_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the package gives it no types
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # as above

_Name = TypeVar("_Name")
_Answer = TypeVar("_Answer")

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
        described = self._patiently(lambda timeout: _all(self._describe_each(wanted, timeout)))
        settings = self._patiently(lambda timeout: self._settings(list(described), timeout))
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
        return _all(self.each_topic_id(names))

    def each_topic_id(self, names: Iterable[str]) -> Mapping[str, str | TopicError]:
        """The id of each topic, within 5 s, or why it is not known; those that do not exist are left out."""
        described = self._describe_each(list(dict.fromkeys(names)), EACH_TIMEOUT)
        return {name: found if isinstance(found, TopicError) else _id(found) for name, found in described.items()}

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
        return _all(self._offsets(partitions, _LATEST, committed=committed, timeout=self._timeout))

    def log_starts(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Where these partitions begin.

        Raises:
            TopicError: a partition does not exist, or no broker answers.
        """
        return _all(self._offsets(partitions, _EARLIEST, committed=False, timeout=self._timeout))

    def offsets_at(self, partitions: Iterable[Partition], timestamp_ms: int) -> Mapping[Partition, int]:
        """The first offset at or after an instant; the end of the log where no record is that young.

        Args:
            partitions: which.
            timestamp_ms: milliseconds since the epoch.

        Raises:
            TopicError: a partition does not exist, or no broker answers.
        """
        return _all(self._offsets_at(partitions, timestamp_ms, self._timeout))

    def each_log_end(self, partitions: Iterable[Partition], *, committed: bool) -> Mapping[Partition, int | TopicError]:
        """As `log_ends`, within 5 s; for each partition that does not answer, why."""
        return self._offsets(partitions, _LATEST, committed=committed, timeout=EACH_TIMEOUT)

    def each_log_start(self, partitions: Iterable[Partition]) -> Mapping[Partition, int | TopicError]:
        """As `log_starts`, within 5 s; for each partition that does not answer, why."""
        return self._offsets(partitions, _EARLIEST, committed=False, timeout=EACH_TIMEOUT)

    def each_offset_at(
        self,
        partitions: Iterable[Partition],
        timestamp_ms: int,
    ) -> Mapping[Partition, int | TopicError]:
        """As `offsets_at`, within twice 5 s; for each partition that does not answer, why."""
        return self._offsets_at(partitions, timestamp_ms, EACH_TIMEOUT)

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

    def close(self) -> None:
        """End the connections. The cluster cannot be asked any more."""
        self._admin.poll(0)
        self._admin.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _patiently(self, ask: Callable[[float], _Answer]) -> _Answer:
        """Ask what only a controller is asked, until it answers.

        librdkafka asks the broker that it takes for the controller. Where that one is dead it asks nobody else, until
        the timeout and again (measured on three nodes, for 75 s), unless its picture of the cluster is renewed.
        """
        each = min(self._timeout, EACH_TIMEOUT)
        until = time.monotonic() + 2 * self._timeout
        while True:
            asked = time.monotonic()
            try:
                return ask(each)
            except TopicError:
                now = time.monotonic()
                if now - asked < 0.9 * each or now > until:  # an answer that is not liked, or none for too long
                    raise
                if not self._renew(min(each, RENEW_TIMEOUT)):
                    raise

    def _renew(self, timeout: float) -> bool:
        """Let the client look at the cluster again; whether any broker answers."""
        try:
            self._admin.list_topics(timeout=timeout)
        except KafkaException:
            return False
        return True

    def _describe(self, names: Sequence[str]) -> dict[str, Any]:
        return _all(self._describe_each(names, self._timeout))

    def _describe_each(self, names: Sequence[str], timeout: float) -> dict[str, Any]:
        if not names:
            return {}
        futures = self._ask(
            lambda: self._admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout),
            "Describe",
        )
        found = {name: self._each(future, f"topic {name}", timeout, accept=_ABSENT) for name, future in futures.items()}
        # A topic that is just being made can be described before it has partitions.
        return {
            name: topic
            for name, topic in found.items()
            if isinstance(topic, TopicError) or (topic is not None and topic.partitions)
        }

    def _settings(self, names: Sequence[str], timeout: float) -> Mapping[str, Mapping[str, str] | None]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        futures = self._ask(
            lambda: self._admin.describe_configs(resources, request_timeout=timeout),
            "DescribeConfigs",
        )
        settings: dict[str, Mapping[str, str] | None] = {}
        for resource, future in futures.items():
            topic = f"topic {resource.name}"
            entries = self._result(future, "DescribeConfigs", topic, _ABSENT | _DENIED, timeout)
            settings[resource.name] = entries and {
                name: entry.value for name, entry in entries.items() if entry.value is not None
            }
        return settings

    def _offsets_at(
        self,
        partitions: Iterable[Partition],
        timestamp_ms: int,
        timeout: float,
    ) -> Mapping[Partition, int | TopicError]:
        # The ends first: a record that comes between the two questions is then read, not skipped.
        ends = self._offsets(partitions, _LATEST, committed=False, timeout=timeout)
        known = [partition for partition, end in ends.items() if not isinstance(end, TopicError)]
        instant = OffsetSpec.for_timestamp(timestamp_ms)
        found = self._offsets(known, instant, committed=False, timeout=timeout)
        none_so_young = {partition for partition, at in found.items() if not isinstance(at, TopicError) and at < 0}
        return {p: found[p] if p in found and p not in none_so_young else end for p, end in ends.items()}

    def _offsets(
        self,
        partitions: Iterable[Partition],
        spec: OffsetSpec,
        *,
        committed: bool,
        timeout: float,
    ) -> Mapping[Partition, int | TopicError]:
        request = {TopicPartition(topic, number): spec for topic, number in dict.fromkeys(partitions)}
        if not request:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        futures = self._ask(
            lambda: self._admin.list_offsets(request, isolation_level=level, request_timeout=timeout),
            "Describe",
        )
        answers = {
            Partition(at.topic, at.partition): self._each(
                future,
                f"partition {at.partition} of topic {at.topic}",
                timeout,
            )
            for at, future in futures.items()
        }
        return {p: answer if isinstance(answer, TopicError) else _offset(p, answer) for p, answer in answers.items()}

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
        timeout: float | None = None,
    ) -> Any:  # noqa: ANN401 - confluent-kafka's result objects have no types
        timeout = self._timeout if timeout is None else timeout
        try:
            answer = future.result(timeout=timeout + 5)
        except KafkaException as error:
            self._admin.poll(0)
            if error_of(error).name() in accept:
                self._troubles.clear()
                return None
            raise self._troubles.explain(error, operation, resource) from error
        except TimeoutError:
            raise TopicError([f"{operation} on {resource} has no answer after {timeout:g} s."]) from None
        self._troubles.clear()
        return answer

    def _each(
        self,
        future: Future[Any],
        resource: str,
        timeout: float,
        accept: frozenset[str] = frozenset(),
    ) -> Any:  # noqa: ANN401 - as above, or the error
        try:
            return self._result(future, "Describe", resource, accept, timeout)
        except TopicError as error:
            return error


def _all(answers: Mapping[_Name, _Answer | TopicError]) -> dict[_Name, _Answer]:
    """The answers, when all are there; otherwise raises the first error."""
    found: dict[_Name, _Answer] = {}
    for name, answer in answers.items():
        if isinstance(answer, TopicError):
            raise answer
        found[name] = answer
    return found


def _offset(partition: Partition, answer: ListOffsetsResultInfo) -> int | TopicError:
    """The offset. Without a leader librdkafka may report success after the timeout, and offset -1001 (measured).

    As a number it would say that the partition is empty: a restore would forget its documents.
    """
    offset = int(answer.offset)
    if offset != OFFSET_INVALID:
        return offset
    return TopicError([f"Partition {partition.number} of topic {partition.topic} has no leader: its brokers are away."])


def _id(topic: TopicDescription) -> str:
    """The topic's id as Kafka's own tools print it: base64 for URLs."""
    return str(topic.topic_id).translate(_FOR_URLS)
