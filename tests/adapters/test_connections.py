"""Races that no server can be made to run on time: the exchange and its pool, step by step."""

from __future__ import annotations

import asyncio

import pytest

from connector.adapters.connections import RENEW_AFTER, ConnectionPool
from connector.adapters.exchange import Exchange, Outcome, TakenBack
from connector.core.answer import Answer
from connector.core.errors import ApiThrottled, ApiUnavailable, NotSent


class Transport:
    """Can be closed, once."""

    def __init__(self, made: list[Transport]) -> None:
        self.closed = 0
        made.append(self)

    async def aclose(self) -> None:
        self.closed += 1


def exchange(heard: list[Outcome] | None = None) -> Exchange:
    return Exchange("POST /x", lambda: 0.0, None, None if heard is None else heard.append)


async def test_a_request_that_was_given_up_before_it_was_written_never_will_be() -> None:
    """The connection may come up right after the deadline: the caller was told that nothing was sent."""
    heard: list[Outcome] = []
    given_up = exchange(heard)
    given_up.abandon("no answer within 1 s")
    assert isinstance(await given_up.wait(), NotSent)
    with pytest.raises(TakenBack):
        given_up.write()
    given_up.settle(NotSent("taken back"))
    assert heard == [], "the caller knows for certain already"


async def test_a_request_that_was_written_cannot_be_taken_back() -> None:
    heard: list[Outcome] = []
    written = exchange(heard)
    written.write()
    written.abandon("no answer within 1 s")
    assert type(await written.wait()) is ApiUnavailable
    answer = Answer(200, {}, b"{}")
    written.settle(answer)
    written.settle(answer)
    assert heard == [answer], "once"


async def test_a_caller_cancelled_in_the_step_of_its_answer_loses_nothing() -> None:
    heard: list[Outcome] = []
    racing = exchange(heard)
    caller = asyncio.create_task(racing.wait())
    await asyncio.sleep(0)
    racing.settle(Answer(200))
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert heard == [Answer(200)]


async def test_a_deserted_request_that_was_never_written_ends_as_not_sent_at_its_deadline() -> None:
    heard: list[Outcome] = []
    deserted = exchange(heard)
    caller = asyncio.create_task(deserted.wait())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    deserted.abandon("no answer within 1 s")
    assert [type(end) for end in heard] == [NotSent]


async def test_a_deserted_request_that_was_written_is_reported_when_it_really_ends() -> None:
    heard: list[Outcome] = []
    deserted = exchange(heard)
    deserted.write()
    caller = asyncio.create_task(deserted.wait())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    deserted.abandon("no answer within 1 s")
    assert heard == []
    deserted.settle(Answer(201))
    assert heard == [Answer(201)]


async def test_the_deadline_knows_a_status_that_has_arrived() -> None:
    throttled = exchange()
    throttled.write()
    throttled.head = Answer(429, {"retry-after": "3"})
    throttled.abandon("no answer within 1 s")
    assert isinstance(await throttled.wait(), ApiThrottled)


async def run_one(pool: ConnectionPool[Transport], work: asyncio.Future[Outcome], seconds: float = 5.0) -> Exchange:
    """Start a request whose end is this future."""
    one = exchange()

    async def perform(_: Transport) -> Outcome:
        one.write()
        return await work

    await pool.gate.acquire()
    pool.run(one, perform, asyncio.get_running_loop().time() + seconds, "no answer")
    await asyncio.sleep(0)
    return one


async def test_an_abandoned_request_has_its_connection_replaced_at_once_and_its_neighbours_go_on() -> None:
    made: list[Transport] = []
    pool = ConnectionPool(2, lambda _: Transport(made), lambda: 0.0, 0.0)
    loop = asyncio.get_running_loop()
    hangs: asyncio.Future[Outcome] = loop.create_future()
    works: asyncio.Future[Outcome] = loop.create_future()
    hanging = await run_one(pool, hangs, 0.02)
    neighbour = await run_one(pool, works)
    assert type(await hanging.wait()) is ApiUnavailable
    await asyncio.sleep(0.01)
    assert [each.closed for each in made] == [1, 0, 0]
    works.set_result(Answer(200))
    assert await neighbour.wait() == Answer(200)
    await asyncio.sleep(0.01)
    assert (pool.gate._value, pool.waited_for) == (2, 0)
    hangs.set_result(Answer(200))
    await asyncio.sleep(0.01)
    await pool.aclose()
    assert [each.closed for each in made] == [1, 1, 1], "each once"


async def test_an_old_connection_is_replaced_and_closed_after_its_request() -> None:
    made: list[Transport] = []
    now = 0.0
    pool = ConnectionPool(2, lambda _: Transport(made), lambda: now, 0.0)
    first: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    second: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    running = await run_one(pool, first)
    now = RENEW_AFTER + 1
    other = await run_one(pool, second)
    await asyncio.sleep(0.01)
    assert [each.closed for each in made] == [0, 1, 0, 0], "the idle one is closed, the other's request goes on"
    first.set_result(Answer(200))
    second.set_result(Answer(200))
    assert [await each.wait() for each in (running, other)] == [Answer(200), Answer(200)]
    await asyncio.sleep(0.01)
    assert [each.closed for each in made] == [1, 1, 0, 0]
    await pool.aclose()
    assert [each.closed for each in made] == [1, 1, 1, 1], "each once"


async def test_an_unforeseen_error_is_an_end_too() -> None:
    """A caller that waits for ever would hold its document for ever."""
    made: list[Transport] = []
    pool = ConnectionPool(1, lambda _: Transport(made), lambda: 0.0, 0.0)
    broken = exchange()

    async def perform(_: Transport) -> Outcome:
        broken.write()
        raise ZeroDivisionError("canary")

    await pool.gate.acquire()
    pool.run(broken, perform, asyncio.get_running_loop().time() + 5, "no answer")
    outcome = await broken.wait()
    assert type(outcome) is ApiUnavailable
    assert "canary" not in str(outcome)
    assert pool.gate._value == 1
    await pool.aclose()


async def test_a_pool_that_lost_a_slot_is_replaced() -> None:
    made: list[Transport] = []
    pool = ConnectionPool(3, lambda _: Transport(made), lambda: 0.0, 0.0)
    assert len(made) == 3
    pool.renew(made[1])
    pool.renew(made[1])
    await asyncio.sleep(0.01)
    assert [each.closed for each in made] == [0, 1, 0, 0]
    await pool.aclose()
