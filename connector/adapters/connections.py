"""Many pools of one connection behind one gate. None of their slots is ever lost to a request that hangs.

Measured with httpx 0.28: a cancelled request may lose its slot for ever, requests that queue inside the pool
make it collapse, and a request looks at every connection of its pool, several times. So requests are never
cancelled, nothing queues inside, pools are as small as can be, and one with an abandoned request in it is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, Protocol, TypeVar

from connector.adapters.exchange import Exchange, Outcome
from connector.logs import logger

CONNECTIONS = 1
"""Of one transport. With 10, httpcore polls the socket of each idle one twice per request: 1.3 to 1.7 times the CPU."""

RENEW_AFTER = 3600.0
"""Seconds after which a transport is replaced: httpx 0.28 loses a slot now and then even when nothing is
cancelled."""


class Transport(Protocol):
    """What can be closed."""

    async def aclose(self) -> None:
        """Close every connection; requests that run end with an error."""


T = TypeVar("T", bound=Transport)
Perform = Callable[[T], Coroutine[object, object, Outcome]]
"""Does the request over a transport. Its errors are values; what it raises is a bug, and still an end."""


class _Connections(Generic[T]):
    """One transport and the requests that run over it."""

    def __init__(self, transport: T, born: float) -> None:
        self.transport = transport
        self.born = born
        self.retired = False
        self.grace: asyncio.TimerHandle | None = None
        self.closed = False
        self.running: set[Exchange] = set()


class ConnectionPool(Generic[T]):
    """Runs at most ``size`` requests at once.

    Attributes:
        gate: to be passed before ``run``; ``run`` sees to its release.
        waited_for: requests whose callers have not been told yet.
    """

    def __init__(self, size: int, make: Callable[[int], T], monotonic: Callable[[], float], grace: float) -> None:
        """Make the transports.

        Args:
            size: requests at once.
            make: makes a transport of so many connections.
            monotonic: seconds.
            grace: seconds that abandoned requests may go on before their connections are closed.
        """
        self.gate = asyncio.Semaphore(size)
        self.waited_for = 0
        self._make = make
        self._monotonic = monotonic
        self._grace = grace
        count = -(-size // CONNECTIONS)
        self._limit = -(-size // count)
        self._active = [self._new() for _ in range(count)]
        self._retired: set[_Connections[T]] = set()
        self._requests: set[asyncio.Task[Outcome]] = set()
        self._closers: set[asyncio.Task[None]] = set()

    def run(self, exchange: Exchange, perform: Perform[T], ends: float, why: str) -> None:
        """Start a request for which the gate was passed.

        Args:
            exchange: told about its end.
            perform: the request.
            ends: loop time at which it is abandoned.
            why: what its caller is told then.
        """
        connections = self._pick()
        connections.running.add(exchange)
        self.waited_for += 1

        def abandon() -> None:
            exchange.abandon(why)
            self._leave()
            self._retire(connections)

        def ended(task: asyncio.Task[Outcome]) -> None:
            timer.cancel()
            connections.running.discard(exchange)
            if not exchange.settled:
                self._leave()
            if connections.retired:
                self._retire(connections)
            if task.cancelled():  # only ``aclose`` cancels, and it has told the caller
                return
            bug = task.exception()
            if bug is None:
                exchange.settle(task.result())
            else:
                logger.error("A request ended by an unforeseen error.", asked=exchange.asked, error=type(bug).__name__)
                exchange.fail(f"it ended by {type(bug).__name__}")

        timer = asyncio.get_running_loop().call_at(ends, abandon)
        _spawn(self._requests, perform(connections.transport)).add_done_callback(ended)

    def renew(self, transport: T) -> None:
        """Replace a transport that seems to have lost slots."""
        for connections in tuple(self._active):
            if connections.transport is transport:
                self._retire(connections)

    async def aclose(self) -> None:
        """End what runs, then close. Cancelling does no harm here: the pools go with their slots."""
        everything = {*self._active, *self._retired}
        for connections in everything:
            for exchange in connections.running:
                if not exchange.settled:
                    self._leave()
                exchange.close()
        requests = tuple(self._requests)
        for task in requests:
            task.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        for connections in everything:
            self._close(connections)
        await asyncio.gather(*self._closers)

    def _leave(self) -> None:
        self.waited_for -= 1
        self.gate.release()

    def _new(self) -> _Connections[T]:
        return _Connections(self._make(self._limit), self._monotonic())

    def _pick(self) -> _Connections[T]:
        now = self._monotonic()
        for connections in tuple(self._active):
            if now - connections.born > RENEW_AFTER:
                self._retire(connections)
        # The gate admits as many as there is room for, and what runs over retired ones takes no room.
        return next(each for each in self._active if len(each.running) < self._limit)

    def _retire(self, connections: _Connections[T]) -> None:
        """Replace at once; close once nobody waits for its requests, and abandoned ones had their grace."""
        if not connections.retired:
            connections.retired = True
            self._active.remove(connections)
            self._active.append(self._new())
            self._retired.add(connections)
        if any(not exchange.settled for exchange in connections.running):
            return
        if not connections.running or not self._grace:
            self._close(connections)
        elif connections.grace is None:
            loop = asyncio.get_running_loop()
            connections.grace = loop.call_later(self._grace, self._close, connections)

    def _close(self, connections: _Connections[T]) -> None:
        if connections.closed:
            return
        connections.closed = True
        self._retired.discard(connections)
        if connections.grace is not None:
            connections.grace.cancel()
        _spawn(self._closers, connections.transport.aclose())


Result = TypeVar("Result")


def _spawn(tasks: set[asyncio.Task[Result]], work: Coroutine[object, object, Result]) -> asyncio.Task[Result]:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)  # the loop itself keeps weak references only
    task.add_done_callback(tasks.discard)
    return task
