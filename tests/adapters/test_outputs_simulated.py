"""Outputs of parse runs by their links, against the simulated API over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from connector.adapters.download import Downloader
from connector.adapters.http import HttpApi
from connector.client import ExtendClient
from connector.core.errors import ApiUnavailable, ApiUnreadable
from connector.core.run import Run
from connector.outputs import OutputClient
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings

QUICK = Settings(lifetimes=Lifetimes(median=0.01, spread=0))


class Parsed:
    """A parse run that has ended, and clients that read it."""

    def __init__(self, simulator: SimulatorServer, client: ExtendClient, run_id: str) -> None:
        self.simulator = simulator
        self.client = client
        self.run_id = run_id

    async def read(self, max_bytes: int = 1_000_000) -> Run:
        downloader = Downloader(self.simulator.base_url, hosts=(), max_bytes=max_bytes)
        return await OutputClient(self.client, downloader.fetch).get("parse", self.run_id)

    def fault(self, rule: Rule) -> None:
        self.simulator.engine.faults.install([rule], 0.0)


@asynccontextmanager
async def parsed(*, by_url: bool = True) -> AsyncIterator[Parsed]:
    async with SimulatorServer(settings=QUICK) as simulator:
        client = ExtendClient(HttpApi(simulator.base_url, "sk_test"), outputs_by_url=by_url)
        try:
            run = await client.create("parse", {"file": {"url": "https://files.example.com/a.pdf"}})
            while (await client.get("parse", run.id)).status != "PROCESSED":  # noqa: ASYNC110 - as anybody would
                await asyncio.sleep(0.01)
            yield Parsed(simulator, client, run.id)
        finally:
            await client.aclose()


async def test_an_output_by_its_link_is_the_one_of_the_answer_byte_for_byte() -> None:
    async with parsed() as by_link:
        bare = await by_link.client.get("parse", by_link.run_id)
        assert bare.output is None
        assert bare.output_url is not None
        found = await by_link.read()
        assert found.output_url is not None
        assert found.output_url not in repr(found)
    async with parsed(by_url=False) as inline:
        assert (await inline.read()).output == found.output
        assert (await inline.read()).output_url is None


async def test_an_output_that_is_larger_than_may_be_fetched_leaves_a_run_that_says_so() -> None:
    async with parsed() as run:
        found = await run.read(max_bytes=10)
    assert (found.status, found.output, found.oversized) == ("PROCESSED", None, True)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(kind="error", action="output", status=403, count=1),
        Rule(kind="error", action="output", status=404, count=1),
        Rule(kind="throttle", action="output", retry_after="1", count=1),
        Rule(kind="reset", action="output", count=1),
        Rule(kind="truncated", action="output", count=1),
        Rule(kind="redirect", action="output", count=1),
        Rule(kind="html", action="output", count=1),
    ],
    ids=lambda rule: f"{rule.kind} {rule.status or ''}",
)
async def test_a_link_that_fails_is_repeated_with_the_next_read(rule: Rule) -> None:
    async with parsed() as run:
        run.fault(rule)
        with pytest.raises(ApiUnavailable) as error:
            await run.read()
        assert type(error.value) in {ApiUnavailable, ApiUnreadable}
        assert error.value.retryable
        assert (await run.read()).output is not None


def giving(body: bytes) -> Callable[[str], Awaitable[bytes | None]]:
    async def fetch(_: str) -> bytes | None:
        return body

    return fetch


@pytest.mark.parametrize(
    ("body", "reason", "again"),
    [(b"[" * 100 + b"]" * 100, "TOO_DEEP", False), (b"\xff", "NOT_JSON", True), (b"", "NOT_JSON", True)],
)
async def test_what_is_no_output_is_unreadable(body: bytes, reason: str, again: bool) -> None:  # noqa: FBT001 - a row of the table
    async with parsed() as run:
        with pytest.raises(ApiUnreadable) as error:
            await OutputClient(run.client, giving(body)).get("parse", run.run_id)
    assert (error.value.reason, error.value.retryable) == (reason, again)


async def test_an_output_keeps_its_bytes_and_null_is_none() -> None:
    async with parsed() as run:
        odd = await OutputClient(run.client, giving(b'{"a" : 1.50, "b":"\\u00fc"}')).get("parse", run.run_id)
        assert odd.output == b'{"a" : 1.50, "b":"\\u00fc"}'
        assert (await OutputClient(run.client, giving(b"null")).get("parse", run.run_id)).output is None


async def test_other_runs_are_read_without_a_link() -> None:
    async with SimulatorServer(settings=QUICK) as simulator:
        client = ExtendClient(HttpApi(simulator.base_url, "sk_test"), outputs_by_url=True)
        try:
            run = await client.create("extract", {"file": {"url": "https://files.example.com/a.pdf"}})
            await asyncio.sleep(0.05)
            found = await OutputClient(client, giving(b"1")).get("extract", run.id)
        finally:
            await client.aclose()
    assert found.output_url is None
    assert found.output != b"1"
