"""What became of a request, against servers that misbehave on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest

from connector.adapters.http import HttpApi
from connector.clock import Clock
from connector.core.answer import Answer
from connector.core.budget import NO_RETRY_AFTER_SECONDS, TokenBucket
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ApiUnreadable,
    NotSent,
)
from connector.core.retry import MAX_RETRY_AFTER
from tests.adapters.raw_api import Behaviour, RawApi, Seen, answering, hang, hang_up, http

KEY = "sk_canary_key"
BODY = b'{"file": {"url": "https://files.example.com/canary.pdf?sig=canary"}}'
RUN = b'{"object": "extract_run", "id": "exr_1", "status": "PROCESSING"}'
REFUSAL = b'{"code": "INVALID_REQUEST", "message": "No file.", "requestId": "req_1"}'


@asynccontextmanager
async def calling(behave: Behaviour, **options: object) -> AsyncIterator[tuple[RawApi, HttpApi]]:
    async with RawApi(behave) as server:
        api = HttpApi(server.url, KEY, **options)  # type: ignore[arg-type] # the tests pass what they mean
        try:
            yield server, api
        finally:
            await api.aclose()


async def post(api: HttpApi, deadline: float = 5.0, **more: object) -> Answer:
    return await api.send(
        "create",
        "POST",
        "/extract_runs",
        body=BODY,
        deadline=deadline,
        **more,  # type: ignore[arg-type]
    )


async def read(api: HttpApi, deadline: float = 5.0) -> Answer:
    return await api.send("get", "GET", "/extract_runs/exr_1", deadline=deadline)


async def error_of_post(behave: Behaviour, deadline: float = 5.0, **options: object) -> ApiError:
    """The error of one POST; the server saw it exactly once, and it holds no secret."""
    async with calling(behave, **options) as (server, api):
        with pytest.raises(ApiError) as caught:
            await post(api, deadline)
        await asyncio.sleep(0.05)
        assert len(server.requests) == 1, "a POST is never repeated"
    assert "canary" not in f"{caught.value} {caught.value!r}"
    return caught.value


async def test_the_clock_of_the_api_is_known_by_its_newest_answer() -> None:
    wall = Clock(wall=lambda: 1_000.0)
    for headers, offset in (({"Date": "Thu, 01 Jan 1970 01:16:40 GMT"}, 3600.0), ({}, 0.0), ({"Date": "soon"}, 0.0)):
        async with calling(answering(http(200, RUN, **headers)), clock=wall) as (_, api):
            assert api.api_clock_offset == 0.0
            await read(api)
            assert api.api_clock_offset == offset


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.01)


# --- What is sent


async def test_every_request_carries_key_version_and_workspace_and_asks_for_plain_bytes() -> None:
    async with calling(answering(http(200, RUN)), workspace_id="ws_1") as (server, api):
        answer = await post(api)
        await api.send("list", "GET", "/extract_runs", query={"fileNameContains": "a b&c"})
    assert (answer.status, answer.body) == (200, RUN)
    first, second = server.requests
    assert (first.method, first.path, first.body) == ("POST", "/extract_runs", BODY)
    assert first.headers["content-type"] == "application/json"
    assert second.path == "/extract_runs?fileNameContains=a+b%26c"
    for seen in server.requests:
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert seen.headers["x-extend-api-version"] == "2026-02-09"
        assert seen.headers["x-extend-workspace-id"] == "ws_1"
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.headers["user-agent"].startswith("extend-kafka-connector/")
    assert server.connections == 2, "starts and reads have connections of their own"


async def test_a_new_key_is_used_from_the_next_request_on() -> None:
    async with calling(answering(http(200, RUN))) as (server, api):
        await read(api)
        api.set_api_key("sk_other")
        await read(api)
    assert [seen.headers["authorization"] for seen in server.requests] == [f"Bearer {KEY}", "Bearer sk_other"]
    assert server.connections == 1


@pytest.mark.parametrize("key", ["", "sk_canary\nx-evil: 1", "sk canary", "sk_canäry", "x" * 513])
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="one line of printable ASCII") as caught:
        HttpApi("https://api.example.com", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://api", "https://user:canary@api", "https://api?x=1", "api.extend.ai", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must be"):
        HttpApi(url, KEY)


def test_a_workspace_that_would_smuggle_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="workspace_id may hold"):
        HttpApi("https://api.example.com", KEY, workspace_id="ws\r\nx: 1")


async def test_a_base_url_may_have_a_path_and_no_proxy_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with RawApi(answering(http(200, RUN))) as server:
        api = HttpApi(f"{server.url}/extend/", KEY)
        await read(api)
        await api.aclose()
    assert server.requests[0].path == "/extend/extract_runs/exr_1"


# --- Certain: not sent


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = HttpApi(f"http://127.0.0.1:{unused.getsockname()[1]}", KEY)
        with pytest.raises(NotSent, match="not sent"):
            await post(api)
        await api.aclose()


async def test_an_unknown_host_is_certainly_not_sent() -> None:
    api = HttpApi("http://no-such-host.invalid", KEY)
    with pytest.raises(NotSent):
        await post(api, deadline=4)
    await api.aclose()


async def test_a_failed_tls_handshake_is_certainly_not_sent() -> None:
    async with RawApi(answering(http(200, RUN))) as server:

        async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        plain = await asyncio.start_server(no_tls, "127.0.0.1", 0)
        api = HttpApi(f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}", KEY)
        with pytest.raises(NotSent):
            await post(api)
        await api.aclose()
        plain.close()
        await plain.wait_closed()
    assert server.requests == []


async def test_a_handshake_that_never_ends_is_taken_back_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    quiet = await asyncio.start_server(silent, "127.0.0.1", 0)
    api = HttpApi(f"https://127.0.0.1:{quiet.sockets[0].getsockname()[1]}", KEY)
    start = time.monotonic()
    with pytest.raises(NotSent, match=r"no answer within 0\.2 s"):
        await post(api, deadline=0.2)
    assert time.monotonic() - start < 2
    await api.aclose()
    quiet.close()
    await quiet.wait_closed()


async def test_a_last_look_that_says_no_takes_the_request_back_before_a_byte_of_its_body_is_written() -> None:
    looks: list[bool] = []

    def may_write() -> bool:
        looks.append(True)
        return False

    async with calling(answering(http(200, RUN))) as (server, api):
        with pytest.raises(NotSent, match="taken back"):
            await post(api, may_write=may_write)
        assert looks == [True], "who is asked stops or kills the process there, once"
        await until(lambda: server.torn == 1)  # its headers were on the way; without a body they are nothing
        assert server.requests == []
        assert (await post(api, may_write=lambda: True)).status == 200


async def test_a_gate_that_never_opens_is_certainly_not_sent() -> None:
    async with calling(hang, max_starts=1) as (server, api):
        first = asyncio.create_task(post(api, deadline=3))
        await until(lambda: server.open == 1)
        with pytest.raises(NotSent, match="no connection was free"):
            await post(api, deadline=0.1)
        assert len(server.requests) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


# --- Unclear


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


async def test_an_answer_after_the_deadline_is_still_heard() -> None:
    async def slow(_: Seen, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.5)
        writer.write(http(200, RUN))
        await writer.drain()
        return True

    heard: list[Answer | ApiError] = []
    async with calling(slow) as (server, api):
        with pytest.raises(ApiUnavailable, match="sent, but no answer"):
            await post(api, deadline=0.1, late=heard.append)
        assert heard == []
        await until(lambda: bool(heard))
        assert len(server.requests) == 1
    assert isinstance(heard[0], Answer)
    assert heard[0].body == RUN


async def test_the_grace_for_a_late_answer_ends() -> None:
    heard: list[Answer | ApiError] = []
    async with calling(hang, late_grace=0.2) as (server, api):
        with pytest.raises(ApiUnavailable):
            await post(api, deadline=0.1, late=heard.append)
        await until(lambda: bool(heard))
        await until(lambda: server.open == 0)
    assert isinstance(heard[0], ApiUnavailable)


async def test_a_cancelled_caller_leaves_the_request_running_and_its_answer_to_late() -> None:
    answered = asyncio.Event()

    async def wait(_: Seen, writer: asyncio.StreamWriter) -> bool:
        await answered.wait()
        writer.write(http(200, RUN))
        await writer.drain()
        return True

    heard: list[Answer | ApiError] = []
    async with calling(wait) as (server, api):
        caller = asyncio.create_task(post(api, late=heard.append))
        await until(lambda: server.open == 1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert api.open_starts == 1, "it is still open"
        answered.set()
        await until(lambda: bool(heard))
        assert api.open_starts == 0
        assert (await post(api)).status == 200
        assert server.connections == 1, "its connection is as good as new"
    assert isinstance(heard[0], Answer)
    assert len(heard) == 1


async def test_a_caller_cancelled_before_the_gate_hears_that_nothing_was_sent() -> None:
    heard: list[Answer | ApiError] = []
    async with calling(hang, max_starts=1) as (server, api):
        first = asyncio.create_task(post(api))
        await until(lambda: server.open == 1)
        second = asyncio.create_task(post(api, late=heard.append))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert [type(end) for end in heard] == [NotSent]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_late_hears_nothing_when_the_caller_was_told_for_certain() -> None:
    heard: list[Answer | ApiError] = []
    async with calling(answering(http(400, REFUSAL))) as (_, api):
        with pytest.raises(ApiRefused):
            await post(api, late=heard.append)
        await asyncio.sleep(0.05)
    assert heard == []


async def test_closing_ends_every_call_and_says_what_is_certain() -> None:
    async with calling(hang, max_starts=1) as (server, api):
        sent = asyncio.create_task(post(api))
        await until(lambda: server.open == 1)
        waiting = asyncio.create_task(post(api))
        await asyncio.sleep(0.01)
        await api.aclose()
        ends = await asyncio.gather(sent, waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [ApiUnavailable, NotSent]
        with pytest.raises(NotSent, match="closed"):
            await post(api)


# --- No slot is lost


async def test_hundreds_of_abandoned_and_cancelled_calls_lose_no_slot() -> None:
    rng = random.Random(7)
    healthy = False

    async def moody(_: Seen, writer: asyncio.StreamWriter) -> bool:
        mood = 0.0 if healthy else rng.random()
        if mood > 0.7:
            await asyncio.sleep(3600)
        if mood > 0.5:
            return False
        await asyncio.sleep(0 if healthy else rng.random() * 0.1)
        writer.write(http(200, RUN))
        await writer.drain()
        return True

    async def call(api: HttpApi) -> None:
        deadline = 0.02 + rng.random() * 0.1
        task = asyncio.create_task(post(api, deadline) if rng.random() < 0.5 else read(api, deadline))
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.05)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with calling(moody, late_grace=0.1) as (server, api):
        for _ in range(20):
            await asyncio.gather(*(call(api) for _ in range(40)))
        healthy = True
        await until(lambda: api.open_starts == 0)
        for _ in range(3):
            answers = await asyncio.gather(*(post(api) for _ in range(32)), *(read(api) for _ in range(40)))
            assert {answer.status for answer in answers} == {200}
        await until(lambda: server.open == 0)
        for pool in (api._starts, api._reads):
            assert (pool.waited_for, pool._retired) == (0, set())
            assert all(not each.running for each in pool._active)
        assert (api._starts.gate._value, api._reads.gate._value) == (32, 40)


async def test_no_more_starts_are_open_than_allowed_and_reads_do_not_delay_them() -> None:
    release = asyncio.Event()

    async def wait(seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.method == "GET":
            await asyncio.sleep(3600)
        await release.wait()
        writer.write(http(200, RUN))
        await writer.drain()
        return True

    async with calling(wait, max_starts=5, max_reads=3) as (server, api):
        reads = [asyncio.create_task(read(api)) for _ in range(6)]
        await until(lambda: server.open == 3)
        starts = [asyncio.create_task(post(api)) for _ in range(12)]
        await until(lambda: server.open == 8)
        await asyncio.sleep(0.05)
        assert (server.open, api.open_starts) == (8, 5)
        release.set()
        assert {answer.status for answer in await asyncio.gather(*starts)} == {200}
        assert server.most_open == 8
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


async def test_connections_are_renewed_each_hour_without_disturbing_what_runs() -> None:
    now = 0.0
    async with calling(answering(http(200, RUN)), clock=Clock(monotonic=lambda: now)) as (server, api):
        await read(api)
        await read(api)
        assert server.connections == 1
        now = 3601.0
        await read(api)
        assert server.connections == 2


async def test_a_connection_serves_one_request_after_the_other_and_none_is_closed_for_being_idle() -> None:
    async with calling(answering(http(200, RUN)), max_reads=12) as (server, api):
        for _round in range(4):
            await asyncio.gather(*(read(api) for _ in range(12)))
        assert server.connections <= 12
        assert len(server.requests) == 48


async def test_all_connections_share_one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    default = ssl.create_default_context

    def counted() -> ssl.SSLContext:
        made.append(default())
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    async with calling(answering(http(200, RUN)), max_reads=20, max_starts=20) as (_, api):
        await asyncio.gather(read(api), post(api))
    assert len(made) == 1


# --- What is told


async def test_each_request_is_observed_once_by_operation_and_code() -> None:
    told: list[tuple[str, str]] = []

    async def by_path(seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.method == "POST":
            await asyncio.sleep(3600)
        writer.write(http(200 if seen.path.endswith("1") else 404, REFUSAL))
        await writer.drain()
        return True

    def observe(operation: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        told.append((operation, code))

    async with calling(by_path, on_request=observe) as (_, api):
        await read(api)
        with pytest.raises(ApiNotFound):
            await api.send("get", "GET", "/extract_runs/exr_2")
        with pytest.raises(ApiUnavailable):
            await post(api, deadline=0.05)
        await asyncio.sleep(0)
    assert told == [("get", "200"), ("get", "404"), ("create", "ApiUnavailable")]


async def test_nothing_about_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with calling(answering(http(200, RUN))) as (_, api):
        await api.send("list", "GET", "/extract_runs", query={"fileNameContains": "canary"})
    assert caplog.records == []
