"""The client of the schema registry against servers that do everything wrong."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from connector.adapters.registry import MAX_SUBJECTS_ANSWER, SchemaRegistry
from connector.config import Registry, Secret
from connector.core.errors import (
    RegistryError,
    RegistryRefused,
    RegistryUnavailable,
    SchemaNotFound,
    SchemaUnusable,
)
from tests.adapters.raw_api import Behaviour, RawApi, Seen, answering, hang, hang_up, http
from tests.ports import HOST, free_ports

HTML = b"<html><body>Bad gateway</body></html>"
SCHEMA = '{"type":"record","name":"A","fields":[]}'
Ask = Callable[[SchemaRegistry], Awaitable[object]]


def said(status: int, **body: object) -> Behaviour:
    return answering(http(status, json.dumps(body).encode()))


async def error_of(behave: Behaviour, ask: Ask, **settings: object) -> RegistryError:
    async with RawApi(behave) as server:
        registry = SchemaRegistry(Registry(url=server.url, **settings))  # type: ignore[arg-type]
        with pytest.raises(RegistryError) as raised:
            await ask(registry)
        assert server.url in str(raised.value)
        return raised.value


async def by_id(registry: SchemaRegistry) -> object:
    return await registry.schema_by_id(7)


async def latest(registry: SchemaRegistry) -> object:
    return await registry.latest("a-value")


async def look_up(registry: SchemaRegistry) -> object:
    return await registry.look_up("a-value", SCHEMA)


async def register(registry: SchemaRegistry) -> object:
    return await registry.register("a-value", SCHEMA)


async def compatibility(registry: SchemaRegistry) -> object:
    return await registry.compatibility("a-value", SCHEMA)


async def subjects(registry: SchemaRegistry) -> object:
    return await registry.subjects()


EVERYTHING = pytest.mark.parametrize("ask", [by_id, latest, look_up, register, compatibility, subjects])


async def another_protocol(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await writer.drain()
    return False


async def cut_short(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"schema": "half')
    await writer.drain()
    return False


async def trickling(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@EVERYTHING
@pytest.mark.parametrize(
    "behave",
    [
        answering(http(200, HTML)),
        answering(http(404, HTML)),
        answering(http(200, b"")),
        answering(http(200, b"[" * 100_000)),
        answering(http(200, b'{"schema": 5, "id": "x", "version": true}')),
        answering(http(200, b"5")),
        answering(http(200, b"{}", content_encoding="gzip")),
        answering(http(302, HTML, location="http://127.0.0.1:1/")),
        answering(http(307, b"", location="/elsewhere")),
        answering(http(429, b'{"error_code": 429, "message": "slowly"}')),
        answering(http(500, b'{"error_code": 50001, "message": "Error in the backend data store"}')),
        answering(http(503, HTML)),
        said(404, error_code=404, message="HTTP 404 Not Found"),
        another_protocol,
        hang_up,
        cut_short,
    ],
    ids=lambda behave: getattr(behave, "__name__", ""),
)
async def test_what_is_no_registrys_answer_is_asked_again_later(ask: Ask, behave: Behaviour) -> None:
    assert isinstance(await error_of(behave, ask), RegistryUnavailable)


@pytest.mark.parametrize("behave", [hang, trickling])
async def test_an_answer_has_a_deadline_as_a_whole(behave: Behaviour) -> None:
    error = await error_of(behave, by_id, timeout=0.3)
    assert isinstance(error, RegistryUnavailable)
    assert "gave no whole answer within 0.3 s" in str(error)


async def test_nobody_is_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RegistryUnavailable, match=f"http://127.0.0.1:{port} could not be asked: .*refused"):
        await by_id(SchemaRegistry(Registry(url=f"http://{HOST}:{port}")))


@EVERYTHING
@pytest.mark.parametrize("status", [401, 403])
async def test_missing_rights_are_refused_whatever_the_body(ask: Ask, status: int) -> None:
    error = await error_of(answering(http(status, HTML)), ask)
    assert isinstance(error, RegistryRefused)
    assert error.status == status


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_a_refusal_carries_the_registrys_words(status: int) -> None:
    error = await error_of(said(status, error_code=42201, message="Invalid schema\n\x07" + "x" * 1000), register)
    assert isinstance(error, RegistryRefused)
    assert (error.status, error.code) == (status, 42201)
    assert "subject a-value" in str(error)
    assert "Invalid schema xxx" in str(error)
    assert len(str(error)) < 700


async def test_only_the_registry_itself_says_that_an_id_does_not_exist() -> None:
    assert isinstance(await error_of(said(404, error_code=40403, message="Schema not found"), by_id), SchemaNotFound)
    assert isinstance(await error_of(said(404, message="not found"), by_id), RegistryUnavailable)


@pytest.mark.parametrize("ask", [latest, look_up])
@pytest.mark.parametrize("code", [40401, 40402, 40403])
async def test_a_subject_or_schema_that_does_not_exist_is_none(ask: Ask, code: int) -> None:
    async with RawApi(said(404, error_code=code, message="not found")) as server:
        assert await ask(SchemaRegistry(Registry(url=server.url))) is None


@pytest.mark.parametrize("ask", [by_id, latest, look_up])
async def test_a_schema_of_ten_megabytes_is_refused_without_reading_it(ask: Ask) -> None:
    sent = 0

    async def large(_: Seen, writer: asyncio.StreamWriter) -> bool:
        nonlocal sent
        # A hundred times larger still: two kernels' buffers could hold ten megabytes without a reader.
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000014\r\n\r\n"
        writer.write(head + b'{"schema": "')
        for _part in range(100_000):
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000
        return False

    error = await error_of(large, ask)
    assert isinstance(error, SchemaUnusable)
    assert sent < 100_000_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"schema": "x" * 300_000}, "more than 256 KiB"),
        ({"schema": "message A {}", "schemaType": "PROTOBUF"}, "no Avro (PROTOBUF)"),
        ({"schema": SCHEMA, "references": [{"name": "B", "subject": "b", "version": 1}]}, "refers to other schemas"),
    ],
)
async def test_a_schema_that_is_not_read_with_is_said(body: dict[str, object], words: str) -> None:
    error = await error_of(said(200, **body), by_id)
    assert isinstance(error, SchemaUnusable)
    assert words in str(error)


async def test_a_schema_is_kept_by_whoever_reads_with_it_and_not_here() -> None:
    async with RawApi(said(200, schema=SCHEMA)) as server:
        registry = SchemaRegistry(Registry(url=server.url))
        for _ in range(2):
            assert await registry.schema_by_id(1) == SCHEMA
        assert [seen.path for seen in server.requests] == 2 * ["/schemas/ids/1"]


@EVERYTHING
@pytest.mark.parametrize("kind", [{}, {"content_type": "text/html; charset=utf-8"}], ids=["untyped", "html"])
async def test_a_large_page_that_is_no_json_is_no_registrys_answer(ask: Ask, kind: dict[str, str]) -> None:
    page = answering(http(200, HTML.ljust(MAX_SUBJECTS_ANSWER + 1), **kind))
    assert isinstance(await error_of(page, ask), RegistryUnavailable)


async def test_a_path_is_kept_and_a_subject_quoted() -> None:
    async with RawApi(said(200, id=1)) as server:
        registry = SchemaRegistry(Registry(url=f"{server.url}/apis/ccompat/v7/"))
        await registry.register("a/b c?-value", SCHEMA)
        (seen,) = server.requests
        assert seen.path == "/apis/ccompat/v7/subjects/a%2Fb%20c%3F-value/versions"
        assert json.loads(seen.body) == {"schema": SCHEMA}


async def test_a_password_is_read_again_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "password"
    async with RawApi(said(200, schema=SCHEMA)) as server:
        registry = SchemaRegistry(
            Registry(url=server.url, username="me", password_file=str(file), password=Secret("first"))
        )
        for number, text in enumerate(["second\n", "", "third ä"]):
            file.write_text(text)
            await registry.schema_by_id(number)
        sent = [seen.headers["authorization"] for seen in server.requests]
    assert [base64.b64decode(each.removeprefix("Basic ")).decode() for each in sent] == [
        "me:second",
        "me:second",
        "me:third ä",
    ]


async def test_a_token_is_read_again_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with RawApi(said(200, schema=SCHEMA)) as server:
        registry = SchemaRegistry(Registry(url=server.url, token_file=str(file), token=Secret("first")))
        await registry.schema_by_id(1)
        file.write_text("second\n")
        await registry.schema_by_id(2)
        assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer first", "Bearer second"]


async def test_no_error_shows_a_secret() -> None:
    for behave in (said(401), said(422, error_code=1), hang_up, answering(http(200, HTML))):
        error = await error_of(behave, register, username="me", password=Secret("cAnArY"))
        assert "cAnArY" not in repr(error)
        assert "me:" not in repr(error)
