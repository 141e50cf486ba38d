"""A server on loopback that speaks HTTP only as well as a test wants it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[Seen, asyncio.StreamWriter], Awaitable[bool | None]]
"""Answers one request; True keeps the connection open for the next."""


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(raw: bytes) -> Behaviour:
    """Always the same bytes, the connection kept open."""

    async def behave(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(raw)
        await writer.drain()
        return True

    return behave


async def hang_up(_: Seen, __: asyncio.StreamWriter) -> bool:
    """Read the request, say nothing, close."""
    return False


async def hang(_: Seen, __: asyncio.StreamWriter) -> bool:
    """Read the request and say nothing, until the client closes."""
    await asyncio.sleep(3600)
    return False


@dataclass
class RawApi:
    """The server; ``requests`` holds every request that arrived whole."""

    behave: Behaviour
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    torn: int = 0
    open: int = 0
    most_open: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Its base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            keep = True
            while keep:
                seen = await _read(reader)
                self.requests.append(seen)
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                try:
                    keep = bool(await self._until_closed(self.behave(seen, writer), reader))
                finally:
                    self.open -= 1
        except asyncio.IncompleteReadError as error:
            self.torn += bool(error.partial) or error.expected is not None  # else: closed between requests
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _until_closed(self, behaviour: Awaitable[bool | None], reader: asyncio.StreamReader) -> bool | None:
        work = asyncio.ensure_future(behaviour)
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=0.02)
                if reader.at_eof():
                    return False
            return work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Seen(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
