"""Typed routes in the schema registry: which schema stands under which subject, and what their records begin with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from connector.announce import distinct, result_codecs
from connector.cli.framed_results import result_reader
from connector.config import Config, Registry
from connector.config.routes import Route, RouteOutput
from connector.config.sections import Output
from connector.core.formats.framing import confluent_header
from connector.core.run_types import topic_of
from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import typed_schema
from connector.output_schemas import output_schemas
from connector.schema_files import load_schema
from tests.core.typed.test_round_trip import datum
from tests.fakes.registry import FakeRegistry


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    value = read_schema({"type": "object", "properties": {"total": {"type": "number", "multipleOf": 0.01}}})
    path = tmp_path / "invoices.avsc"
    path.write_text(json.dumps(typed_schema(load_schema("run_result"), "invoices", value)))
    return str(path)


def config_of(schema_file: str, registry: Registry, prefix: str) -> Config:
    """Two routes; the results of one are typed."""
    output = RouteOutput(typed=True, prefix=prefix, schema_file=schema_file)
    routes = {"invoices": Route(run="extract", output=output), "others": Route(run="parse")}
    return Config(name="c", schema_registry=registry, routes=routes, output=Output(prefix="out"))


def test_topics_of_a_typed_route_have_its_schema_alone(schema_file: str) -> None:
    outputs = output_schemas(config_of(schema_file, Registry(url="http://r"), "typed"))
    by_subject = dict(distinct(outputs))
    assert "ai.extend.kafka.routes.invoices" in by_subject["typed.processed-value"]
    assert "ai.extend.kafka.routes" not in by_subject["out.processed-value"]
    assert '"logicalType":"decimal"' in by_subject["typed.processed-value"]


def test_named_by_topic_and_record_two_schemas_share_a_topic(schema_file: str) -> None:
    registry = Registry(url="http://r", subject_naming="topic-record")
    subjects = [subject for subject, _ in distinct(output_schemas(config_of(schema_file, registry, "out")))]
    assert "out.processed-ai.extend.kafka.RunResult" in subjects
    assert "out.processed-ai.extend.kafka.routes.invoices.RunResult" in subjects


async def test_a_typed_result_is_framed_with_the_id_of_its_own_schema_and_read_back(schema_file: str) -> None:
    with FakeRegistry() as server:
        config = config_of(schema_file, Registry(url=server.url), "typed")
        codec_of = await result_codecs(config, asyncio.Event(), lambda _: None)
        assert codec_of is not None
        topic = topic_of("typed", "PROCESSED")
        value = codec_of("invoices", topic).encode(datum({"total": b"\x05"}))
        plain = codec_of("others", topic_of("out", "PROCESSED"))
        fields = await asyncio.to_thread(result_reader(config).decode, value)

    assert value.startswith(b"\x00")
    assert value[:5] != plain.encode({k: v for k, v in datum(None).items() if k != "value"})[:5]
    assert confluent_header(int.from_bytes(value[1:5], "big")) == value[:5]
    assert json.dumps(fields["value"], default=str) == '{"total": "0.05"}'
