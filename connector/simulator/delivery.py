"""How an answer reaches the client, or does not: the part of a fault that only a socket can show."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from starlette.types import Receive, Send

_HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1>nginx</body></html>"
_PADDING = b"x" * 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"

    def head(self, request_id: str, length: int) -> list[tuple[bytes, bytes]]:
        """The headers, with a content length."""
        return [
            (b"content-type", self.content_type.encode()),
            (b"content-length", b"%d" % length),
            (b"x-extend-request-id", request_id.encode()),
            *((name.encode(), value.encode()) for name, value in self.headers),
        ]


def html_answer(status: int) -> Answer:
    """What a proxy in front of the API says."""
    return Answer(status, _HTML, content_type="text/html")


def without_id(answer: Answer) -> Answer:
    """The same object, without its id."""
    body = msgspec.json.decode(answer.body)
    if isinstance(body, dict):
        body.pop("id", None)
    return Answer(answer.status, msgspec.json.encode(body), answer.headers)


class Delivery:
    """One request's way back.

    Args:
        receive: ASGI; the request body was read already.
        send: ASGI.
        request_id: goes into the headers.
        transport: finds the connection's transport, or None when it is gone.
        closing: set when the simulator stops; nothing waits longer than that.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        request_id: str,
        transport: Callable[[], asyncio.Transport | None],
        closing: asyncio.Event,
    ) -> None:
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._transport = transport
        self._closing = closing

    async def whole(self, answer: Answer) -> None:
        """Send it, as it should be."""
        await self._begin(answer, len(answer.body))
        await self._send({"type": "http.response.body", "body": answer.body})

    async def drip(self, answer: Answer, seconds: float) -> None:
        """Send a byte every ``seconds``."""
        await self._begin(answer, len(answer.body))
        for place in range(len(answer.body)):
            await self._part(answer.body[place : place + 1])
            if not await self.pause(seconds):
                await self.reset()
                return
        await self._send({"type": "http.response.body", "body": b""})

    async def truncated(self, answer: Answer) -> None:
        """Announce the whole body, send half of it, close the connection properly."""
        await self._begin(answer, len(answer.body))
        await self._part(answer.body[: len(answer.body) // 2])
        transport = self._transport()
        if transport is not None:
            transport.close()
        await self._gone()

    async def oversized(self, answer: Answer, size: int) -> None:
        """Send valid JSON with ``size`` bytes more than it needs."""
        start, end = answer.body[:-1] + b',"padding":"', b'"}'
        await self._begin(answer, len(start) + size + len(end))
        await self._part(start)
        left = size
        while left > 0:
            part = _PADDING[:left]
            left -= len(part)
            await self._part(part)
        await self._send({"type": "http.response.body", "body": end})

    async def reset(self) -> None:
        """Reset the connection (RST, not FIN)."""
        transport = self._transport()
        if transport is not None:
            connection = transport.get_extra_info("socket")
            # Lingering for zero seconds makes the close a reset; `abort` alone would send a FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        await self._gone()

    async def pause(self, seconds: float) -> bool:
        """Wait.

        Returns:
            Whether the time is over; False when the client left or the simulator stops.
        """
        waits = {asyncio.ensure_future(self._gone()), asyncio.ensure_future(self._closing.wait())}
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return not done

    async def _begin(self, answer: Answer, length: int) -> None:
        head = answer.head(self._request_id, length)
        await self._send({"type": "http.response.start", "status": answer.status, "headers": head})

    async def _part(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
