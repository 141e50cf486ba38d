"""docs/reading-results.md, block by block as it stands: each example reads what a worker wrote.

What they read is made difficult: an aborted transaction stands before the results, and one of them was written with a
version of the schema that is newer than the one that the examples are made for. Only addresses and names are adapted.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from connector.cli.framed_results import result_reader
from connector.config import Registry
from connector.core.formats.framing import Codec
from connector.core.result import ResultCodec
from connector.schema_files import load_schema, version_paths
from tests.chaos.readers import Raw
from tests.child_process import ChildProcess
from tests.guarantees.scene import SECONDS, Scene, open_scene, reference
from tests.kafka.apicurio import Apicurio
from tests.kafka.cluster import Kafka
from tests.kafka.jars import BrokerUnavailable
from tests.kafka.java import compile_java, java, reader_jars

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reading-results.md").read_text(encoding="utf-8")
NAMES = ["first", "second", "simulate-failed", "third"]
KEY = b"k"
HEADERS = (("traceparent", b"00-abc"),)
CODEC = Codec(load_schema("run_result"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where the page is played: results on a broker, and a folder with the schemas.

    Attributes:
        folder: holds ``schemas``, and takes what the examples make.
        servers: the broker.
        prefix: of the topics, in the place of ``documents``.
        expected: the line that an example prints for each result.
        processed: the records of the topic of processed runs.
        registry: where the schema registry is; empty without one.
    """

    folder: Path
    servers: str
    prefix: str
    expected: frozenset[str]
    processed: Sequence[Raw]
    registry: str

    def adapt(self, text: str, group: str) -> str:
        """A block with the addresses of this place."""
        mine = text.replace("localhost:9092", self.servers).replace("documents.", f"{self.prefix}.")
        mine = mine.replace("http://registry:8081", self.registry)
        return mine.replace("my-reader", f"{self.prefix}-{group}")

    def lines_of(self, name: str, command: Sequence[str]) -> set[str]:
        """What an example prints until it has printed a line for every result."""
        complaints = self.folder / f"{name}.err"
        script = f"cd '{self.folder}' && exec \"$@\" 2>'{complaints}'"
        process = ChildProcess(name, ["sh", "-c", script, "sh", *command], self.folder / f"{name}.out")
        process.start()
        try:
            deadline = time.monotonic() + 60
            while len(process.log.splitlines()) < len(self.expected):
                assert process.running, complaints.read_text()
                assert time.monotonic() < deadline, f"{process.log}\n{complaints.read_text()}"
                time.sleep(0.1)
            return set(process.log.splitlines())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return asyncio.run(_written(kafka, tmp_path_factory.mktemp("reader"), ""))


@pytest.fixture(scope="module")
def framed(kafka: Kafka, apicurio: Apicurio, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same by a worker with a schema registry."""
    return asyncio.run(_written(kafka, tmp_path_factory.mktemp("framed-reader"), apicurio.url))


async def _written(kafka: Kafka, folder: Path, registry: str) -> Place:
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    name = f"reading-{uuid4().hex[:8]}"
    topic = f"{name}.processed"
    async with open_scene(kafka, name) as scene:
        await asyncio.to_thread(_take_back, scene, topic)
        for number, document in enumerate(NAMES):
            await scene.write_record(reference(document), key=KEY, headers=HEADERS, partition=number % 2)
        config = scene.config(schema_registry=Registry(url=registry))
        async with scene.worker(config) as worker:
            await worker.until_is("results_produced_total", len(NAMES))
        processed, failed = await scene.read(topic), await scene.read(f"{name}.failed")
        decode = result_reader(config).decode
        results = await asyncio.to_thread(lambda: [decode(raw.value or b"") for raw in (*processed, *failed)])
        assert {each["status"] for each in results} == {"PROCESSED", "FAILED"}
        later = results[0] | {"result_id": "of-a-later-version", "pages": 3}
        await asyncio.to_thread(_write, kafka, topic, _later_version(folder, registry, topic).encode(later))
    lines = {f"{each['result_id']} {each['status']} {each['output'] or 'null'}" for each in (*results, later)}
    assert len(lines) == len(NAMES) + 1
    return Place(folder, kafka.bootstrap_servers, name, frozenset(lines), processed, registry)


def _take_back(scene: Scene, topic: str) -> None:
    """Leave in each partition what a reader must not see: an example that sees it cannot decode it, and ends."""
    settings = {"bootstrap.servers": scene.kafka.bootstrap_servers, "transactional.id": f"{topic}-test"}
    producer = Producer(settings)
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    for partition in range(scene.partitions):
        producer.produce(topic, b"taken back", partition=partition)
    assert producer.flush(SECONDS) == 0
    producer.abort_transaction(SECONDS)


def _write(kafka: Kafka, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, value, KEY)
    assert producer.flush(SECONDS) == 0


def _later_version(folder: Path, registry: str, topic: str) -> ResultCodec:
    """A version that the examples are not made for: a file beside those that they know, or the registry's newest."""
    schema: Any = load_schema("run_result")
    schema["fields"].append({"name": "pages", "type": ["null", "int"], "default": None})
    if registry:
        with SchemaRegistryClient({"url": registry}) as client:
            return Codec(schema).framed(client.register_schema(f"{topic}-value", Schema(json.dumps(schema), "AVRO")))
    paths = version_paths(folder / "schemas", "run_result")
    paths[-1].with_stem(str(len(paths) + 1)).write_text(json.dumps(schema))
    return Codec(schema)


def python(place: Place, name: str, source: str) -> set[str]:
    program = place.folder / f"{name}.py"
    program.write_text(place.adapt(source, name))
    lines = place.lines_of(name, [sys.executable, str(program)])
    return {re.sub(" None$", " null", line) for line in lines}


def in_java(place: Place, name: str, source: str) -> set[str]:
    try:
        jars = reader_jars()
    except BrokerUnavailable as error:
        pytest.skip(str(error))
    program = place.folder / f"{name}.java"
    program.write_text(place.adapt(source, name))
    compile_java(program, jars)
    return place.lines_of(name, java(name, place.folder, jars))


def test_the_python_example_reads_every_result(place: Place) -> None:
    assert python(place, "plain", "\n".join(blocks("python")[:2])) == place.expected


def test_the_java_example_reads_every_result(place: Place) -> None:
    assert in_java(place, "ReadResults", blocks("java")[0]) == place.expected


def test_the_python_example_for_a_registry_reads_every_result(framed: Place) -> None:
    assert python(framed, "framed", blocks("python")[2]) == framed.expected


def test_the_java_example_for_a_registry_reads_every_result(framed: Place) -> None:
    assert in_java(framed, "ReadFramedResults", blocks("java")[1]) == framed.expected


def test_the_kcat_example_lists_results_and_takes_one_out(place: Place) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not on this machine.")
    (script,) = blocks("sh")
    listed = subprocess.run(
        ["sh", "-e", "-c", place.adapt(script, "kcat")],  # noqa: S607 - whichever shell the machine has
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    expected = [
        f"{each.place} key=k headers=traceparent=00-abc, {len(each.value or b'')} bytes" for each in place.processed
    ]
    assert sorted(line for line in listed if "traceparent" in line) == sorted(expected)
    first = next(each for each in place.processed if each.partition.number == 0)
    names: dict[str, Any] = {}
    code = blocks("python")[0].replace('Path("schemas', f'Path("{place.folder}/schemas')
    exec(code, names)  # noqa: S102 - the page's own code
    taken = names["result_of"]((place.folder / "result.bin").read_bytes())
    assert taken["result_id"] == CODEC.decode(first.value or b"")["result_id"]
