"""``POST /webhooks/extend`` as an ASGI application: from a stranger's request to an acknowledged doorbell.

Plain ASGI, for there is one path. The checks go from cheap to dear, and nothing is parsed before it is verified.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.recent import Recent
from connector.core.record import OutRecord
from connector.core.signals.signal import Doorbell
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.signals.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, Refusal, Verifier, read_claim
from connector.core.signals.webhook_event import MAX_BODY_BYTES, Dropped, NotAnEvent, doorbell_of, read_event
from connector.logs import is_debugging, logger
from connector.webhook.answers import STATUS, Result, Verdict

PATH = "/webhooks/extend"
BODY_SECONDS = 10.0
"""How long a body may take, from its first part on."""
MOST_READING = 64
"""Bodies being read. They are not verified yet: they cost memory, and nothing else."""
MOST_WRITING = 1024
"""Doorbells that wait for Kafka."""
REPEAT_SECONDS = 600.0
"""How long an event that comes again rings no second time. It saves requests; nothing depends on it."""
MOST_REMEMBERED = 100_000

_TIMESTAMP = TIMESTAMP_HEADER.encode()
_SIGNATURE = SIGNATURE_HEADER.encode()
_ENCODING, _TYPE, _LENGTH = b"content-encoding", b"content-type", b"content-length"
_HEADERS = (_TIMESTAMP, _SIGNATURE, _ENCODING, _TYPE, _LENGTH)
_DIGITS = re.compile(rb"[0-9]{1,20}")
_EMPTY = (_LENGTH, b"0")
_CLOSE = (b"connection", b"close")

Headers = Mapping[bytes, Sequence[bytes]]
"""Every value of the headers that are looked at."""


class Writer(Protocol):
    """What doorbells are written with; see ``adapters.kafka.doorbells``."""

    def send(self, record: OutRecord, done: Callable[[bool], None]) -> None:
        """Write a record, and tell on the event loop whether it is acknowledged."""


class _Refused(Exception):  # noqa: N818 - it names what became of the request
    def __init__(self, result: Result) -> None:
        self.result = result


class Endpoint:
    """The application.

    Attributes:
        verifier: the secrets that are valid now; replaced when their files change.
    """

    def __init__(
        self,
        *,
        name: str,
        topic: SignalsTopic,
        verifier: Verifier,
        writer: Writer,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """Remember nothing yet.

        Args:
            name: the connector's name.
            topic: where doorbells go.
            verifier: the signing secrets.
            writer: writes doorbells.
            metrics: where to count.
            clock: the time.
        """
        self.verifier = verifier
        self._name = name
        self._topic = topic
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        # Looking a series up for every request took a third of the application's time.
        self._counts = {result: metrics.webhook_requests.labels(result=result) for result in STATUS}
        self._sent = metrics.signals.labels(kind="doorbell", result="sent")
        self._uses = [metrics.webhook_secret_uses.labels(secret=place) for place in (0, 1, 2, 3, "other")]
        self._recent = Recent(REPEAT_SECONDS, MOST_REMEMBERED)
        self._writing: dict[str, asyncio.Future[bool]] = {}
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        began = self._clock.monotonic()
        try:
            result: Result = await self._answer(scope, receive)
        except _Refused as refused:
            result = refused.result
        except Exception as error:  # noqa: BLE001 - a stranger's request ends nothing, and its bytes are not logged
            logger.error("webhook_failed", error=type(error).__name__)
            result = Verdict.FAILED
        self._counts[result].inc()
        self._metrics.webhook_request_duration_seconds.observe(max(0.0, self._clock.monotonic() - began))
        if result is not Verdict.GONE:
            await _send(send, STATUS[result])

    async def _answer(self, scope: Scope, receive: Receive) -> Result:
        if scope["path"] != PATH or scope["method"] != "POST":
            return Verdict.NOT_FOUND
        headers = _of_use(scope["headers"])
        _check_form(headers)
        claim = read_claim(headers[_TIMESTAMP], headers[_SIGNATURE])
        if isinstance(claim, Refusal):
            return claim
        body = await self._read(receive)
        signed_by = self.verifier.verify(claim, body, self._clock.wall())
        if isinstance(signed_by, Refusal):
            return signed_by
        self._uses[min(signed_by, len(self._uses) - 1)].inc()
        try:
            event = read_event(body)
        except NotAnEvent:
            return Verdict.BAD_BODY
        doorbell = doorbell_of(event, self._name)
        result: Result = doorbell if isinstance(doorbell, Dropped) else await self._ring(event.id, doorbell)
        if is_debugging():
            found = {} if isinstance(doorbell, Dropped) else {"tag": str(doorbell.tag), "run_id": doorbell.run_id}
            fields = {"event_id": event.id, "type": event.type, "secret": signed_by, **found}
            logger.debug("webhook_read", result=str(result), **fields)
        return result

    async def _read(self, receive: Receive) -> bytes:
        if self._reading >= MOST_READING:
            raise _Refused(Verdict.BUSY)
        self._reading += 1
        body = bytearray()
        try:
            # Mostly the first part is all of it, and needs no timer: the protocol waits for it, and not for long.
            if _add(body, await receive()):
                async with asyncio.timeout(BODY_SECONDS):
                    while _add(body, await receive()):
                        pass
            return bytes(body)
        except TimeoutError:
            raise _Refused(Verdict.TOO_SLOW) from None
        finally:
            self._reading -= 1

    async def _ring(self, event_id: str, doorbell: Doorbell) -> Verdict:
        if self._recent.has(event_id, self._clock.monotonic()):
            return Verdict.REPEATED
        if (other := self._writing.get(event_id)) is not None:
            return Verdict.REPEATED if await asyncio.shield(other) else Verdict.UNAVAILABLE
        if len(self._writing) >= MOST_WRITING:
            return Verdict.BUSY
        written = asyncio.get_running_loop().create_future()
        self._writing[event_id] = written
        record = self._topic.record(doorbell, self._clock.wall_ms())
        try:
            self._writer.send(record, lambda acknowledged: self._written(event_id, acknowledged=acknowledged))
        except BaseException:
            self._writing.pop(event_id).set_result(False)
            raise
        return Verdict.ACCEPTED if await written else Verdict.UNAVAILABLE

    def _written(self, event_id: str, *, acknowledged: bool) -> None:
        if acknowledged:
            self._recent.add(event_id, self._clock.monotonic())
            self._sent.inc()
            self._metrics.webhook_accepted_timestamp_seconds.set(self._clock.wall())
        written = self._writing.pop(event_id)
        if not written.done():  # its request was cancelled, because the process ends
            written.set_result(acknowledged)


def _of_use(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    found: dict[bytes, list[bytes]] = {name: [] for name in _HEADERS}
    for name, value in headers:
        if name in found:
            found[name].append(value)
    return found


def _check_form(headers: Headers) -> None:
    """Refuse by the headers what need not be read."""
    if any(value.strip().lower() != b"identity" for value in headers[_ENCODING]):
        raise _Refused(Verdict.ENCODED)
    if any(value.strip().lower().startswith(b"multipart/") for value in headers[_TYPE]):
        raise _Refused(Verdict.ENCODED)
    for length in headers[_LENGTH]:
        if _DIGITS.fullmatch(length) is None:
            raise _Refused(Verdict.BAD_BODY)
        if int(length) > MAX_BODY_BYTES:
            raise _Refused(Verdict.TOO_LARGE)


def _add(body: bytearray, message: Message) -> bool:
    """Add a part, and say whether there is more to come."""
    if message["type"] == "http.disconnect":
        raise _Refused(Verdict.GONE)
    body += message.get("body", b"")
    if len(body) > MAX_BODY_BYTES:
        raise _Refused(Verdict.TOO_LARGE)
    return bool(message.get("more_body", False))


async def _send(send: Send, status: int) -> None:
    # A 204 has no length. After a refusal the rest of the request may still come: the connection ends.
    headers = [] if status == 204 else [_EMPTY, _CLOSE]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
