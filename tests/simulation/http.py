"""Stands for ``adapters.http.HttpApi``: requests of one process, on the model of the API.

Whether a request was written, and who hears of its end, is decided by the connector's own ``Exchange``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from connector.adapters.exchange import Exchange, Late, Outcome, TakenBack
from connector.adapters.http import Operation
from connector.core.answer import Answer
from connector.core.errors import ApiError, ApiUnavailable, NotSent
from tests.simulation.api import CLEAR
from tests.simulation.machine import Machine

CONNECT_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
LATE_SECONDS = 60.0


class SimHttp:
    """The client side of one process."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._world = machine.world

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
        may_write: Callable[[], bool] | None = None,
        late: Late | None = None,
    ) -> Answer:
        """One request, once."""
        self._machine.point(operation)
        exchange = Exchange(f"{method} {path}", self._machine.process.clock.wall, may_write, late)
        loop = asyncio.get_running_loop()
        seconds = DEADLINE_SECONDS if deadline is None else deadline
        loop.call_later(seconds, exchange.abandon, f"no answer within {seconds:g} s")
        loop.call_later(self._connect_seconds(operation), self._connected, exchange, operation, path, query, body)
        outcome = await exchange.wait()
        self._machine.point(f"{operation} over")
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    @property
    def api_clock_offset(self) -> float:
        """What the answers' dates tell; the API's clock is right."""
        return -self._machine.process.wall_ahead

    def set_api_key(self, _api_key: str) -> None:
        """The model takes any."""

    async def aclose(self) -> None:
        """There is nothing to close."""

    @property
    def _cut(self) -> bool:
        return self._machine.api_cut_until > self._world.scheduler.now

    def _connect_seconds(self, operation: Operation) -> float:
        dice = self._world.dice
        if operation == "create" and dice.says("post_unreachable"):
            self._world.hit("POST unreachable", self._machine.client_id)
            # Some never reach anybody; others wait in the client for longer than the lease.
            return dice.seconds(1.0, 2 * CONNECT_SECONDS)
        return dice.seconds(0.0005, 0.02)

    def _connected(
        self,
        exchange: Exchange,
        operation: Operation,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
    ) -> None:
        if self._cut:
            loop = asyncio.get_running_loop()
            error = NotSent(f"{exchange.asked}: not sent: nobody is there.", retryable=True)
            loop.call_later(CONNECT_SECONDS, exchange.settle, error)
            return
        try:
            exchange.write()
        except TakenBack:
            exchange.settle(NotSent(f"{exchange.asked}: taken back before it was sent."))
            return
        self._machine.point(f"{operation} written")
        if operation == "create":
            self._create(exchange, path, body or b"")
            return
        self._world.scheduler.after(
            self._world.dice.seconds(0.005, 0.1),
            lambda: self._served(exchange, operation, path, query or {}),
        )

    def _create(self, exchange: Exchange, path: str, body: bytes) -> None:
        loop = self._machine.process.loop
        written_at = self._world.scheduler.now

        def reply(answer: Answer) -> None:
            if self._machine.api_cut_until > written_at:
                return  # the connection broke in between
            loop.call_soon(arrived, answer)

        def arrived(answer: Answer) -> None:
            if self._world.scheduler.now - written_at > DEADLINE_SECONDS + LATE_SECONDS:
                return
            if not exchange.settled:
                posted.heard = posted.outcome in CLEAR
                self._world.api.heard(posted)
            exchange.settle(_outcome(exchange, answer))

        posted = self._world.api.post(self._machine.client_id, path, body, reply)

    def _served(self, exchange: Exchange, operation: Operation, path: str, query: Mapping[str, str]) -> None:
        """The request reaches the API, and its answer comes back."""
        api, dice = self._world.api, self._world.dice
        outcome: Outcome
        if self._cut:
            return
        if operation != "probe" and dice.says("get_failed"):
            self._world.hit("GET failed", self._machine.client_id)
            if dice.random.random() < 0.5:
                return
            outcome = ApiUnavailable(f"{exchange.asked}: 500", status=500, retryable=True)
        elif operation == "probe":
            outcome = _outcome(exchange, api.probe())
        elif operation == "cancel":
            outcome = _outcome(exchange, api.cancel(path))
        elif operation == "list":
            outcome = _outcome(exchange, api.list(path, query))
        else:
            outcome = _outcome(exchange, api.get(path))
        loop = self._machine.process.loop
        self._world.scheduler.after(dice.seconds(0.005, 0.1), lambda: loop.call_soon(exchange.settle, outcome))


def _outcome(exchange: Exchange, answer: Answer) -> Outcome:
    return answer if answer.ok else exchange.error_of(answer)
