"""HTTP servers in the running event loop, and the pages of the admin port.

These are ``/metrics``, ``/livez``, ``/readyz``, and for a worker ``/status`` and ``/status.json``. Probes are cheap and
ask nobody: the process hands in callables that say what is wrong, if anything, and how it stands. Nothing else is
served. Who can reach the port can read the metrics, so it belongs inside the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Protocol, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connector.adapters.bounded_http import IDLE_SECONDS, MOST_HEADER_BYTES, BoundedProtocol
from connector.adapters.status_page import page_of
from connector.core.errors import ConnectorError
from connector.logs import logger

Reasons = Callable[[], Iterable[str]]
"""Says what is wrong, one sentence each; nothing when all is well."""

Status = Callable[[], Mapping[str, object]]
"""Says how the worker stands: what JSON can hold, without document content and secrets."""

STOP_SECONDS = 1
"""How long open requests may still take when the server stops."""


_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


class Render(Protocol):
    """The exposition of the metrics, as ``Metrics.render`` offers it."""

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type, for a request's ``Accept``."""
        ...


def admin_app(*, render: Render, live: Reasons, ready: Reasons, status: Status | None = None) -> Starlette:
    """The pages as an application.

    Args:
        render: the metrics.
        live: why this process should be restarted.
        ready: why this process is not doing its work yet.
        status: how it stands; None where nobody would ask.
    """

    async def metrics(request: Request) -> Response:
        body, content_type = render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def livez(_: Request) -> Response:
        return _probe("livez", live)

    async def readyz(_: Request) -> Response:
        return _probe("readyz", ready)

    pages = {"/metrics": metrics, "/livez": livez, "/readyz": readyz}
    app = Starlette(
        routes=[Route(path, page) for path, page in pages.items()] + _status_pages(status),
        exception_handlers={HTTPException: _empty},
    )
    app.router.redirect_slashes = False
    return app


def _status_pages(status: Status | None) -> list[Route]:
    if status is None:
        return []

    async def status_json(_: Request) -> Response:
        return _status(status, JSONResponse)

    async def status_page(_: Request) -> Response:
        return _status(status, lambda found, headers: HTMLResponse(page_of(found), headers=headers))

    return [Route("/status", status_page), Route("/status.json", status_json)]


def _probe(name: str, reasons: Reasons) -> Response:
    try:
        wrong = list(reasons())
    except Exception as error:  # noqa: BLE001 - a check that breaks is itself a reason, and must be seen
        logger.warning("A health check failed to answer.", check=name, exc_info=True)
        wrong = [f"The check itself failed: {type(error).__name__}."]
    if not wrong:
        return PlainTextResponse("ok\n")
    return PlainTextResponse("".join(f"{reason}\n" for reason in wrong), status_code=503)


def _status(status: Status, answer: Callable[..., Response]) -> Response:
    try:
        return answer(status(), headers=_HEADERS)
    except Exception as error:  # noqa: BLE001 - as above; its text may hold anything
        logger.warning("status_failed", exc_info=True)
        return PlainTextResponse(f"The status itself failed: {type(error).__name__}.\n", status_code=503)


async def _empty(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return Response(status_code=status, headers=headers)


class _QuietServer(uvicorn.Server):
    """Uvicorn without signal handlers: the worker owns SIGTERM and decides when this server stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Server:
    """One application on one port, in the running event loop.

    Use it as ``async with Server(app, host, port) as server``; ``server.port`` is then the bound port.

    Args:
        app: the ASGI application.
        host: the address to listen on, e.g. ``0.0.0.0`` or ``127.0.0.1``.
        port: the port; 0 takes a free one.
        key: the configuration key that names the port, for the error.
        bounded: strangers reach the port: everything that waits has an end.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, key: str = "admin.port", bounded: bool = False) -> None:
        self.host = host
        self.port = port
        self._key = key
        config = uvicorn.Config(
            app,
            loop="none",
            http=BoundedProtocol if bounded else "h11",
            h11_max_incomplete_event_size=MOST_HEADER_BYTES if bounded else None,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS if bounded else 75,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = _QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; return once requests are answered.

        Raises:
            ConnectorError: the address cannot be listened on.
        """
        listener = self._bind()
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name=f"http:{self.port}")
        # Listening takes a turn of the loop or two, so this does not spin.
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0)
        if self._task.done():
            listener.close()
            await self._task

    async def stop(self) -> None:
        """Stop listening, let open requests end for at most a second, and return."""
        if self._task is None:
            return
        self._server.should_exit = True
        task, self._task = self._task, None
        await task

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _bind(self) -> socket.socket:
        # Bound here and not by uvicorn, which ends the process when a port is taken.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        except (OSError, OverflowError) as error:
            raise ConnectorError(
                f"{self._key}: cannot listen on {self.host} port {self.port} ({error}). "
                f"Stop what uses that port, or set {self._key} to another one (0 takes a free one).",
            ) from error
        # Sockets inherit it. asyncio sets it only on sockets that name their protocol, and these do not: every answer
        # on a kept connection would take 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.settimeout(0)
        return listener
