"""The brokers of the test run, as fixtures for every folder. A test that asks for one is marked ``kafka`` by that.

========================  ==============================================================================
``kafka``                 one node for the whole run, started by the first test that asks
``three_node_kafka``      three nodes for one module; their nodes may be killed
``unique_name``           makes names that no other test uses: topics, groups, transactional ids
``create_topics``         makes topics on ``kafka``, with such names
``apicurio``              a real schema registry for the whole run; who kills it starts it again
========================  ==============================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Protocol
from uuid import uuid4

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AdminClient,
    NewTopic,
)

from tests.kafka.apicurio import Apicurio, unpacked
from tests.kafka.cluster import GivenKafka, Kafka, KafkaCluster, given_kafka
from tests.kafka.jars import BROKER_VARIABLE, BrokerUnavailable, cache_folder, fetch_jars, read_lock

_BROKERS = {"kafka", "three_node_kafka"}
_REGISTRIES = {"apicurio"}
_TOPIC_SECONDS = 20.0

UniqueName = Callable[[str], str]


class CreateTopics(Protocol):
    """The type of the fixture ``create_topics``."""

    def __call__(
        self,
        *names: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Make topics.

        Args:
            names: what each is for, e.g. ``input``; the real names are unique.
            partitions: of each.
            config: topic configuration of each.

        Returns:
            The real names, in the same order; every partition has a leader.
        """
        ...


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a broker, before ``-m`` is applied."""
    for item in items:
        if (_BROKERS | _REGISTRIES) & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say in one sentence, before anything runs, that there is no Kafka: not once per test.

    Raises:
        pytest.UsageError: tests of this run need a broker and its jars are not to be had.
    """
    if session.config.option.collectonly:
        return
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    try:
        if given_kafka() is None and any(item.get_closest_marker("kafka") for item in session.items):
            fetch_jars(read_lock(), cache_folder())
        if asked & _REGISTRIES:
            unpacked(cache_folder())
    except BrokerUnavailable as error:
        if hasattr(session.config, "workerinput"):
            session.shouldfail = str(error)  # the process that started this one says it, once
            return
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real broker for the whole run. Its log stays in pytest's temporary folder."""
    with one_broker(tmp_path_factory) as broker:
        yield broker


@contextmanager
def one_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The broker that was given for the tests, or else one that ends with this."""
    given = given_kafka()
    if given is not None:
        yield given
        return
    cluster = KafkaCluster(1, folder=tmp_path_factory.mktemp("kafka"))
    _start(cluster)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def three_node_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers of this module's own. A module that kills one starts it again."""
    if given_kafka() is not None:
        pytest.skip(f"{BROKER_VARIABLE} names a broker whose nodes are not ours to kill")
    cluster = KafkaCluster(3, folder=tmp_path_factory.mktemp("kafka-three"))
    _start(cluster)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A real schema registry for the whole run. A test that kills it starts it again."""
    registry = _started(tmp_path_factory)
    try:
        yield registry
    finally:
        registry.stop()


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> UniqueName:
    """A function that makes ``<what>`` unique in the cluster, and readable in its log."""
    test = request.node.name.partition("[")[0].removeprefix("test_")[:30]
    random = uuid4().hex[:8]
    return lambda what: f"{what}-{test}-{random}".replace("_", "-")


@pytest.fixture
def create_topics(kafka: Kafka, unique_name: UniqueName) -> Iterator[CreateTopics]:
    """Makes topics of this test's own. On a broker that is not ours they are removed again."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    made: list[str] = []

    def create(*names: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> tuple[str, ...]:
        real = tuple(unique_name(name) for name in names)
        made_topics(admin, real, partitions, config or {})
        made.extend(real)
        return real

    yield create
    if made and isinstance(kafka, GivenKafka):
        wait(admin.delete_topics(made).values(), _TOPIC_SECONDS)


def made_topics(admin: AdminClient, names: tuple[str, ...], partitions: int, config: Mapping[str, str]) -> None:
    """Make topics with the broker's default replication, and wait until every partition has a leader.

    Raises:
        TimeoutError: a partition had no leader in time.
    """
    topics = [NewTopic(name, partitions, -1, config=dict(config)) for name in names]
    for future in admin.create_topics(topics).values():
        future.result(_TOPIC_SECONDS)
    deadline = time.monotonic() + _TOPIC_SECONDS
    for name in names:
        while not _led(admin, name, partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} has no leader for every partition after {_TOPIC_SECONDS:g} s")
            time.sleep(0.02)


def _led(admin: AdminClient, name: str, partitions: int) -> bool:
    topic = admin.list_topics(name, timeout=_TOPIC_SECONDS).topics[name]
    return len(topic.partitions) == partitions and all(each.leader >= 0 for each in topic.partitions.values())


def _started(tmp_path_factory: pytest.TempPathFactory, attempts: int = 3) -> Apicurio:
    registry = Apicurio(tmp_path_factory.mktemp("apicurio"))
    try:
        registry.start()
    except BrokerUnavailable as error:
        registry.stop()
        # Somebody may take the port in the seconds between our look and the registry's bind.
        if attempts > 1 and registry.port_taken:
            return _started(tmp_path_factory, attempts - 1)
        pytest.exit(str(error), returncode=1)
    return registry


def _start(cluster: KafkaCluster) -> None:
    try:
        cluster.start()
    except BrokerUnavailable as error:
        pytest.exit(str(error), returncode=1)  # one message; a failing fixture would repeat it for every test
