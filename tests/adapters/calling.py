"""Calls through the adapter to servers that misbehave on real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from connector.adapters.http import HttpApi
from connector.core.answer import Answer
from connector.core.errors import ApiError
from tests.adapters.raw_api import Behaviour, RawApi

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


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.01)


# --- What is sent
