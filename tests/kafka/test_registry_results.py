"""Results on a real broker and a real schema registry, read by confluent-kafka's own deserializer."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connector.adapters.registry import SchemaRegistry
from connector.cli.framed_results import result_reader
from connector.config import Config, Registry
from connector.core.errors import RegistryRefused
from connector.core.formats.avro import Undecodable
from connector.core.formats.framing import Codec
from connector.schema_files import load_schema
from tests.chaos.readers import Raw
from tests.guarantees.running import Lines, Running
from tests.guarantees.scene import Scene, eventually, open_scene
from tests.kafka.apicurio import Apicurio
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

SCHEMA: dict[str, Any] = load_schema("run_result")
WAIT = 60.0


@pytest.fixture
async def scene(kafka: Kafka, unique_name: UniqueName) -> AsyncIterator[Scene]:
    async with open_scene(kafka, unique_name("r")) as made:
        yield made


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("connector")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def config_of(scene: Scene, apicurio: Apicurio, **settings: Any) -> Config:  # noqa: ANN401 - as the section takes them
    return scene.config(schema_registry=Registry(url=apicurio.url, **settings))


async def produced(worker: Running, count: int) -> None:
    await worker.until("results_produced_total", count, within=WAIT)


async def processed(scene: Scene) -> list[Raw]:
    return await scene.read(f"{scene.name}.processed")


def independent(apicurio: Apicurio, raws: list[Raw]) -> list[dict[str, Any]]:
    """Results as confluent-kafka reads them."""
    with SchemaRegistryClient({"url": apicurio.url}) as client:
        read = AvroDeserializer(client, conf={"subject.name.strategy.type": "TOPIC"})
        values = [read(raw.value, SerializationContext(raw.partition.topic, MessageField.VALUE)) for raw in raws]
    assert all(isinstance(value, dict) for value in values)
    return values


async def test_results_are_read_by_a_reader_that_knows_only_the_registry(scene: Scene, apicurio: Apicurio) -> None:
    await scene.write("one")
    async with scene.worker() as worker:  # before the registry came
        await produced(worker, 1)
    await scene.write("two", "three")
    config = config_of(scene, apicurio)
    async with scene.worker(config) as worker:
        await produced(worker, 2)

    raws = await processed(scene)
    values = [raw.value or b"" for raw in raws]
    registered = await SchemaRegistry(config.schema_registry).latest(f"{scene.name}.processed-value")
    assert registered is not None
    assert sorted(value[:1] for value in values) == [b"\x00", b"\x00", b"\xc3"]
    framed = [raw for raw in raws if (raw.value or b"").startswith(b"\x00")]
    assert {(raw.value or b"")[1:5] for raw in framed} == {registered.schema_id.to_bytes(4, "big")}

    read = await asyncio.to_thread(independent, apicurio, framed)
    assert sorted(each["document_id"] for each in read) == ["three", "two"]
    assert all(isinstance(each["times"]["emitted"], datetime) for each in read)

    own = result_reader(config)
    both = await asyncio.to_thread(lambda: [own.decode(value) for value in values])
    assert sorted(str(each["document_id"]) for each in both) == ["one", "three", "two"]
    assert {str(each["output"]) for each in read} <= {str(each["output"]) for each in both}
    with pytest.raises(Undecodable):
        Codec(SCHEMA).decode(framed[0].value or b"")


async def test_an_incompatible_change_is_refused_before_a_deployment_and_at_a_start(
    scene: Scene, apicurio: Apicurio, tmp_path: Path
) -> None:
    config = config_of(scene, apicurio, auto_register="always")
    subject = f"{scene.name}.processed-value"
    fields = [each for each in SCHEMA["fields"] if each["name"] != "run_type"]  # which has no default
    await SchemaRegistry(config.schema_registry).register(subject, json.dumps({**SCHEMA, "fields": fields}))

    file = tmp_path / "connector.yaml"
    file.write_text(f'name: {scene.name}\nschema_registry: {{url: "{apicurio.url}"}}\n')
    command = [sys.executable, "-m", "connector", "schemas", "check", "--json", "--config", str(file)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    wrong = [line for line in map(json.loads, done.stdout.splitlines()) if not line["compatible"]]
    assert [line["subject"] for line in wrong] == [subject]

    running = Running(config)
    await running.start()
    with pytest.raises(RegistryRefused, match=f"about subject {subject}: 409"):
        await asyncio.wait_for(running.task, WAIT)


async def test_a_registry_that_is_down_stops_no_worker_and_holds_up_the_next(
    scene: Scene, apicurio: Apicurio, lines: Lines
) -> None:
    config = config_of(scene, apicurio)
    try:
        async with scene.worker(config) as worker:
            await scene.write("one")
            await produced(worker, 1)
            apicurio.process.kill()
            await scene.write("two")
            await produced(worker, 2)

        async with scene.worker(config) as worker:
            await scene.write("three")
            await eventually(lambda: bool(lines.of("registry_awaited")), "the worker waits", WAIT)
            async with httpx.AsyncClient(trust_env=False) as client:
                address = f"http://127.0.0.1:{worker.worker.admin_port}"
                assert (await client.get(f"{address}/livez")).status_code == 200
                ready = await client.get(f"{address}/readyz")
            assert ready.status_code == 503
            assert "The ids of the output schemas are not known yet." in ready.text
            assert worker.metric("registry_unavailable") == 1
            assert worker.metric("results_produced_total") == 0
            apicurio.process.start()  # in this thread: it dies with the one that starts it
            await asyncio.to_thread(apicurio.wait)
            await produced(worker, 1)
    finally:
        if not apicurio.process.running:
            apicurio.start()

    raws = await processed(scene)
    read = await asyncio.to_thread(independent, apicurio, raws)
    assert sorted(each["document_id"] for each in read) == ["one", "three", "two"]
