"""A team's own Avro records in, columns out: real Kafka, a real schema registry, and readers that know only these two.

Two routes share their result topics, as ``topic-record`` allows: invoices are typed, receipts are not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connector.core.run_types import status_topics
from tests.acceptance.test_reading_results import Place, blocks, in_java
from tests.chaos.readers import Raw
from tests.config.given import parsed
from tests.guarantees.scene import Scene, open_scene
from tests.kafka.apicurio import Apicurio
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName
from tests.kafka.project import Done, Project

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["INVOICE", "RECEIPT"]}},
        {
            "name": "letter",
            "type": ["null", {"type": "record", "name": "Letter", "fields": [{"name": "text", "type": "string"}]}],
        },
    ],
}
INVOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "number": {"type": ["string", "null"]},
        "issued": {"type": ["string", "null"], "extend:type": "date"},
        "total-due": {"type": ["number", "null"], "multipleOf": 0.01},
        "seller": {"type": "object", "properties": {"company": {"type": ["string", "null"]}}},
    },
}
LETTERS = (
    ("INVOICE", "number: A-0\nissued: 2026-10-01\ntotal: 12.51\ncompany: ACME"),
    ("INVOICE", "number: A-1\nissued: 2026-10-02\ntotal: 7.5\ncompany: ACME"),
    ("INVOICE", "number: A-2\nissued: next week\ntotal: 3.25\ncompany: ACME"),
    ("RECEIPT", "number: B-3"),
)
TYPED = "ai.extend.kafka.routes.invoices.RunResult"
EPOCH = date(1970, 1, 1)


@dataclass
class Stage:
    """A folder with a configuration, its topics on Kafka, and the registry."""

    scene: Scene
    registry: str
    folder: Path

    @property
    def config(self) -> str:
        """``connector.yaml``: for workers in the test, and for commands."""
        name, topic = self.scene.name, self.scene.topic
        return f"""\
name: {name}
kafka: {{bootstrap_servers: "{self.scene.kafka.bootstrap_servers}"}}
extend:
  base_url: {self.scene.simulator.base_url}
  limits: {{get: null, write: null, run: null, files_per_minute: null}}
routes:
  invoices:
    topic: {topic}
    run: extract
    config: {{schema: {json.dumps(INVOICE)}}}
    when: {{kind: INVOICE}}
    fields: {{text: letter.text, document_id: id, metadata.kind: kind}}
    output: {{typed: true, schema_file: {self.folder}/schemas/invoices.avsc}}
  receipts:
    topic: {topic}
    run: classify
    processor: cl_1
    when: {{kind: RECEIPT}}
    fields: {{text: letter.text, document_id: id}}
schema_registry: {{url: "{self.registry}", subject_naming: topic-record}}
follow: {{sweep_interval: 100ms}}
admin: {{host: 127.0.0.1, port: 0}}
output: {{prefix: {name}}}
"""

    async def runs(self, *arguments: str) -> Done:
        """A command of somebody who sits in the folder."""
        (self.folder / "connector.yaml").write_text(self.config)
        names = (self.scene.name, self.scene.topic, self.scene.name)
        project = Project(self.folder, self.scene.kafka.bootstrap_servers, *names)
        return await asyncio.to_thread(project.run, *arguments, env={"EXTEND_API_KEY": "sk_test"})

    async def generates(self, schema: object) -> Done:
        """The route's schema from a JSON Schema file."""
        (self.folder / "invoice.json").write_text(json.dumps(schema))
        return await self.runs("schemas", "generate", "--route", "invoices", "--from", "invoice.json")

    async def results(self) -> dict[str, dict[str, Any]]:
        """Every result by its id, as confluent-kafka's deserializer reads it."""
        return await asyncio.to_thread(self._deserialized, await self.scene.read(*status_topics(self.scene.name)))

    def _deserialized(self, raws: Sequence[Raw]) -> dict[str, dict[str, Any]]:
        with SchemaRegistryClient({"url": self.registry}) as client:
            read = AvroDeserializer(client)
            values = [read(raw.value, SerializationContext(raw.partition.topic, MessageField.VALUE)) for raw in raws]
        assert all(isinstance(value, dict) for value in values)
        return {value["result_id"]: value for value in values}

    def orders(self) -> list[bytes]:
        """What the team writes, by confluent-kafka's serializer."""
        context = SerializationContext(self.scene.topic, MessageField.VALUE)
        with SchemaRegistryClient({"url": self.registry}) as client:
            write = AvroSerializer(client, json.dumps(ORDER))
            orders = [
                {"id": number, "kind": kind, "letter": {"text": text}} for number, (kind, text) in enumerate(LETTERS)
            ]
            written = [write(order, context) for order in orders]
        return [value for value in written if isinstance(value, bytes)]


@pytest.fixture
async def stage(kafka: Kafka, apicurio: Apicurio, unique_name: UniqueName, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_scene(kafka, unique_name("typed")) as scene:
        yield Stage(scene, apicurio.url, tmp_path)


def in_java_too(stage: Stage, results: dict[str, dict[str, Any]]) -> None:
    """The page's Java, for the route's schema: dates are days there."""
    lines = set()
    for each in results.values():
        value = each.get("value")
        shown = f"{value['number']} {(value['issued'] - EPOCH).days}" if value else "null"
        lines.add(f"{each['result_id']} {each['status']} {shown}")
    source = blocks("java")[1].replace("schemas/run_result.avsc", "schemas/invoices.avsc")
    column = (
        '(result.get("value") instanceof GenericRecord value ? value.get("number") + " " + value.get("issued") : null)'
    )
    source = source.replace('result.get("output")', column)
    place = Place(
        stage.folder, stage.scene.kafka.bootstrap_servers, stage.scene.name, frozenset(lines), (), stage.registry
    )
    assert in_java(place, "ReadFramedResults", source) == lines


@pytest.mark.timeout(240)
async def test_own_records_become_rows_that_the_registrys_readers_read(stage: Stage) -> None:
    scene = stage.scene
    generated = await stage.generates(INVOICE)
    assert (generated.code, "+ value.total_due   decimal(38, 2)" in generated.out) == (0, True), generated
    for number, order in enumerate(await asyncio.to_thread(stage.orders)):
        await scene.write_record(order, key=b"k", partition=number % 2)
    checked = await stage.runs("check", "--registry")
    assert checked.code == 0, checked.err

    async with scene.worker(parsed(stage.config, {"EXTEND_API_KEY": "sk_test"}).config) as worker:
        await worker.until_is("results_produced_total", len(LETTERS))
        await worker.until_is("typed_values_total", 2, route="invoices", fit="part")
        await worker.until_is("typed_values_total", 1, route="invoices", fit="none")
    results = await stage.results()
    first, second, strange, receipt = sorted(results.values(), key=lambda each: str(each["document_id"]))
    assert [each["value"] for each in (first, second, strange)] == [
        {"number": "A-0", "issued": date(2026, 10, 1), "total_due": Decimal("12.51"), "seller": {"company": "ACME"}},
        {"number": "A-1", "issued": date(2026, 10, 2), "total_due": Decimal("7.50"), "seller": {"company": "ACME"}},
        None,
    ]
    assert first["metadata"] == '{"kind":"INVOICE"}'
    assert "at issued: the text is no date" in strange["value_error"]
    assert json.loads(strange["output"])["value"]["number"] == "A-2"
    assert (receipt["run_type"], "value" in receipt) == ("classify", False)
    await asyncio.to_thread(in_java_too, stage, results)
    own = await stage.runs("results", "--json")
    assert {line["result_id"] for line in own.lines} == set(results), own.err

    sent = await stage.runs("replay", "--result", first["result_id"], "--yes", "--again")
    assert sent.code == 0, sent.err
    again = (await stage.results())[first["result_id"].removesuffix("@1") + "@2"]
    assert (again["value"], again["run_id"]) == (first["value"], first["run_id"])
    assert len(scene.runs) == len(LETTERS)

    assert (await stage.runs("schemas", "check")).code == 0
    number = INVOICE["properties"] | {"number": {"type": "integer"}}
    changed = await stage.generates(INVOICE | {"properties": number})
    assert "~ value.number   string → long   readers of the last version cannot read it" in changed.out
    refused = await stage.runs("schemas", "check", "--json")
    assert refused.code == 1, refused.err
    wrong = {line["subject"] for line in refused.lines if not line["compatible"]}
    assert wrong == {f"{topic}-{TYPED}" for topic in status_topics(scene.name)}
