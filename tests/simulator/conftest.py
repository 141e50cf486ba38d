"""A running simulator and clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from extend_ai import AsyncExtend

from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings

QUICK = Settings(lifetimes=Lifetimes(median=0.05, spread=0.0, review_median=0.1))
HEADERS = {"authorization": "Bearer sk_test", "x-extend-api-version": "2026-02-09"}

Start = Callable[[Settings], Awaitable[SimulatorServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start simulators with other settings; they stop with the test."""
    async with AsyncExitStack() as stack:

        async def started(settings: Settings) -> SimulatorServer:
            return await stack.enter_async_context(SimulatorServer(settings=settings))

        yield started


@pytest.fixture
async def simulator(start: Start) -> SimulatorServer:
    """A simulator whose runs take 50 ms."""
    return await start(QUICK)


@pytest.fixture
async def http(simulator: SimulatorServer) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client with a good key and version."""
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=HEADERS, timeout=10) as client:
        yield client


@pytest.fixture
async def sdk(simulator: SimulatorServer) -> AsyncIterator[AsyncExtend]:
    """The official client."""
    async with httpx.AsyncClient(timeout=10) as client:
        yield AsyncExtend(token="sk_test", base_url=simulator.base_url, httpx_client=client)
