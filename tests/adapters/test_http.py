"""What became of a request, against servers that misbehave on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import time
from email.utils import formatdate

import pytest

from connector.core.budgets.budget import NO_RETRY_AFTER_SECONDS, TokenBucket
from connector.core.budgets.retry import MAX_RETRY_AFTER
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
)
from tests.adapters.calling import REFUSAL, RUN, calling, error_of_post, post, read
from tests.adapters.raw_api import Behaviour, RawApi, Seen, answering, hang, hang_up, http


async def test_a_server_that_reads_the_post_and_hangs_up_leaves_it_unclear() -> None:
    error = await error_of_post(hang_up)
    assert type(error) is ApiUnavailable
    assert error.status is None


async def test_a_server_that_hangs_leaves_it_unclear_at_the_deadline() -> None:
    start = time.monotonic()
    error = await error_of_post(hang, deadline=0.3)
    assert type(error) is ApiUnavailable
    assert "sent, but no answer within 0.3 s" in str(error)
    assert time.monotonic() - start < 2


async def drip_headers(_: Seen, writer: asyncio.StreamWriter) -> bool:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: 1\r\n" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)
    return False


async def drip_body(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _each in range(100_000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("behave", [drip_headers, drip_body])
async def test_the_deadline_holds_against_a_server_that_drips(behave: Behaviour) -> None:
    start = time.monotonic()
    error = await error_of_post(behave, deadline=0.4)
    assert type(error) is ApiUnavailable
    assert 0.35 < time.monotonic() - start < 2


async def cut_off(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + RUN)
    await writer.drain()
    return False


@pytest.mark.parametrize(
    "behave",
    [
        cut_off,
        answering(b"canary says: no HTTP at all\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\ncanary"),
        answering(http(500, b'{"code": "INTERNAL_ERROR", "retryable": true}')),
        answering(http(502, b"<html>canary</html>")),
        answering(http(408, REFUSAL)),
        answering(http(409, REFUSAL)),
        answering(http(404, b"<html>canary</html>")),
        answering(http(400, b"")),
        answering(http(422, b'{"error": "canary"}')),
        answering(http(307, b"", location="http://127.0.0.1:9/canary")),
    ],
)
async def test_anything_that_is_not_the_apis_own_word_leaves_a_post_unclear(behave: Behaviour) -> None:
    assert type(await error_of_post(behave)) is ApiUnavailable


async def test_a_redirect_is_not_followed() -> None:
    async with RawApi(answering(http(200, RUN))) as target:
        error = await error_of_post(answering(http(308, b"", location=f"{target.url}/extract_runs")))
        assert (error.status, target.requests) == (308, [])
    assert "redirect" in str(error)


async def test_an_answer_over_the_limit_is_not_read_to_its_end() -> None:
    sent = 0

    async def flood(_: Seen, writer: asyncio.StreamWriter) -> bool:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    error = await error_of_post(flood, max_start_body=100_000)
    assert isinstance(error, ApiUnreadable)
    assert error.reason == "TOO_LARGE"
    assert sent < 50_000_000


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    error = await error_of_post(answering(http(200, bomb, content_encoding="gzip")))
    assert isinstance(error, ApiUnreadable)
    assert error.reason == "ENCODED"


async def test_a_keep_alive_connection_that_closes_under_a_post_leaves_it_unclear() -> None:
    first = True

    async def once(_: Seen, writer: asyncio.StreamWriter) -> bool:
        nonlocal first
        if first:
            first = False
            writer.write(http(200, RUN))
            await writer.drain()
            return True
        return False

    async with calling(once) as (server, api):
        await post(api)
        with pytest.raises(ApiUnavailable) as caught:
            await post(api)
    assert type(caught.value) is ApiUnavailable
    assert (len(server.requests), server.connections) == (2, 1)


async def test_a_connection_that_closed_while_idle_is_replaced_before_anything_is_written() -> None:
    async def close_after(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(200, RUN))
        await writer.drain()
        return False

    async with calling(close_after) as (server, api):
        for _ in range(3):
            assert (await post(api)).status == 200
            await asyncio.sleep(0.05)
    assert (len(server.requests), server.connections) == (3, 3)


# --- The API's own word


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (http(400, REFUSAL), ApiRefused),
        (http(404, REFUSAL), ApiNotFound),
        (http(422, b'{"error": {"code": "INVALID_REQUEST"}}'), ApiRefused),
        (http(401, b'{"code": "UNAUTHORIZED"}'), ApiForbidden),
        (http(403, b'{"code": "FORBIDDEN"}'), ApiForbidden),
        (http(503, b'{"code": "USAGE_BLOCKED"}'), ApiForbidden),
        (http(429, b"slow down"), ApiThrottled),
    ],
)
async def test_the_apis_own_word_is_told_by_class(raw: bytes, kind: type[ApiError]) -> None:
    assert type(await error_of_post(answering(raw))) is kind


async def test_a_refusal_carries_code_message_and_request_id() -> None:
    error = await error_of_post(answering(http(400, REFUSAL)))
    assert (error.status, error.code, error.request_id) == (400, "INVALID_REQUEST", "req_1")
    assert str(error) == "POST /extract_runs: the API answered 400 INVALID_REQUEST: No file. (request req_1)"


async def torn_429(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()
    return False


async def endless_429(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(3600)
    return False


@pytest.mark.parametrize("behave", [torn_429, endless_429])
async def test_a_429_is_certain_even_when_its_body_never_comes(behave: Behaviour) -> None:
    error = await error_of_post(behave, deadline=0.3)
    assert isinstance(error, ApiThrottled)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, None),
        ({"retry-after": "86400"}, MAX_RETRY_AFTER),
        ({"retry-after": formatdate(time.time() + 86_400, usegmt=True)}, MAX_RETRY_AFTER),
        ({"retry-after": formatdate(time.time() - 86_400, usegmt=True)}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset": str(int(time.time()) + 86_400)}, MAX_RETRY_AFTER),
        ({"x-ratelimit-reset": str(int(time.time()) - 86_400)}, None),
    ],
)
async def test_a_429_without_headers_or_with_a_wait_of_a_day_or_one_that_is_over_holds_a_budget_for_minutes_at_most(
    headers: dict[str, str], asked: float | None
) -> None:
    error = await error_of_post(answering(http(429, b"<html>canary</html>", **headers)))
    assert isinstance(error, ApiThrottled)
    assert error.retry_after == asked
    bucket = TokenBucket(10.0)
    bucket.throttled(0.0, error.retry_after)
    assert bucket.wait(0.0) == (NO_RETRY_AFTER_SECONDS if asked is None else asked)


async def test_a_list_that_drips_ends_at_its_deadline_and_takes_no_slot_with_it() -> None:
    dripping = True

    async def behave(seen: Seen, writer: asyncio.StreamWriter) -> bool | None:
        return await (drip_body(seen, writer) if dripping else answering(http(200, RUN))(seen, writer))

    async with calling(behave, max_reads=1) as (_, api):
        for _attempt in range(3):
            with pytest.raises(ApiUnavailable):
                await api.send("list", "GET", "/extract_runs", deadline=0.2)
        dripping = False
        assert (await read(api)).status == 200


# --- Whose end is it
