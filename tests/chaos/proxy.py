"""What stands between the workers and their brokers: a proxy that knows Kafka's frames, and holds or loses some.

One listener per broker, which advertises it as its own; brokers and the test itself talk past it. A frame is its
length, then for a request the api key, its version, a correlation id and the client's id, and for an answer the
correlation id alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Literal, NamedTuple, Self, TypeVar

from tests.ports import HOST

PRODUCE = 0
HEARTBEAT = 12
END_TXN = 26
TXN_OFFSET_COMMIT = 28

_SECONDS = 10.0
_LINGER_SECONDS = 5.0

T = TypeVar("T")

Action = Literal["delay", "lose request", "lose answer"]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Which requests are to be in trouble, and how.

    Attributes:
        api_key: Kafka's number of the request.
        action: hold the request back, and with it all that follows on its connection, as a slow network does; or
            swallow it; or let the broker carry it out and swallow its answer.
        seconds: how long ``delay`` holds it.
        count: after so many requests the rule is spent.
    """

    api_key: int
    action: Action
    seconds: float = 0.0
    count: int = 1


class Request(NamedTuple):
    """The head of a request."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A request that was in trouble.

    Attributes:
        rule: why.
        broker: whom it was meant for.
        at: when it came, in seconds since the epoch.
    """

    rule: Rule
    request: Request
    broker: int
    at: float


@dataclass(slots=True)
class _Connection:
    """One client at one broker.

    Attributes:
        lost: correlation ids whose answers are to be swallowed.
        held: a request was held here, and may be sent when its client is gone.
    """

    broker: int
    lost: set[int] = field(default_factory=set)
    held: bool = False


def head_of(frame: bytes) -> Request:
    """The head of a request, without the length before it."""
    length = int.from_bytes(frame[8:10], "big", signed=True)
    client_id = frame[10 : 10 + length].decode(errors="replace") if length > 0 else ""
    api_key, version = (int.from_bytes(frame[at : at + 2], "big") for at in (0, 2))
    return Request(api_key, version, int.from_bytes(frame[4:8], "big"), client_id)


class KafkaProxy:
    """The proxy, on an event loop in a thread of its own. Brokers count from 1, as the nodes of a cluster do.

    Attributes:
        hits: requests that were in trouble, in order.
        seen: how many requests of each api key came.
        last_broker: by api key, which broker got the last request; so who coordinates group and transactions.
    """

    def __init__(self, brokers: int) -> None:
        self.hits: list[Hit] = []
        self.seen: Counter[int] = Counter()
        self.last_broker: dict[int, int] = {}
        self.ports: tuple[int, ...] = ()
        self._brokers = brokers
        self._targets: dict[int, int] = {}
        self._rules: list[Rule] = []
        self._left: Counter[Rule] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.ports = self._call(self._listen())
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    @property
    def bootstrap_servers(self) -> str:
        """What workers are told."""
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    def aim(self, ports: Iterable[int]) -> None:
        """Say where the brokers listen, in the order of their numbers."""
        self._targets = dict(enumerate(ports, start=1))

    def add(self, rule: Rule) -> None:
        """Add a rule. Of several the first that fits and is not spent hits."""
        self._left[rule] = rule.count
        self._rules.append(rule)

    def clear(self) -> None:
        """Drop all rules. What is held is held to its end, and what was lost stays lost."""
        self._rules.clear()

    def hit_by(self, rule: Rule) -> list[Hit]:
        """What a rule has hit so far."""
        return [hit for hit in self.hits if hit.rule is rule]

    def _call(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self) -> tuple[int, ...]:
        for broker in range(1, self._brokers + 1):
            self._servers.append(await asyncio.start_server(partial(self._accept, broker), HOST, 0))
        return tuple(server.sockets[0].getsockname()[1] for server in self._servers)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _accept(self, broker: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._keep(self._serve(_Connection(broker), reader, writer))
        task.add_done_callback(lambda _: writer.transport.abort())  # also of a task that ended before its first step

    def _keep(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """One client, until it or its broker is gone."""
        try:
            from_broker, to_broker = await asyncio.open_connection(HOST, self._targets[connection.broker])
        except (KeyError, OSError):
            return
        answers = self._keep(_answers(connection, from_broker, writer))
        # Nothing is awaited once it ends: a second cancellation there would leave connections open.
        answers.add_done_callback(lambda _: to_broker.transport.abort())
        try:
            await self._requests(connection, reader, to_broker)
            if connection.held:
                await asyncio.wait([answers], timeout=_LINGER_SECONDS)
        finally:
            answers.cancel()

    async def _requests(
        self,
        connection: _Connection,
        from_client: asyncio.StreamReader,
        to_broker: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(from_client)
                request = head_of(frame)
                self.seen[request.api_key] += 1
                self.last_broker[request.api_key] = connection.broker
                rule = self._rule_for(request)
                if rule is not None:
                    self.hits.append(Hit(rule, request, connection.broker, time.time()))
                    if rule.action == "lose request":
                        continue
                    if rule.action == "lose answer":
                        connection.lost.add(request.correlation_id)
                    else:
                        # Its client may give up meanwhile. What it sent is on its way all the same, and arrives late.
                        connection.held = True
                        await asyncio.sleep(rule.seconds)
                to_broker.write(len(frame).to_bytes(4, "big") + frame)
                await to_broker.drain()

    def _rule_for(self, request: Request) -> Rule | None:
        for rule in self._rules:
            if rule.api_key == request.api_key and self._left[rule] > 0:
                self._left[rule] -= 1
                return rule
        return None


async def _answers(
    connection: _Connection,
    from_broker: asyncio.StreamReader,
    to_client: asyncio.StreamWriter,
) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            frame = await _frame(from_broker)
            correlation_id = int.from_bytes(frame[:4], "big")
            if correlation_id in connection.lost:
                connection.lost.discard(correlation_id)
                continue
            to_client.write(len(frame).to_bytes(4, "big") + frame)
            await to_client.drain()
    to_client.transport.abort()  # so the client hears that its broker is gone


async def _frame(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
