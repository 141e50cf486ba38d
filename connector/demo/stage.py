"""Sets the demo up: a broker in the process, the simulated API, a worker, and a reader of what comes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files

from connector.adapters.kafka.mock import PROPERTIES, MockBroker, MockCluster
from connector.adapters.kafka.producing import RecordProducer
from connector.adapters.kafka.properties import producer_properties, reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.adapters.metrics import Metrics
from connector.assembly import Topics
from connector.config import Config, parse
from connector.core.accept.dead_letter import CONNECT
from connector.core.formats.framing import Codec
from connector.core.record import OutRecord, Partition, Record
from connector.core.run_types import NEEDS_REVIEW, dead_letter_topic, status_topics
from connector.schema_files import load_schemas
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings
from connector.worker import Worker

TOPIC = "documents"
LIFETIMES = Lifetimes(median=3.0, spread=0.6, longest=12.0, review_median=3.0)
READ_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """One decoded result.

    Attributes:
        topic: the topic that it came from.
        fields: the record's fields, by name.
    """

    topic: str
    fields: Mapping[str, object]


@dataclass(slots=True)
class Progress:
    """What is known so far.

    Attributes:
        submitted: references that were sent, by document id.
        results: what came out, in order.
        dead_letters: why references never became a run, by document id.
    """

    submitted: Mapping[str, Mapping[str, object]]
    results: list[Result] = field(default_factory=list)
    dead_letters: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Every reference has its end, and every review its decision."""
        return set(self.dead_letters) | self.decided == set(self.submitted)

    @property
    def decided(self) -> set[str]:
        """Documents whose last result has come."""
        return {str(r.fields["document_id"]) for r in self.results if r.fields["status"] != NEEDS_REVIEW}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo."""

    worker: Worker
    progress: Progress
    simulator_url: str


def references() -> dict[str, dict[str, object]]:
    """The references that ship with the connector, by document id."""
    text = files("connector.demo").joinpath("references.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return {line["document_id"]: line for line in lines}


def no_file(name: str) -> bytes:
    """The demo's configuration names no files."""
    raise FileNotFoundError(name)


def configuration(bootstrap_servers: str, base_url: str, admin_port: int) -> Config:
    """The demo's configuration, by the same door as everybody's."""
    text = json.dumps(
        {
            "name": "demo",
            "kafka": {"bootstrap_servers": bootstrap_servers, "properties": dict(PROPERTIES)},
            "extend": {"base_url": base_url, "limits": dict.fromkeys(("get", "write", "run", "files_per_minute"))},
            "routes": {TOPIC: {}},
            "follow": {"review_interval": "1s"},
            "output": {"prefix": TOPIC},
            "admin": {"host": "127.0.0.1", "port": admin_port},
        },
    )
    return parse(text, {"EXTEND_API_KEY": "sk_demo"}, no_file, source="demo").config


@asynccontextmanager
async def open_stage(admin_port: int = 0, simulator_port: int = 0) -> AsyncIterator[Stage]:
    """Start everything and submit the references; on leaving, stop everything in order.

    Args:
        admin_port: for metrics and probes; 0 takes a free one.
        simulator_port: for the simulated API; 0 takes a free one.
    """
    broker = await asyncio.to_thread(MockBroker)
    async with SimulatorServer(port=simulator_port, settings=Settings(lifetimes=LIFETIMES)) as simulator:
        config = configuration(broker.bootstrap_servers, simulator.base_url, admin_port)
        plan = config.topic_plan()
        topics = Topics(plan, await asyncio.to_thread(broker.make_topics, plan.names()))
        worker = Worker(config, topics, metrics=Metrics(), open_cluster=MockCluster)
        progress = Progress(references())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(worker.run())
            reading = tasks.create_task(_read(config, progress))
            await asyncio.to_thread(_submit, config, progress.submitted)
            try:
                yield Stage(worker, progress, simulator.base_url)
            finally:
                reading.cancel()
                worker.stop()
                await running


def _submit(config: Config, submitted: Mapping[str, Mapping[str, object]]) -> None:
    producer = RecordProducer(producer_properties(config.kafka, "demo-submit", None, 1_000_000))
    for document_id, reference in submitted.items():
        value = json.dumps(reference).encode()
        producer.send(OutRecord(TOPIC, document_id.encode(), value), document_id)
    producer.flush()
    producer.close()


async def _read(config: Config, progress: Progress) -> None:
    letters = dead_letter_topic(config.output.prefix)
    topics = (*status_topics(config.output.prefix), letters)
    starts = {Partition(topic, number): 0 for topic in topics for number in range(4)}
    codec = Codec(*load_schemas("run_result"))
    reader = AssignedReader(reader_properties(config.kafka, "demo-results", "demo-results"), starts)
    try:
        while True:
            for record in await asyncio.to_thread(reader.read, READ_SECONDS):
                _take(record, letters, codec, progress)
    finally:
        await asyncio.to_thread(reader.close)


def _take(record: Record, letters: str, codec: Codec, progress: Progress) -> None:
    if record.partition.topic == letters:
        headers = {name: (content or b"").decode() for name, content in record.headers}
        message = headers.get(f"{CONNECT}exception.message", "")
        progress.dead_letters[(record.key or b"").decode()] = f"{headers.get('extend.reason', '?')}: {message}"
    else:
        progress.results.append(Result(record.partition.topic, codec.decode(record.value or b"")))
