"""One connector with topics of its own on the real broker, and a simulated API of its own.

Workers run inside the test: their threads and clients are the real ones, and their metrics and log lines are at hand.
What counts is read from outside: committed records, the folded journal, the simulator's ledger.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.properties import client_properties
from connector.clock import Clock
from connector.config import Config, Secret
from connector.config.extend import Extend, Limits
from connector.config.kafka import Kafka as KafkaSection
from connector.config.kafka import Properties
from connector.config.routes import Route
from connector.config.sections import Admin, Follow, Output, Start
from connector.core.record import Headers, Partition
from connector.core.run_types import dead_letter_topic, status_topics
from connector.core.topics import journal_topic, missing
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings
from tests.chaos.history import History
from tests.chaos.readers import AvroReader, Raw, committed_offsets, read_committed, read_history
from tests.chaos.writer import topic_id_of
from tests.fakes.api_time import ApiTime
from tests.guarantees.running import Running
from tests.kafka.cluster import Kafka

SECONDS = 30.0
"""How long a test waits for something before it fails."""
BETWEEN_LOOKS = 0.2
SESSION_SECONDS = 6.0
QUICK = Settings(lifetimes=Lifetimes(median=0.05, spread=0.0, review_median=0.05))
"""Runs that are over at the first look."""
HOUR = 3600.0
OPEN = Settings(lifetimes=Lifetimes(median=HOUR, spread=0.0, review_median=HOUR))
"""Runs, and then reviews, that go on until the test puts the API's clock forward by an hour."""

_READ_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Written:
    """A record that the broker acknowledged."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Scene:
    """Topics, simulator, and what can be seen of both.

    Attributes:
        kafka: the broker.
        name: connector, prefix of the results, and first part of the input topic's name.
        simulator: the API.
        api_time: the API's clock.
    """

    def __init__(self, kafka: Kafka, name: str, simulator: SimulatorServer, api_time: ApiTime) -> None:
        self.kafka = kafka
        self.name = name
        self.simulator = simulator
        self.api_time = api_time
        self.admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})

    @property
    def topic(self) -> str:
        """The input topic."""
        return f"{self.name}.in"

    @property
    def journal(self) -> str:
        """The journal topic."""
        return journal_topic(self.name)

    def partition(self, number: int = 0) -> Partition:
        """A partition of the input topic."""
        return Partition(self.topic, number)

    # ---- the connector ---------------------------------------------------------------------------------------

    def config(
        self,
        *,
        properties: Mapping[str, object] | None = None,
        route: Route | None = None,
        start: Start | None = None,
        session_timeout: float = SESSION_SECONDS,
        **sections: Any,  # noqa: ANN401 - sections of the configuration, as the model takes them
    ) -> Config:
        """A configuration for this scene: no limits, quick looks, short sessions.

        Args:
            properties: librdkafka's, more or others.
            route: of the input topic; parse by default.
            start: the section; by default a short deadline, and the shortest settle window that goes with it.
            session_timeout: seconds.
            sections: other sections as they are.
        """
        classic: dict[str, object] = {"heartbeat.interval.ms": 500}
        given = dict(properties or {})
        kafka = KafkaSection(
            bootstrap_servers=self.kafka.bootstrap_servers,
            session_timeout=session_timeout,
            properties=Properties.read(given if given.get("group.protocol") == "consumer" else classic | given),
        )
        sections.setdefault("follow", Follow(sweep_interval=0.1, fast_poll_interval_ms=100.0, review_interval=1.0))
        sections.setdefault("output", Output(prefix=self.name))
        return Config(
            name=self.name,
            kafka=kafka,
            extend=Extend(
                base_url=self.simulator.base_url,
                api_key=Secret("sk_test"),
                limits=Limits(get=None, write=None, run=None, files_per_minute=None),
            ),
            routes={"documents": route or Route(topic=self.topic, run="parse")},
            start=start or Start(deadline=5.0, settle=10.0),
            admin=Admin(host="127.0.0.1", port=0),
            **sections,
        )

    @asynccontextmanager
    async def worker(self, config: Config | None = None, **options: Any) -> AsyncIterator[Running]:  # noqa: ANN401
        """A worker that runs; leaving stops it in order, unless the test has done so."""
        running = Running(config or self.config(), **options)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()

    # ---- the input -------------------------------------------------------------------------------------------

    async def write(self, *names: str, partition: int | None = None, keys: Sequence[bytes] | None = None) -> None:
        """Write a reference for each name, in turn over the partitions unless one is given."""
        count = self.partitions if partition is None else 1
        for place, name in enumerate(names):
            key = name.encode() if keys is None else keys[place]
            number = place % count if partition is None else partition
            await self.write_record(reference(name), key=key, partition=number)

    async def write_record(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        age: float = 0.0,
    ) -> Written:
        """Write one record, so many seconds old, and wait for the broker's acknowledgement."""
        at_ms = int((time.time() - age) * 1000)
        return await asyncio.to_thread(self._write, value, key, headers, partition, at_ms)

    def _write(self, value: bytes | None, key: bytes | None, headers: Headers, partition: int, at_ms: int) -> Written:
        offsets: list[int] = []

        def acknowledged(error: object, message: Any) -> None:  # noqa: ANN401 - the client's own type
            assert error is None, error
            offsets.append(message.offset())

        self._producer.produce(
            self.topic, value, key, partition, timestamp=at_ms, headers=list(headers), on_delivery=acknowledged
        )
        assert self._producer.flush(SECONDS) == 0
        return Written(Partition(self.topic, partition), offsets[0], key, value, headers)

    async def create_topics(self, partitions: int) -> None:
        """Make the topics that a configuration needs, the input too."""
        await asyncio.to_thread(self._create_topics, partitions)
        self.partitions = partitions
        self._producer = self._open_producer()

    def _open_producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "linger.ms": 0,
                "enable.idempotence": True,  # a broker that dies makes no second input of a record that was repeated
                "message.max.bytes": 10_000_000,
                "compression.type": "gzip",  # limits of topics hold for what is compressed
                "log_level": 0,
            }
        )

    async def grow_input(self, partitions: int) -> None:
        """Add partitions to the input topic."""
        await self.grow(self.topic, partitions)
        self.partitions = partitions
        self._producer = self._open_producer()  # the old one would learn of them late

    async def grow(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic."""
        added = self.admin.create_partitions([NewPartitions(topic, partitions)])
        await asyncio.to_thread(added[topic].result, SECONDS)

    async def add_topics(self, config: Config) -> None:
        """Make the topics that another configuration needs."""
        await asyncio.to_thread(self._create_topics, self.partitions, config)

    def _create_topics(self, partitions: int, wanted: Config | None = None) -> None:
        config = wanted or self.config()
        plan = config.topic_plan()
        with Cluster(client_properties(config.kafka, f"{self.name}-test")) as cluster:
            facts = cluster.topics(plan.names())
            cluster.create_topics(
                missing(plan, facts, inputs=True, partitions=partitions, replication_factor=None),
            )

    async def write_journal(self, key: bytes, value: bytes) -> None:
        """Write into partition 0 of the journal, behind the connector's back."""
        self._producer.produce(self.journal, value, key, 0)
        assert await asyncio.to_thread(self._producer.flush, SECONDS) == 0

    async def set_topic(self, topic: str, setting: str, value: str) -> None:
        """Change one setting of a topic, and wait until the broker says so itself."""
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        answers = self.admin.incremental_alter_configs([resource])
        await asyncio.to_thread(answers[resource].result, SECONDS)
        await asyncio.to_thread(self._await_setting, topic, setting, value)

    def _await_setting(self, topic: str, setting: str, value: str) -> None:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        deadline = time.monotonic() + SECONDS
        while self.admin.describe_configs([resource])[resource].result(SECONDS)[setting].value != value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} has not got {setting}={value}.")
            time.sleep(0.05)

    async def make_input_again(self) -> None:
        """Delete the input topic and make another one of that name."""
        deleted = self.admin.delete_topics([self.topic])
        await asyncio.to_thread(deleted[self.topic].result, SECONDS)
        await asyncio.to_thread(self._make_input)
        self._producer = self._open_producer()

    def _make_input(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:  # the name is free a moment after the answer to the deletion
            made = self.admin.create_topics([NewTopic(self.topic, self.partitions, -1)])
            try:
                made[self.topic].result(SECONDS)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    # ---- the API ---------------------------------------------------------------------------------------------

    def faults(self, *rules: Rule) -> None:
        """Let requests go wrong from now on."""
        engine = self.simulator.engine
        engine.faults.install(rules, engine.clock.monotonic())

    def heal(self) -> None:
        """Everything works again."""
        self.simulator.engine.faults.clear()

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The ledger: what was bought, in order."""
        return [json.loads(line) for line in self.simulator.engine.ledger.lines().splitlines()]

    async def runs_at_least(self, count: int) -> None:
        """Wait until so many runs were bought."""
        await eventually(lambda: len(self.runs) >= count, f"{count} runs are bought")

    # ---- what is to be seen ----------------------------------------------------------------------------------

    async def read(self, *topics: str) -> list[Raw]:
        """All committed records of some topics."""
        return await asyncio.to_thread(read_committed, self.kafka.bootstrap_servers, topics, _READ_SECONDS)

    async def results(self) -> list[tuple[Raw, dict[str, Any]]]:
        """All results, each record with its decoded value."""
        avro = AvroReader("run_result")
        return [(raw, avro.read(raw.value or b"")) for raw in await self.read(*status_topics(self.name))]

    async def dead_letters(self) -> list[Raw]:
        """All dead letters."""
        return await self.read(dead_letter_topic(self.name))

    async def history(self) -> History:
        """Everything that is there now."""
        return await asyncio.to_thread(self._history)

    def _history(self) -> History:
        servers = self.kafka.bootstrap_servers
        ledger = self.simulator.engine.ledger.lines()
        seen = read_history(servers, name=self.name, prefix=self.name, inputs=(), ledger=ledger)
        return replace(seen, committed=committed_offsets(servers, self.name, [self.topic]))

    async def until(self, holds: Callable[[History], bool], within: float = SECONDS) -> History:
        """Wait until what is there is as it should be.

        Raises:
            TimeoutError: it was not in time; with what was there.
        """
        deadline = time.monotonic() + within
        before: History | None = None
        while time.monotonic() < deadline:
            try:
                history = await self._history_soon(deadline)
            except (TimeoutError, KafkaException):
                continue  # a transaction is open, or a broker is away
            # One look reads topic by topic, so what it sees may never have been so at one moment. When the next look
            # sees the same, marks and entries too, nothing moved in between.
            if holds(history) and history == before:
                return history
            before = history
            await asyncio.sleep(0 if holds(history) else BETWEEN_LOOKS)
        raise TimeoutError(f"It was not so within {within:g} s: {_told(before)}")

    async def _history_soon(self, deadline: float) -> History:
        async with asyncio.timeout(max(1.0, deadline - time.monotonic())):
            return await self.history()

    async def until_results(self, count: int, within: float = SECONDS) -> History:
        """Wait until so many results are there and no document is open."""
        return await self.until(lambda h: len(h.results) >= count and not h.open_entries, within)

    async def topic_id(self) -> str:
        """The input topic's id."""
        return await asyncio.to_thread(topic_id_of, self.kafka.bootstrap_servers, self.topic)


def reference(name: str, **more: object) -> bytes:
    """A reference to a document of that name."""
    return json.dumps({"url": f"https://bucket.example.com/{name}.pdf", "document_id": name, **more}).encode()


async def eventually(holds: Callable[[], bool], what: str, within: float = SECONDS) -> None:
    """Wait until something in this process is so.

    Raises:
        TimeoutError: it was not in time.
    """
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {within:g} s: {what}")
        await asyncio.sleep(0.02)


def assert_once(history: History, documents: Iterable[str]) -> None:
    """Each of these documents was bought once, has one result, and nothing else came out; nothing is open."""
    expected = sorted(documents)
    assert sorted(str(result.document_id) for result in history.results) == expected
    tags = [run.tag for run in history.runs]
    assert len(tags) == len(set(tags)) == len(expected)
    assert {result.run_id for result in history.results} == {run.run_id for run in history.runs}
    assert history.open_entries == ()


def _told(history: History | None) -> str:
    if history is None:
        return "nothing could be read"
    entries = [f"{entry.tag.partition}@{entry.tag.offset} {entry.state}" for entry in history.open_entries]
    return (
        f"{len(history.results)} results, {len(history.dead_letters)} dead letters, {len(history.runs)} runs, "
        f"open: {', '.join(entries[:20]) or 'none'}, committed {dict(history.committed)}, marks {dict(history.marks)}"
    )


@asynccontextmanager
async def open_scene(
    kafka: Kafka, name: str, *, partitions: int = 2, settings: Settings = QUICK
) -> AsyncIterator[Scene]:
    """A scene with its topics made and its API running."""
    api_time = ApiTime()
    async with SimulatorServer(settings=settings, clock=Clock(wall=api_time.wall)) as simulator:
        scene = Scene(kafka, name, simulator, api_time)
        await scene.create_topics(partitions)
        yield scene


def position(partition: Partition, offset: int) -> TopicPartition:
    """A position in confluent-kafka's words."""
    return TopicPartition(partition.topic, partition.number, offset)
