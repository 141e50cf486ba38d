"""Results of both framings are read, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.cli.framed_results import FramedResults
from connector.config import Registry
from connector.core.errors import RegistryRefused, RegistryUnavailable
from connector.core.formats.avro import AvroSchema, Undecodable
from connector.core.formats.framing import Codec
from connector.core.reasons import Reason
from connector.schema_files import load_schema
from tests.cli.test_result_lines import result
from tests.fakes.registry import FakeRegistry

SCHEMA: dict[str, Any] = load_schema("run_result")
CODEC = Codec(SCHEMA)
SINGLE = result()
FIELDS = CODEC.decode(SINGLE)
NEWER = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "later", "type": "string"}]}


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


def reader_of(server: FakeRegistry) -> FramedResults:
    return FramedResults(CODEC, SchemaRegistry(Registry(url=server.url)))


def framed(server: FakeRegistry, schema: dict[str, Any], **more: object) -> bytes:
    schema_id = server.shelf.put("documents.processed-value", json.dumps(schema))
    return Codec(schema).framed(schema_id).encode({**FIELDS, **more})


def test_both_framings_are_read_and_an_id_is_asked_once(server: FakeRegistry) -> None:
    reader = reader_of(server)
    value = framed(server, SCHEMA)
    assert reader.decode(SINGLE) == reader.decode(value) == reader.decode(value) == FIELDS
    assert server.asked == ["GET /schemas/ids/1"]


def test_what_a_newer_connector_wrote_is_read_as_far_as_it_is_known(server: FakeRegistry) -> None:
    assert reader_of(server).decode(framed(server, NEWER, later="x")) == FIELDS


def test_an_id_that_does_not_exist_is_undecodable(server: FakeRegistry) -> None:
    with pytest.raises(Undecodable, match="no schema has this id") as raised:
        reader_of(server).decode(CODEC.framed(7).encode(FIELDS))
    assert raised.value.reason is Reason.UNKNOWN_SCHEMA


@pytest.mark.parametrize("text", ['"string"', "nonsense", '{"type": "record", "name": "A"}'])
def test_a_schema_that_is_none_is_undecodable(server: FakeRegistry, text: str) -> None:
    server.shelf.texts[1] = text
    with pytest.raises(Undecodable, match="schema with id 1"):
        reader_of(server).decode(CODEC.framed(1).encode(FIELDS))


def test_without_a_registry_the_way_out_is_named() -> None:
    with pytest.raises(Undecodable, match=r"schema id 1\), and schema_registry.url is not set"):
        FramedResults(CODEC, None).decode(CODEC.framed(1).encode(FIELDS))
    assert FramedResults(CODEC, None).decode(SINGLE) == FIELDS


def test_a_registry_that_cannot_be_asked_ends_the_command_with_a_sentence(server: FakeRegistry) -> None:
    value = framed(server, SCHEMA)
    server.broken = 503
    with pytest.raises(RegistryUnavailable, match="answered with 503"):
        reader_of(server).decode(value)
    server.broken, server.authorization = None, "Bearer else"
    with pytest.raises(RegistryRefused, match="401"):
        reader_of(server).decode(value)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00\x00\x00", b"text"])
def test_what_is_no_result_is_undecodable(server: FakeRegistry, data: bytes) -> None:
    with pytest.raises(Undecodable):
        reader_of(server).decode(data)


@pytest.mark.parametrize(("schema", "more"), [(SCHEMA, {}), (NEWER, {"later": "x"})], ids=["known", "newer"])
def test_an_ids_schema_is_parsed_for_its_first_record_alone(
    server: FakeRegistry, monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any], more: dict[str, object]
) -> None:
    reader, value = reader_of(server), framed(server, schema, **more)
    assert reader.decode(value) == FIELDS

    def never(_: object) -> AvroSchema:
        raise AssertionError("parsed again")

    monkeypatch.setattr(AvroSchema, "__init__", never)
    assert reader.decode(value) == FIELDS
