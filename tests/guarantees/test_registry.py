"""Records of somebody's own schema on real Kafka, with a real schema registry that is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connector.config import Config, Registry
from connector.config.routes import Route
from tests.chaos.readers import Raw
from tests.guarantees.operator import Operator
from tests.guarantees.running import Running
from tests.guarantees.scene import Scene, assert_once
from tests.kafka.apicurio import Apicurio

pytestmark = pytest.mark.timeout(300)  # two starts of the registry's Java, on a machine that has much to do

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["INVOICE", "RECEIPT"]}},
        {
            "name": "scans",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "Scan", "fields": [{"name": "at", "type": ["null", "string"]}]},
            },
        },
    ],
}
NEWER = {**ORDER, "fields": [{"name": "region", "type": "string", "default": ""}, *ORDER["fields"]]}
FIELDS = {"url": "scans[0].at", "document_id": "id"}


class Shop:
    """Somebody who writes orders with confluent-kafka's own serializer."""

    def __init__(self, scene: Scene, registry: SchemaRegistryClient) -> None:
        self._scene = scene
        self.registry = registry
        self._context = SerializationContext(scene.topic, MessageField.VALUE)
        self._serializers: dict[str, AvroSerializer] = {}

    def order(self, name: str, schema: object, kind: str = "INVOICE") -> bytes:
        """The bytes of one order; its schema is registered when it is met for the first time."""
        text = json.dumps(schema)
        if text not in self._serializers:
            conf = {"subject.name.strategy.type": "TOPIC"}
            self._serializers[text] = AvroSerializer(self.registry, text, conf=conf)
        value = {"id": name, "kind": kind, "scans": [{"at": f"https://bucket.example.com/{name}.pdf"}], "region": "EU"}
        found = self._serializers[text](value, self._context)
        assert isinstance(found, bytes)
        return found

    async def write(self, value: bytes, partition: int) -> None:
        """Write one record."""
        await self._scene.write_record(value, key=b"k", partition=partition)


@pytest.fixture
def shop(scene: Scene, apicurio: Apicurio) -> Iterator[Shop]:
    with SchemaRegistryClient({"url": apicurio.url}) as registry:
        yield Shop(scene, registry)


def config_of(scene: Scene, apicurio: Apicurio) -> Config:
    route = Route(topic=scene.topic, run="parse", when={"kind": "INVOICE"}, fields=FIELDS)
    return scene.config(route=route, schema_registry=Registry(url=apicurio.url, timeout=2))


def headers_of(letter: Raw) -> dict[str, str]:
    return {name: (content or b"").decode() for name, content in letter.headers}


async def is_ready(worker: Running) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{worker.worker.admin_port}/readyz")).status_code == 200


async def test_a_registry_that_is_killed_loses_nothing_and_stops_only_who_needs_it(
    scene: Scene, apicurio: Apicurio, shop: Shop
) -> None:
    for number in range(4):
        await shop.write(await asyncio.to_thread(shop.order, f"a-{number}", ORDER), number % 2)
    config = config_of(scene, apicurio)
    newer = [await asyncio.to_thread(shop.order, f"n-{number}", NEWER) for number in range(2)]
    async with scene.worker(config) as worker:
        await scene.until_results(4)
        apicurio.process.kill()
        try:
            await shop.write(newer[0], 0)
            await shop.write(shop.order("b-0", ORDER), 0)  # behind the one that waits
            await shop.write(shop.order("b-1", ORDER), 1)  # its schema is known
            history = await scene.until_results(5)
            assert {str(result.document_id) for result in history.results} == {"a-0", "a-1", "a-2", "a-3", "b-1"}
            await worker.until_is("registry_unavailable", 1)
            await worker.until_is("partitions_awaiting_schema", 1)
            assert await is_ready(worker)
            assert history.committed[scene.partition(0)] == 2
        finally:
            apicurio.process.start()  # not by a thread, with whose end it would end
        await scene.until_results(7, within=90.0)
        await worker.until_is("registry_unavailable", 0)
        unknown = b"\x00\x00\x00\xff\xff" + newer[1][5:]
        for value in (newer[1], unknown, shop.order("c-0", ORDER)):
            await shop.write(value, 0)
        history = await scene.until_results(9, within=60.0)
        (letter,) = await scene.dead_letters()

    assert_once(history, ["a-0", "a-1", "a-2", "a-3", "b-0", "b-1", "c-0", "n-0", "n-1"])
    assert letter.value == unknown
    assert headers_of(letter)["extend.reason"] == "UNKNOWN_SCHEMA"
    assert "id 65535" in headers_of(letter)["__connect.errors.exception.message"]


async def test_what_cannot_be_read_with_is_a_dead_letter_and_commands_say_so_before(
    scene: Scene, apicurio: Apicurio, shop: Shop, tmp_path: Path
) -> None:
    document = Schema('{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}', "JSON")
    json_id = await asyncio.to_thread(shop.registry.register_schema, f"{scene.name}-json-value", document)
    await shop.write(await asyncio.to_thread(shop.order, "good", ORDER), 0)
    await shop.write(await asyncio.to_thread(shop.order, "other", ORDER, "RECEIPT"), 0)
    await shop.write(b"\x00" + json_id.to_bytes(4, "big") + b"{}", 0)

    operator = Operator(tmp_path, scene)
    written = (tmp_path / "connector.yaml").read_text().replace("run: parse", "run: parse, when: {kind: INVOICE}, %s")
    right = written % f"fields: {json.dumps(FIELDS)}" + f"schema_registry: {{url: '{apicurio.url}'}}\n"
    (tmp_path / "connector.yaml").write_text(right)
    planned = await operator.runs("plan", "--json")
    rows = [json.loads(line) for line in planned.out.splitlines()]
    shown = [(row["outcome"], row.get("document_id") or row.get("reason")) for row in rows if "record" in row]
    assert shown == [("run", "good"), ("dead_letter", "NO_ROUTE"), ("dead_letter", "UNDECODABLE")], planned.err
    assert (await operator.runs("check", "--registry")).code == 0
    (tmp_path / "connector.yaml").write_text(right.replace("scans[0].at", "scan[0].at"))
    refused = await operator.runs("check", "--registry")
    assert refused.code == 2
    assert "the value has no scan; did you mean scans?" in refused.err

    async with scene.worker(config_of(scene, apicurio)):
        history = await scene.until(lambda h: len(h.results) == 1 and len(h.dead_letters) == 2 and not h.open_entries)
        reasons = [headers_of(letter)["extend.reason"] for letter in await scene.dead_letters()]
    assert_once(history, ["good"])
    assert reasons == ["NO_ROUTE", "UNDECODABLE"]

    (tmp_path / "connector.yaml").write_text(right)
    shown_letter = await operator.runs("replay", "show", f"{scene.topic}/0/2")
    assert "it would be a dead letter again (UNDECODABLE)" in shown_letter.out, shown_letter.err
    (tmp_path / "connector.yaml").write_text(right.replace(apicurio.url, "http://127.0.0.1:9"))
    unasked = await operator.runs("plan", "--json")
    assert unasked.code == 1
    assert "The schema registry http://127.0.0.1:9 could not be asked" in unasked.err
