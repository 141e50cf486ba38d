"""HTTP/1.1 for a port that strangers reach: uvicorn's own protocol, with an end to everything that it lets wait.

Measured with uvicorn 0.51: it waits for headers for ever, answers nonsense with a body, and logs a line for each.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 5.0
"""From a connection, or from the first byte after an answer, to the end of the headers and the body's first byte."""
IDLE_SECONDS = 15
"""Between an answer and the first byte after it."""
MOST_CONNECTIONS = 1000
MOST_HEADER_BYTES = 16 * 1024

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

# Strangers write no log lines: what they send is counted by the application, or was not even HTTP.
_silent = logging.getLogger("connector.silent")
_silent.disabled = True
_silent.setLevel(logging.CRITICAL)


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever uvicorn gives its protocols
        super().__init__(*args, **kwargs)
        self.logger = _silent
        self.access_log = False
        self._too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that has begun must get somewhere."""
        super().data_received(data)
        self._bound()

    def on_response_complete(self) -> None:
        """Go on; the next request may have come with this one."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            self._bound()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's words may hold the sender's bytes
        """Answer what is no HTTP, without a word."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_BAD_REQUEST)
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False

    def _bound(self) -> None:
        cycle = self.cycle
        begun = cycle and not cycle.response_complete  # type: ignore[truthy-bool]  # it is None at first
        if begun and (cycle.body or not cycle.more_body):
            self._wait_no_longer()  # the application bounds the rest
        elif self._too_late is None and not self.transport.is_closing():
            self._wait_for_headers()

    def _wait_for_headers(self) -> None:
        self._too_late = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _wait_no_longer(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
