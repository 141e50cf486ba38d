"""A worker, the simulated API and a broker, each a process of its own, and what goes in and comes out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from connector.core.record import Partition
from connector.core.run_types import status_topics
from connector.core.tag import Tag
from tests.chaos.processes import COMMAND, Fleet, Simulator, Worker, environment
from tests.chaos.readers import AvroReader
from tests.kafka.cluster import Kafka

PARTITIONS = 6
_KEY = {"EXTEND_API_KEY": "sk_benchmark"}
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A committed result.

    Attributes:
        at: when the worker wrote it, seconds since the epoch.
        value: its bytes; decoded only once nothing is measured any more.
    """

    at: float
    value: bytes


class Stage:
    """One connector with topics of its own. The processes belong to the fleet, which ends them."""

    def __init__(self, kafka: Kafka, name: str, folder: Path, fleet: Fleet, *, command: Path = COMMAND) -> None:
        """Nothing runs yet; see ``open``.

        Args:
            kafka: the broker.
            name: connector, input topic and prefix; unique in the cluster.
            folder: for the configuration.
            fleet: starts and ends the processes.
            command: the installed command.
        """
        self.servers = kafka.bootstrap_servers
        self.name = name
        self.topic = f"{name}-in"
        self.fleet = fleet
        self._config = folder / "connector.yaml"
        self._command = command
        self._producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 0, "log_level": 0})
        self.produced_at: dict[Partition, dict[int, float]] = {}

    def open(
        self,
        *simulator_options: str,
        limits: Mapping[str, float | None] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> Simulator:
        """Start the simulated API and make the topics.

        Args:
            simulator_options: of the command ``simulator``.
            limits: the connector's own pace (``extend.limits``); by default there is none.
            more: further sections of the configuration.
        """
        simulator = self.fleet.simulator(*simulator_options)
        unlimited = {"get": None, "write": None, "run": None, "files_per_minute": None}
        self._settings: dict[str, object] = {
            "name": self.name,
            "kafka": {"bootstrap_servers": self.servers},
            "extend": {
                "base_url": simulator.base_url,
                "limits": {**unlimited, **(limits or {})},
                "budget_share": "100%",
            },
            "routes": {"documents": {"topic": self.topic, "run": "extract", "processor": "ex_invoices"}},
            "output": {"prefix": self.name},
            "admin": {"host": "127.0.0.1"},
            **(more or {}),
        }
        self.configure({})
        self._make_topics()
        return simulator

    def configure(self, more: Mapping[str, object]) -> None:
        """Write the configuration anew for the next worker, with these sections besides."""
        self._config.write_text(yaml.safe_dump({**self._settings, **more}))

    def worker(self, name: str = "worker", *, stop_at: str | None = None) -> Worker:
        """A worker that has joined and owns partitions."""
        worker = self.fleet.worker(name, self._config, env=_KEY, stop_at=stop_at)
        worker.wait_ready()
        return worker

    def ingress(self, port: int, secret: str) -> Worker:
        """A webhook ingress that takes webhooks."""
        ingress = self.fleet.ingress("ingress", self._config, port, secret)
        ingress.wait_ready()
        return ingress

    def await_assignment(self, workers: Iterable[Worker], each: int, within: float = _SECONDS) -> None:
        """Wait until every worker owns so many partitions, restored.

        Raises:
            TimeoutError: it took longer than ``within`` seconds.
        """
        metric = "extend_connector_assigned_partitions"
        wait_until(
            lambda: all(worker.ready and worker.metric(metric) == each for worker in workers),
            within,
            f"not every worker owns {each} partitions",
        )

    def produce(self, count: int, *, first: int = 0, per_second: float | None = None) -> None:
        """Write references, spread over the partitions, and wait until the broker has them.

        Args:
            count: how many.
            first: number of the first; numbers make the documents differ.
            per_second: at an even pace, or as fast as the broker takes them.
        """
        begun = time.monotonic()
        for number in range(count):
            if per_second is not None:
                # Delivery reports are served while waiting.
                while (wait := begun + number / per_second - time.monotonic()) > 0:
                    self._producer.poll(min(wait, 0.005))
            self._produce_one(first + number)
        if self._producer.flush(_SECONDS):
            raise TimeoutError("the broker did not take all references")

    @property
    def produced(self) -> int:
        """How many references the broker has."""
        return sum(map(len, self.produced_at.values()))

    def _produce_one(self, number: int) -> None:
        value = {"url": f"https://bucket.example.com/invoices/{number}.pdf", "document_id": f"doc-{number}"}
        while True:
            try:
                self._producer.produce(
                    self.topic,
                    key=f"customer-{number % 97}",
                    value=json.dumps(value),
                    partition=number % PARTITIONS,
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise KafkaException(error)
        # The timestamp is the producer's own (CreateTime): when `produce` was called.
        partition = Partition(str(message.topic()), int(message.partition() or 0))
        self.produced_at.setdefault(partition, {})[int(message.offset() or 0)] = message.timestamp()[1] / 1000

    def _make_topics(self) -> None:
        done = subprocess.run(
            [
                str(self._command),
                *("topics", "--create", "--input", "--partitions", str(PARTITIONS), "--config", str(self._config)),
            ],
            env=environment(_KEY),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"topics --create ended with {done.returncode}:\n{done.stdout}{done.stderr}")


class ResultReader:
    """Committed results of all status topics, as they appear. It decodes nothing while something is measured."""

    def __init__(self, stage: Stage) -> None:
        """Begins to read at once."""
        self.seen: list[Seen] = []
        self._avro = AvroReader("run_result")
        self._consumer = Consumer(
            {
                "bootstrap.servers": stage.servers,
                "group.id": f"{stage.name}-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 0,
            },
        )
        known = self._consumer.list_topics(timeout=_SECONDS).topics
        self._consumer.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic in status_topics(stage.name)
                if topic in known
                for number in known[topic].partitions
            ],
        )

    def take(self, timeout: float) -> list[Seen]:
        """What has appeared, and at most so many seconds of waiting for the first."""
        first = self._consumer.poll(timeout)
        messages = [] if first is None else [first, *self._consumer.consume(1000, 0)]
        fresh = [
            Seen(message.timestamp()[1] / 1000, message.value() or b"")
            for message in messages
            if message.error() is None
        ]
        self.seen.extend(fresh)
        return fresh

    def wait_for(self, count: int, within: float) -> None:
        """Read until so many results are there in all.

        Raises:
            TimeoutError: they did not come.
        """
        deadline = time.monotonic() + within
        while len(self.seen) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.seen)} of {count} results after {within:g} s")
            self.take(0.25)

    def results(self) -> list[dict[str, Any]]:
        """All that was seen, decoded by fastavro's own reader."""
        return self.decoded(self.seen)

    def decoded(self, seen: Sequence[Seen]) -> list[dict[str, Any]]:
        """The same for a part of it."""
        return [self._avro.read(each.value) for each in seen]

    def close(self) -> None:
        """End the connections."""
        self._consumer.close()


def ledger_of(simulator: Simulator) -> list[tuple[Tag, str]]:
    """Tag and time (RFC 3339) of every run that was bought.

    Raises:
        ValueError: a run carries no tag.
    """
    bought = []
    for line in simulator.ledger.splitlines():
        entry = json.loads(line)
        tag = Tag.parse(entry["tag"] or "")
        if tag is None:
            raise ValueError(f"run {entry['run_id']} carries no tag")
        bought.append((tag, str(entry["time"])))
    return bought


def check(stage: Stage, reader: ResultReader, simulator: Simulator, *, lost: int = 0) -> None:
    """Fast and wrong is no figure: one result and one run for every reference.

    Args:
        stage: what was produced.
        reader: what came out.
        simulator: what was bought.
        lost: how many may have no result, because their start is unclear.
    """
    results = reader.results()
    ids = [result["result_id"] for result in results]
    bought = [tag for tag, _ in ledger_of(simulator)]
    assert len(set(ids)) == len(ids)
    assert len(set(bought)) == len(bought)
    written = {(partition.number, offset) for partition, offsets in stage.produced_at.items() for offset in offsets}
    emitted = {(result["source"]["partition"], result["source"]["offset"]) for result in results}
    started = {(tag.partition.number, tag.offset) for tag in bought}
    assert emitted <= started <= written
    assert len(written - emitted) <= lost, f"without a result: {sorted(written - emitted)[:20]}"


def wait_until(done: Callable[[], bool], within: float, otherwise: str, every: float = 0.1) -> None:
    """Wait for something.

    Args:
        done: whether it is there; errors of HTTP mean no.
        within: seconds.
        otherwise: what to say when it does not come.
        every: seconds between looks.

    Raises:
        TimeoutError: it did not come.
    """
    deadline = time.monotonic() + within
    while not _is(done):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} after {within:g} s")
        time.sleep(every)


def _is(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except httpx.HTTPError:
        return False
