"""The simulator as a server in the running event loop, for tests, the demo and the command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Receive, Scope, Send

from connector.clock import Clock
from connector.simulator.app import SimulatorApp
from connector.simulator.engine import Engine
from connector.simulator.settings import Settings

_BACKLOG = 2048
_TICK_SECONDS = 0.02
"""How often the runs are looked at without a request: webhooks leave then."""


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: signals belong to whoever owns the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    def transport_of(self, client: object) -> asyncio.Transport | None:
        """The transport of the connection with this peer, or None when it is gone."""
        for protocol in self.server_state.connections:
            if getattr(protocol, "client", None) == client:
                transport: asyncio.Transport = protocol.transport
                return transport
        return None


class SimulatorServer:
    """``async with SimulatorServer() as simulator: … simulator.base_url``.

    Args:
        host: address to listen on.
        port: port; 0 takes a free one.
        settings: what to simulate.
        clock: the time.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._settings = settings or Settings()
        self._clock = clock or Clock()

    @property
    def base_url(self) -> str:
        """Where it answers, e.g. ``http://127.0.0.1:41017``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: the port cannot be taken, or the ledger cannot be opened.
        """
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        try:
            self.engine = Engine(self._settings, self._clock)
        except OSError:
            listener.close()
            raise
        self._server = _Uvicorn(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                lifespan="off",
                proxy_headers=False,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=75,
            ),
        )
        self._app = SimulatorApp(self.engine, self._server.transport_of)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        up = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({up, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._serving.done():
            self.engine.close()
            await self._serving
        self._postman = self.engine.deliver_webhooks(self.base_url)
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening, end every open request, close the ledger."""
        self._ticking.cancel()
        await self._postman.close()
        self._app.close()
        self._server.should_exit = True
        await self._serving
        self.engine.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.engine.store.advance(self._clock.wall_ms())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server needs an application, the application the server's connections: one of them must come second.
        await self._app(scope, receive, send)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Bound here, because Uvicorn would end the process when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol spelled out asyncio sets TCP_NODELAY on accepted connections. `socket.create_server` leaves it
    # at 0, and every answer then waits 40 ms for a delayed acknowledgement (measured).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
