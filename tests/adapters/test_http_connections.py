"""How many connections there are, what they share, and when they are renewed."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from connector.clock import Clock
from tests.adapters.calling import RUN, calling, post, read, until
from tests.adapters.raw_api import Seen, answering, http


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
