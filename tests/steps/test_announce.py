"""The ids of the output schemas: looked up, registered by the rule, awaited while the registry is down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.announce import Rule, announce, distinct, result_codecs
from connector.config import Config, Registry
from connector.config.routes import Route
from connector.core.errors import RegistryRefused, RegistryUnavailable
from connector.core.formats.framing import Codec, confluent_header
from connector.core.run_types import status_topics
from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import typed_schema
from connector.output_schemas import OutputSchema, output_schemas
from connector.schema_files import load_schema
from tests.fakes.registry import FakeRegistry

SCHEMA: dict[str, Any] = load_schema("run_result")
TEXT = json.dumps(SCHEMA, separators=(",", ":"), ensure_ascii=False)
RESULT = {
    "result_id": "invoices/documents/0/7#aaaaaaaaaaaaaaaaaaaaaa@1",
    "revision": 1,
    "run_type": "extract",
    "status": "PROCESSED",
    "route": "documents",
    "source": {"topic": "documents", "partition": 0, "offset": 7},
    "output_state": "none",
    "observed_via": "poll",
    "times": {},
}
SUBJECTS = [f"documents.{status}-value" for status in ("processed", "failed")]


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


def config_of(registry: Registry) -> Config:
    return Config(
        name="invoices",
        schema_registry=registry,
        routes={"documents": Route(run="extract", processor="ex_1")},
        output={"prefix": "documents"},  # type: ignore[arg-type]  # pydantic makes the section
    )


async def announced(server: FakeRegistry, rule: Rule = "missing") -> dict[str, int]:
    settings = Registry(url=server.url)
    return await announce(output_schemas(config_of(settings)), SchemaRegistry(settings), rule)


def older() -> str:
    """A version without one of today's fields."""
    return json.dumps({**SCHEMA, "fields": [each for each in SCHEMA["fields"] if each["name"] != "credits"]})


def redocumented() -> str:
    return json.dumps({**SCHEMA, "doc": "Said in another way."})


def typed(step: float) -> OutputSchema:
    """A typed route's schema with an amount in such steps."""
    value = read_schema({"type": "object", "properties": {"amount": {"type": "number", "multipleOf": step}}})
    schema = typed_schema(SCHEMA, "invoices", value)
    return OutputSchema("invoices", "t.processed", "t.processed-value", json.dumps(schema), Codec(schema))


async def test_a_subject_that_does_not_exist_is_registered(server: FakeRegistry) -> None:
    ids = await announced(server)
    assert set(SUBJECTS) < set(ids)
    assert list(ids) == [f"{topic}-value" for topic in status_topics("documents")]
    assert set(ids.values()) == {1}
    assert server.shelf.texts == {1: TEXT}


async def test_what_is_registered_is_found_and_nothing_is_added(server: FakeRegistry) -> None:
    first = await announced(server)
    assert await announced(server, "never") == await announced(server, "always") == first
    assert server.shelf.texts == {1: TEXT}


async def test_an_older_version_of_the_subject_has_its_own_id(server: FakeRegistry) -> None:
    """After a rollback: the newest version in the registry is not what this worker writes."""
    server.shelf.put(SUBJECTS[0], '{"fields": []}')
    server.shelf.put(SUBJECTS[0], TEXT)
    server.shelf.put(SUBJECTS[0], older())
    assert (await announced(server, "missing"))[SUBJECTS[0]] == 2


async def test_another_documentation_is_no_other_schema(server: FakeRegistry) -> None:
    server.shelf.put(SUBJECTS[0], redocumented())
    assert (await announced(server, "missing"))[SUBJECTS[0]] == 1


@pytest.mark.parametrize("rule", ["missing", "never", "always"])
async def test_another_scale_of_a_decimal_never_goes_under_the_old_id(server: FakeRegistry, rule: Rule) -> None:
    """Readers by the id would see amounts that are wrong by a power of ten."""
    cents, mills = (typed(step) for step in (0.01, 0.001))
    assert cents.codec.fingerprint == mills.codec.fingerprint
    server.shelf.put(cents.subject, cents.text)
    registry = SchemaRegistry(Registry(url=server.url))
    assert await announce([cents], registry, rule) == {cents.subject: 1}
    with pytest.raises(RegistryRefused, match=r"has version 1, which is another schema|incompatible"):
        await announce([mills], registry, rule)


async def test_a_subject_with_another_schema_is_left_alone(server: FakeRegistry) -> None:
    server.shelf.put(SUBJECTS[0], older())
    with pytest.raises(RegistryRefused, match=r"has version 1, which is another schema.*schemas register"):
        await announced(server)
    assert server.shelf.by_subject[SUBJECTS[0]] == [1]


async def test_always_adds_a_version(server: FakeRegistry) -> None:
    server.shelf.put(SUBJECTS[0], older())
    ids = await announced(server, "always")
    assert ids[SUBJECTS[0]] == 2
    assert server.shelf.by_subject[SUBJECTS[0]] == [1, 2]


async def test_never_registers_nothing(server: FakeRegistry) -> None:
    with pytest.raises(RegistryRefused, match=r"does not exist, and .*auto_register is never"):
        await announced(server, "never")
    assert not any(each.startswith("POST") and each.endswith("/versions") for each in server.asked)


async def test_an_incompatible_schema_is_said_in_the_registrys_words(server: FakeRegistry) -> None:
    fields = [{**each, "type": "long"} if each["name"] == "run_type" else each for each in SCHEMA["fields"]]
    server.shelf.put(SUBJECTS[0], json.dumps({**SCHEMA, "fields": fields}))
    with pytest.raises(RegistryRefused, match="incompatible"):
        await announced(server, "always")


async def test_results_are_framed_with_the_id(server: FakeRegistry) -> None:
    server.shelf.put("other", '{"fields": []}')
    codec_of = await result_codecs(config_of(Registry(url=server.url)), asyncio.Event(), lambda _: None)
    assert codec_of is not None
    value = codec_of("documents", "documents.processed").encode(RESULT)
    single = Codec(SCHEMA).encode(RESULT)
    assert value == confluent_header(2) + single[10:]
    assert codec_of("a route that is gone", "documents.failed").encode(RESULT) == value


async def test_without_a_registry_results_are_single_objects() -> None:
    codec_of = await result_codecs(config_of(Registry()), asyncio.Event(), lambda _: None)
    assert codec_of is not None
    assert codec_of("documents", "documents.processed").encode(RESULT) == Codec(SCHEMA).encode(RESULT)


async def test_a_registry_that_is_down_is_awaited(server: FakeRegistry) -> None:
    reasons: list[str] = []

    def heard(reason: str) -> None:
        reasons.append(reason)
        server.broken = None

    server.broken = 503
    codec_of = await result_codecs(config_of(Registry(url=server.url)), asyncio.Event(), heard)
    assert codec_of is not None
    assert reasons == [
        f"The ids of the output schemas are not known yet. The schema registry {server.url} answered with 503."
    ]


async def test_whoever_waits_can_be_ended(server: FakeRegistry) -> None:
    over = asyncio.Event()
    server.broken = 503
    assert await result_codecs(config_of(Registry(url=server.url)), over, lambda _: over.set()) is None


async def test_an_outage_in_the_middle_registers_nothing_twice(server: FakeRegistry) -> None:
    server.shelf.put(SUBJECTS[0], TEXT)
    server.broken = 500
    with pytest.raises(RegistryUnavailable):
        await announced(server)
    server.broken = None
    assert set((await announced(server)).values()) == {1}


def test_two_schemas_never_share_a_subject() -> None:
    outputs = output_schemas(config_of(Registry(url="http://r", subject_naming="record")))
    assert [subject for subject, _ in distinct(outputs)] == ["ai.extend.kafka.RunResult"]
    other = outputs[0].__class__("typed", "t.processed", outputs[0].subject, "{}", outputs[0].codec)
    with pytest.raises(RegistryRefused, match="Two schemas want the subject"):
        distinct([*outputs, other])
