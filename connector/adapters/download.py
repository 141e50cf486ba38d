"""Bytes that the API keeps elsewhere, behind a presigned link: one GET that carries nothing of ours.

A connection of its own for each: the link's host changes, outputs are seldom and large, and a connection that is
thrown away may be cancelled (``adapters/connections.py`` says what cancelling does to one that is kept).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx

from connector.clock import Clock
from connector.core.budgets.retry import retry_after
from connector.core.errors import ApiError, ApiUnavailable, ApiUnreadable
from connector.core.output_link import Link, LinkRefused, is_public, link_of
from connector.logs import logger

AT_ONCE = 4
"""Downloads at one time: each may hold ``max_bytes``."""
CONNECT_SECONDS = 5.0
TURN_SECONDS = 5.0
"""How long a download waits for its turn. Looks at other runs must not wait behind a storage that hangs."""
MAX_HOSTS_TOLD = 20

_ASKED = "GET (the output's link)"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Observer = Callable[[str, str, float], None]


class Downloader:
    """Fetches outputs. Whatever goes wrong with the storage is a read that may be repeated, never the API's refusal."""

    def __init__(
        self,
        base_url: str,
        *,
        hosts: Sequence[str],
        max_bytes: int,
        deadline: float = 60.0,
        clock: Clock | None = None,
        on_request: Observer | None = None,
        resolve: Resolve | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        """Prepare; nothing is connected.

        Args:
            base_url: of the API, whose own origin may be asked.
            hosts: other hosts that may be asked.
            max_bytes: bytes of the largest output that is read.
            deadline: seconds for one download, once it is its turn.
            clock: measures durations.
            on_request: told about each download, as by ``HttpApi``.
            resolve: finds the addresses of a host.
            transport: makes a connection, instead of httpx's own.
        """
        context = ssl.create_default_context()
        self._base_url = base_url
        self._hosts = hosts
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._clock = clock or Clock()
        self._on_request = on_request
        self._resolve = resolve or _addresses
        self._transport = transport or (lambda: httpx.AsyncHTTPTransport(verify=context, trust_env=False))
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._told: set[str] = set()

    async def fetch(self, url: str) -> bytes | None:
        """The bytes behind a link; None when they are more than may be read.

        Raises:
            ApiUnavailable: the link is not followed, or nothing whole came. The run has a new link at its next GET.
            ApiUnreadable: what came is encoded.
        """
        link = self._link(url)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._gate.acquire()
        except TimeoutError:
            raise ApiUnavailable(f"{_ASKED}: not sent: others are being read.", retryable=True) from None
        try:
            return await self._timed(link)
        finally:
            self._gate.release()

    async def _timed(self, link: Link) -> bytes | None:
        start, code = self._clock.monotonic(), "200"
        try:
            async with asyncio.timeout(self._deadline):
                return await self._fetch(link)
        except TimeoutError:
            code = ApiUnavailable.__name__
            raise ApiUnavailable(f"{_ASKED}: no whole answer within {self._deadline:g} s.", retryable=True) from None
        except ApiError as error:
            code = type(error).__name__ if error.status is None else str(error.status)
            raise
        finally:
            if self._on_request is not None:
                self._on_request("output", code, self._clock.monotonic() - start)

    def _link(self, url: str) -> Link:
        try:
            return link_of(url, self._base_url, self._hosts)
        except LinkRefused as error:
            self._tell(error)
            raise ApiUnavailable(f"{_ASKED}: not followed: {error}.", retryable=True) from None

    def _tell(self, refused: LinkRefused) -> None:
        if refused.host not in self._told and len(self._told) < MAX_HOSTS_TOLD:
            self._told.add(refused.host)
            logger.error("output_link_refused", host=refused.host[:255], reason=str(refused), then="it is tried again")

    async def _fetch(self, link: Link) -> bytes | None:
        host = link.host if link.trusted else await self._public_address(link)
        request = httpx.Request(
            "GET",
            httpx.URL(scheme=link.scheme, host=host, port=link.port, path="/"),
            # No key and no name: whoever keeps the bytes learns nothing but the link.
            headers={"host": link.authority, "accept-encoding": "identity"},
            extensions={
                "target": link.target.encode("ascii"),  # byte for byte: it was signed
                "sni_hostname": link.host,
                "timeout": httpx.Timeout(None, connect=CONNECT_SECONDS).as_dict(),
            },
        )
        transport = self._transport()
        try:
            response = await transport.handle_async_request(request)
            try:
                return await self._read(response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise ApiUnavailable(f"{_ASKED}: no whole answer came ({type(error).__name__}).", retryable=True) from None
        finally:
            await transport.aclose()

    async def _public_address(self, link: Link) -> str:
        """The address to connect to. It is looked up once and then used, so that no second answer can replace it."""
        try:
            addresses = await self._resolve(link.host, link.port)
        except (OSError, UnicodeError):  # the latter for names that no resolver is asked about: a..example.com
            raise ApiUnavailable(f"{_ASKED}: its host has no address.", retryable=True) from None
        if not addresses or not all(map(is_public, addresses)):
            refused = LinkRefused("its host has an address that is not public", link.host)
            self._tell(refused)
            raise ApiUnavailable(f"{_ASKED}: not followed: {refused}.", retryable=True)
        return addresses[0]

    async def _read(self, response: httpx.Response) -> bytes | None:
        status = response.status_code
        if status != httpx.codes.OK:
            wait = retry_after({name.lower(): text for name, text in response.headers.items()}, self._clock.wall())
            text = f"{_ASKED}: {status} was answered."
            raise ApiUnavailable(text, status=status, retryable=True, retry_after=wait)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ApiUnreadable(f"{_ASKED}: the answer is encoded, which was not asked for.", reason="ENCODED")
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_raw():
            size += len(part)
            if size > self._max_bytes:
                return None
            parts.append(part)
        return b"".join(parts)


async def _addresses(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
