"""HTTP as the connector needs it, over httpx: certain about what was sent, and no call without an end.

* A **total** deadline: httpx's own timeouts start anew with every byte of a slow answer.
* Whether the request began to be written is known for certain, from the trace events of httpcore. A deadline that hits
  before takes the request back: it will not be written later either.
* A request is never cancelled (``connector.adapters.connections`` says why): a late answer can still be heard.
* Nothing is ever retried here.

The transport is used without ``httpx.AsyncClient``: no cookies, no redirects, no proxies from the environment, and no
log line with the address of a request in it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, cast
from urllib.parse import urlencode

import httpx

from connector import __version__
from connector.adapters.connections import ConnectionPool
from connector.adapters.exchange import Exchange, Late, Outcome, TakenBack
from connector.clock import Clock
from connector.core.answer import Answer
from connector.core.errors import ApiError, ApiUnavailable, ApiUnreadable, NotSent

Operation = Literal["create", "get", "list", "cancel", "sync", "probe"]
"""What a request is for: a closed set, because it labels metrics."""

Observer = Callable[[str, str, float], None]
"""``(operation, code, seconds)``; ``code`` is the HTTP status, or the class of the error without one."""

API_VERSION = "2026-02-09"
CONNECT_TIMEOUT = 5.0
MAX_ERROR_BODY = 64 * 1024

_STARTS = frozenset({"create", "sync", "probe"})  # with connections of their own: reads never delay a start
_SMALL = frozenset({"create", "probe"})  # a run that has just begun has no output
_HEADER_VALUE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEY = re.compile(r"[\x21-\x7e]{1,512}")
_BASE_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


class HttpApi:
    """Sends requests to one base URL, each once, and says exactly what became of it.

    To be used within one event loop. Of the content of requests and answers nothing is logged or put into
    errors, apart from code and sentence of the API's own error body.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_version: str = API_VERSION,
        workspace_id: str | None = None,
        *,
        max_starts: int = 32,
        max_reads: int = 40,
        deadline: float = 30.0,
        max_start_body: int = 4 * 1024 * 1024,
        max_read_body: int = 64 * 1024 * 1024,
        late_grace: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        on_request: Observer | None = None,
    ) -> None:
        """Prepare; no connection is made yet.

        Args:
            base_url: ``https://api.extend.ai``, without a query.
            api_key: sent as bearer token; see ``set_api_key``.
            api_version: the version header, on every request.
            workspace_id: the workspace header, for keys of a whole organisation.
            max_starts: POSTs that start runs, open at once.
            max_reads: reads, lists and cancels open at once.
            deadline: seconds for a call that brings none of its own.
            max_start_body: bytes of an answer to a create.
            max_read_body: bytes of any other answer.
            late_grace: seconds that an abandoned start may still answer, for ``late``.
            ssl_context: instead of the system's certificates.
            clock: measures durations, and dates answers without a ``Date``.
            on_request: told once about each call, in the step after its end.

        Raises:
            ValueError: the address or a header value is not usable; the message never shows the key.
        """
        if not _BASE_URL.fullmatch(base_url):
            raise ValueError("base_url must be http(s)://host[:port][/path], without user name and query.")
        for name, value in (("api_version", api_version), ("workspace_id", workspace_id)):
            if value is not None and not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name} may hold up to 128 letters, digits, '.', '_' and '-' only.")
        self._base_url = base_url.rstrip("/")
        self._deadline = deadline
        self._max_start_body = max_start_body
        self._max_read_body = max_read_body
        self._clock = clock or Clock()
        self._on_request = on_request
        self._closed = False
        self.api_clock_offset = 0.0
        """Seconds that the API's clock is ahead of ours, by the ``Date`` of its newest answer; 0 until one has it."""
        self._headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"extend-kafka-connector/{__version__}",
            "x-extend-api-version": api_version,
        }
        if workspace_id is not None:
            self._headers["x-extend-workspace-id"] = workspace_id
        self.set_api_key(api_key)
        context = ssl_context or ssl.create_default_context()

        def transports(keep_alive: float) -> Callable[[int], httpx.AsyncHTTPTransport]:
            # keep-alive = max: httpx compares its keep-alive limit with all connections, not with the idle
            # ones.
            return lambda limit: httpx.AsyncHTTPTransport(
                verify=context,
                limits=httpx.Limits(
                    max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=keep_alive
                ),
                trust_env=False,
            )

        # A POST on a connection that the server has just closed is unclear: idle start connections are
        # dropped long before a usual server would (60 s).
        monotonic = self._clock.monotonic
        self._starts = ConnectionPool(max_starts, transports(15.0), monotonic, late_grace)
        self._reads = ConnectionPool(max_reads, transports(50.0), monotonic, 0.0)

    def set_api_key(self, api_key: str) -> None:
        """Use another key from the next request on.

        Raises:
            ValueError: the key is empty, or holds spaces, line ends or non-ASCII characters.
        """
        if not _KEY.fullmatch(api_key):
            raise ValueError("The API key must be one line of printable ASCII without spaces.")
        self._headers["authorization"] = f"Bearer {api_key}"

    @property
    def open_starts(self) -> int:
        """POSTs that start runs and whose callers have not been told yet."""
        return self._starts.waited_for

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
        """Send one request, once. Cancelling the caller does not cancel a request that is under way.

        Args:
            operation: what it is for.
            method: ``GET`` or ``POST``.
            path: from the base URL on, quoted.
            query: parameters, not quoted.
            body: JSON bytes, or None.
            deadline: seconds from now for everything, the wait for a connection included.
            may_write: asked in the very step in which the body would begin to be written; False takes the
                request back (``NotSent``). The place for a last look at a lease.
            late: gets the end of a request whose caller was cancelled, or was told ``ApiUnavailable`` because
                the deadline passed after it was written. Called at most once, and not by ``aclose``.

        Returns:
            A 2xx answer.

        Raises:
            NotSent: certain: the request was not written.
            ApiThrottled: 429.
            ApiRefused: another 4xx with the API's own error body (``ApiForbidden``, ``ApiNotFound``).
            ApiUnreadable: a 2xx answer that is too large or encoded.
            ApiUnavailable: everything else. A POST is unclear then.
        """
        loop = asyncio.get_running_loop()
        start = self._clock.monotonic()
        seconds = self._deadline if deadline is None else deadline
        ends = loop.time() + seconds
        why = f"no answer within {seconds:g} s"
        pool = self._starts if operation in _STARTS else self._reads
        limit = self._max_start_body if operation in _SMALL else self._max_read_body
        exchange = Exchange(f"{method} {path}", self._clock.wall, may_write, late)
        wire = _Wire(exchange, has_body=bool(body))
        request = self._request(wire, method, path, query, body)

        async def perform(transport: httpx.AsyncHTTPTransport) -> Outcome:
            try:
                return await _perform(exchange, transport, request, limit)
            except httpx.PoolTimeout:
                pool.renew(transport)
                return NotSent(f"{exchange.asked}: not sent: the pool had no free slot.", retryable=True)
            except asyncio.CancelledError:  # by ``aclose`` alone
                await wire.close()
                raise

        exchange.outcome.add_done_callback(lambda done: self._observe(operation, done.result(), start))
        try:
            async with asyncio.timeout_at(ends):
                await pool.gate.acquire()
        except TimeoutError:
            exchange.abandon(f"no connection was free within {seconds:g} s")
        except asyncio.CancelledError:
            exchange.desert()
            raise
        else:
            if self._closed:
                pool.gate.release()
                exchange.close()
            else:
                pool.run(exchange, perform, ends, why)
        outcome = await exchange.wait()
        if isinstance(outcome, ApiError):
            raise outcome
        if outcome.date is not None:
            self.api_clock_offset = outcome.date - self._clock.wall()
        return outcome

    async def aclose(self) -> None:
        """Close all connections. Requests that run end as unclear, or as not sent where that is certain."""
        self._closed = True
        await asyncio.gather(self._starts.aclose(), self._reads.aclose())

    def _request(
        self,
        wire: _Wire,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
    ) -> httpx.Request:
        url = f"{self._base_url}{path}?{urlencode(query)}" if query else f"{self._base_url}{path}"
        headers = self._headers if body is None else {**self._headers, "content-type": "application/json"}
        # No read and write timeouts: the deadline ends the call anyway, and they lose slots (measured).
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT, pool=CONNECT_TIMEOUT)
        extensions = {"timeout": timeout.as_dict(), "trace": wire.trace}
        return httpx.Request(method, url, headers=headers, content=body, extensions=extensions)

    def _observe(self, operation: Operation, outcome: Outcome, start: float) -> None:
        if self._on_request is not None:
            code = type(outcome).__name__ if outcome.status is None else str(outcome.status)
            self._on_request(operation, code, self._clock.monotonic() - start)


class _Wire:
    """What httpcore's trace events say about one request: they are awaited before and after each step."""

    def __init__(self, exchange: Exchange, *, has_body: bool) -> None:
        self._exchange = exchange
        self._has_body = has_body
        self._stream: _Stream | None = None

    async def trace(self, name: str, info: Mapping[str, object]) -> None:
        """The hook. What it raises ends the request before that step."""
        if name == "connection.connect_tcp.complete":
            self._stream = cast("_Stream", info["return_value"])
        elif name == "http11.send_request_headers.started" and self._has_body:
            self._exchange.check()  # ``may_write`` has its say at the body: with headers alone nothing can be done
        elif name == "http11.send_request_headers.started" or (
            name == "http11.send_request_body.started" and self._has_body
        ):
            self._exchange.write()

    async def close(self) -> None:
        """Close the connection if it was made for this request: in a handshake, httpcore would forget it."""
        if self._stream is not None:
            await self._stream.aclose()


class _Stream(Protocol):
    async def aclose(self) -> None: ...


async def _perform(
    exchange: Exchange, transport: httpx.AsyncHTTPTransport, request: httpx.Request, limit: int
) -> Outcome:
    """Send and read. Raises httpx.PoolTimeout and nothing else."""
    try:
        response = await transport.handle_async_request(request)
        try:
            return await _read(exchange, response, limit)
        finally:
            await response.aclose()
    except httpx.PoolTimeout:
        raise
    except TakenBack:
        return NotSent(f"{exchange.asked}: taken back before it was sent.")
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        if exchange.head is not None and not exchange.head.ok:
            return exchange.error_of(exchange.head)  # only its body is torn; the status is the answer
        if not exchange.written:
            return NotSent(f"{exchange.asked}: not sent: {_why(error)}.", retryable=True)
        # The error's text may hold bytes of the answer: its class must do.
        name = type(error).__name__
        return ApiUnavailable(f"{exchange.asked}: sent, but no whole answer came ({name}).", retryable=True)


async def _read(exchange: Exchange, response: httpx.Response, limit: int) -> Outcome:
    head = Answer(response.status_code, dict(response.headers))
    exchange.head = head
    encoded = head.headers.get("content-encoding", "identity") != "identity"
    if encoded and head.ok:
        # It was not asked for, and decoding would let 300 KB become 300 MB.
        text = f"{exchange.asked}: the answer is encoded, which was not asked for."
        return ApiUnreadable(text, reason="ENCODED", status=head.status)
    if encoded:
        return exchange.error_of(head)
    body = await _body(response, limit if head.ok else MAX_ERROR_BODY)
    if body is None and head.ok:
        text = f"{exchange.asked}: the answer is larger than {limit} bytes."
        return ApiUnreadable(text, reason="TOO_LARGE", status=head.status)
    answer = Answer(head.status, head.headers, body or b"")
    return answer if answer.ok else exchange.error_of(answer)


async def _body(response: httpx.Response, limit: int) -> bytes | None:
    """The whole body, or None when it is larger than ``limit`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


def _why(error: BaseException) -> str:
    """The system's or TLS's own words below an httpx error. Nothing was sent, so they hold no content."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
