"""One address for several webhook ingresses, as a load balancer gives it: in turn, and the dead are passed over."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from tests.ports import HOST

_SECONDS = 10.0
_BYTES = 65_536


class Balancer:
    """It passes bytes on, on an event loop in a thread of its own.

    Attributes:
        port: where it listens.
        passed: connections that each of the servers got.
    """

    def __init__(self, targets: Sequence[int]) -> None:
        """Nobody listens yet.

        Args:
            targets: ports of the servers; whoever does not listen is passed over.
        """
        self.passed = dict.fromkeys(targets, 0)
        self._turns = deque(targets)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._listening: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="balancer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._listening.result(_SECONDS)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        async with await asyncio.start_server(self._serve, HOST, 0) as server:
            self._listening.set_result(server.sockets[0].getsockname()[1])
            await self._over.wait()

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.closing(to_client), contextlib.suppress(OSError):
            from_server, to_server = await self._connect()
            await asyncio.gather(_pass(from_client, to_server), _pass(from_server, to_client))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to whose turn it is.

        Raises:
            OSError: nobody listens.
        """
        self._turns.rotate()
        for port in tuple(self._turns):
            with contextlib.suppress(OSError):
                found = await asyncio.open_connection(HOST, port)
                self.passed[port] += 1
                return found
        raise ConnectionRefusedError("nobody listens")


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Everything that comes, until its end; then the other side hears of it too."""
    with contextlib.closing(sink), contextlib.suppress(OSError):
        while data := await source.read(_BYTES):
            sink.write(data)
            await sink.drain()
