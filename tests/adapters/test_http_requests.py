"""What every request carries, and what is told about it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from connector.adapters.http import HttpApi
from connector.clock import Clock
from connector.core.errors import ApiNotFound, ApiUnavailable
from tests.adapters.calling import BODY, KEY, REFUSAL, RUN, calling, post, read
from tests.adapters.raw_api import RawApi, Seen, answering, http


async def test_the_clock_of_the_api_is_known_by_its_newest_answer() -> None:
    wall = Clock(wall=lambda: 1_000.0)
    for headers, offset in (({"Date": "Thu, 01 Jan 1970 01:16:40 GMT"}, 3600.0), ({}, 0.0), ({"Date": "soon"}, 0.0)):
        async with calling(answering(http(200, RUN, **headers)), clock=wall) as (_, api):
            assert api.api_clock_offset == 0.0
            await read(api)
            assert api.api_clock_offset == offset


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
