"""An answer that comes after its deadline, or after its caller has gone, is still heard."""

from __future__ import annotations

import asyncio
import random

import pytest

from connector.adapters.http import HttpApi
from connector.core.answer import Answer
from connector.core.errors import ApiError, ApiRefused, ApiUnavailable, NotSent
from tests.adapters.calling import REFUSAL, RUN, calling, post, read, until
from tests.adapters.raw_api import Seen, answering, hang, http


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
