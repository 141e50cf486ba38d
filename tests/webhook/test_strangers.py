"""What strangers send to the port: a plain refusal or a closed connection, nothing reflected, nothing logged."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from connector.adapters import bounded_http
from connector.webhook import endpoint
from tests.webhook.stage import Stage, event, request, serving, until

CANARY = "canary7f3a"
PATH = endpoint.PATH


@pytest.fixture
async def stage(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> AsyncIterator[Stage]:
    """A port that must have logged and printed nothing in the end, and still serve."""
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.INFO, "connector")
    async with serving() as made:
        yield made
        assert await made.status(request(event(999))) == 204
        assert [record.run_id for record in made.writer.signals() if record] == ["exr_999"]  # type: ignore[union-attr]
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def unsigned(stamp: str = "1760000000", signature: str = "0" * 64, head: str = "", body: bytes = b"{}") -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: {CANARY}\r\ncontent-length: {len(body)}\r\n{head}"
        f"x-extend-request-timestamp: {stamp}\r\nx-extend-request-signature: {signature}\r\n\r\n"
    ).encode("latin-1", "surrogateescape") + body


def plain(first_line: str, head: str = "") -> bytes:
    return f"{first_line}\r\nhost: {CANARY}\r\n{head}\r\n".encode()


UPGRADE = "connection: upgrade\r\nupgrade: websocket\r\n"
DOUBLED = f"x-extend-request-signature: {'1' * 64}\r\n"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        pytest.param(unsigned(), {401}, id="wrong signature"),
        pytest.param(unsigned(signature="\xe9" * 64), {400, 401}, id="signature not ASCII"),
        pytest.param(unsigned(signature=CANARY), {401}, id="signature too short"),
        pytest.param(unsigned(signature="A" * 64), {401}, id="signature in capitals"),
        pytest.param(unsigned(stamp="NaN"), {400}, id="NaN"),
        pytest.param(unsigned(stamp="1_760_000_000"), {400}, id="underscores"),
        pytest.param(unsigned(stamp="9" * 300), {400}, id="huge"),
        pytest.param(unsigned(stamp="-1760000000"), {400}, id="negative"),
        pytest.param(unsigned(stamp="1e9"), {400}, id="exponent"),
        pytest.param(unsigned(stamp="\xb2\xb3"), {400}, id="digits that are not ASCII"),
        pytest.param(unsigned(head=DOUBLED), {401}, id="two signatures"),
        pytest.param(unsigned(head="x-extend-request-timestamp: 1\r\n"), {401}, id="two timestamps"),
        pytest.param(unsigned(head="content-length: 7\r\n"), {400}, id="two lengths"),
        pytest.param(plain(f"POST {PATH} HTTP/1.1", "content-length: 0\r\n"), {401}, id="not signed"),
        pytest.param(unsigned(head="content-encoding: gzip\r\n", body=gzip.compress(b"{}")), {415}, id="gzip"),
        pytest.param(unsigned(head="content-encoding: identity, br\r\n"), {415}, id="encodings"),
        pytest.param(unsigned(head="content-type: multipart/form-data\r\n"), {415}, id="multipart"),
        pytest.param(plain(f"POST {PATH} HTTP/1.1", "content-length: 10485760\r\n"), {413}, id="10 MB announced"),
        pytest.param(plain(f"POST {PATH} HTTP/1.1", f"content-length: {'9' * 20}\r\n"), {400, 413}, id="endless"),
        pytest.param(plain(f"POST {PATH} HTTP/1.1", "content-length: -1\r\n"), {400}, id="negative length"),
        pytest.param(plain(f"POST {PATH} HTTP/1.1", "transfer-encoding: gzip\r\n"), {400}, id="transfer encoding"),
        pytest.param(
            unsigned(head="transfer-encoding: chunked\r\n"), {0, 400, 401}, id="length and chunks"
        ),
        pytest.param(plain(f"GET {PATH} HTTP/1.1"), {404}, id="GET"),
        pytest.param(plain(f"TRACE {PATH} HTTP/1.1"), {404}, id="TRACE"),
        pytest.param(plain(f"GET /{CANARY} HTTP/1.1"), {404}, id="another path"),
        pytest.param(plain(f"POST {PATH}/ HTTP/1.1"), {404}, id="a slash more"),
        pytest.param(plain(f"GET {PATH} HTTP/1.1", UPGRADE), {404}, id="upgrade"),
        pytest.param(f"GET /{CANARY}\r\n\r\n".encode(), {400}, id="HTTP/0.9"),
        pytest.param(f"\x16\x03\x01 {CANARY}\r\n\r\n".encode(), {400}, id="TLS"),
        pytest.param(plain(f"GET {PATH} HTTP/1.1", f"bad header {CANARY}\r\n"), {400}, id="a broken header"),
        pytest.param(plain(f"GET {PATH} HTTP/1.1", f"x: {'x' * 300_000}\r\n"), {0, 400, 404}, id="a huge header"),
        pytest.param(b"\xff" * 20_000, {0, 400}, id="no HTTP"),
    ],
)  # fmt: skip
async def test_a_stranger_is_refused_plainly(stage: Stage, raw: bytes, statuses: set[int]) -> None:
    answer = await stage.send(raw)
    assert (int(answer.split()[1]) if answer else 0) in statuses
    assert CANARY.encode() not in answer
    lines = answer.lower().split(b"\r\n")
    assert not answer or b"content-length: 0" in lines
    assert not answer or b"connection: close" in lines


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"eventId":"a","eventId":"b","eventType":"t","payload":{}}',
        b'{"eventId":"\\ud800","eventType":"t","payload":{}}',
        b'{"eventId":"a","eventType":"t","payload":{"x":NaN}}',
        b"\xff\xfe{\x00}\x00",
        b"",
        b'{"payload":null}',
    ],
    ids=["brackets", "nested", "duplicate keys", "lone surrogate", "NaN", "UTF-16", "empty", "no envelope"],
)
async def test_a_signed_body_that_is_no_event_is_a_400(stage: Stage, body: bytes) -> None:
    assert await stage.status(request(body)) == 400
    assert stage.count("bad_body") == 1


@pytest.mark.parametrize(("age", "result"), [(400, "too_old"), (-100, "too_new")])
async def test_a_replay_and_a_webhook_of_tomorrow_are_refused(stage: Stage, age: int, result: str) -> None:
    assert await stage.status(request(event(), age=age)) == 401
    assert stage.count(result) == 1


async def test_10_mb_in_chunks_are_refused_on_the_way(stage: Stage) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    raw = request(b"", head="transfer-encoding: chunked\r\n") + chunk * 160 + b"0\r\n\r\n"
    assert await stage.status(raw) in {0, 413}
    assert stage.count("too_large") == 1


async def test_chunks_are_a_body_too(stage: Stage) -> None:
    body = event(999)
    raw = request(body, head="transfer-encoding: chunked\r\n").removesuffix(body)
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))
    assert await stage.status(raw + chunks) == 204


async def test_slow_headers_end_in_a_closed_connection(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEADER_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(plain(f"POST {PATH} HTTP/1.1")[:-4])
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("before", [b"", request(event(kind="unknown"))], ids=["alone", "behind another one"])
async def test_a_body_that_does_not_begin_ends_in_a_closed_connection(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(bounded_http, "HEADER_SECONDS", 0.2)
    head, _, _ = request(event(2)).partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(before + head + b"\r\n\r\n")
    with suppress(ConnectionError):
        # On a busy machine the time may be over before the first request is answered.
        assert (await reader.read()).count(b"HTTP/1.1") <= bool(before)
    writer.close()
    await until(lambda: stage.endpoint._reading == 0)


async def test_a_slow_body_is_refused_in_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.2)
    raw = request(event())
    assert await stage.status(raw[:-10]) == 400
    assert stage.count("too_slow") == 1


async def test_who_leaves_in_the_middle_leaves_nothing_behind(stage: Stage) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(request(event())[:-10])
    await writer.drain()
    writer.close()
    await until(lambda: stage.count("gone"))
    assert stage.endpoint._reading == 0


async def test_only_so_many_unverified_bodies_are_read_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_READING", 2)
    held = [await asyncio.open_connection("127.0.0.1", stage.port) for _ in range(2)]
    for _, writer in held:
        writer.write(request(event())[:-10])
    await until(lambda: stage.endpoint._reading == 2)
    assert await stage.status(request(event())) == 429
    for _, writer in held:
        writer.close()
    await until(lambda: stage.endpoint._reading == 0)


async def test_too_many_connections_are_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "MOST_CONNECTIONS", 2)
    held = [await asyncio.open_connection("127.0.0.1", stage.port) for _ in range(2)]
    assert await stage.status(request(event())) == 0
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    while await stage.status(unsigned()) == 0:
        pass
