"""The webhook port over real loopback TCP, with a fake in the place of the producer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connector.adapters.metrics import PREFIX, Metrics
from connector.adapters.server import Server
from connector.clock import Clock
from connector.core.formats.framing import Codec
from connector.core.record import OutRecord, Partition, Record
from connector.core.signals.signal import Signal, SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.signals.signature import Verifier, sign
from connector.core.tag import METADATA_KEY, Tag, metadata_of
from connector.schema_files import load_schema
from connector.webhook.endpoint import PATH, Endpoint

SECRET = b"wss_EXAMPLE_ONLY_not_a_real_secret"
TAG = Tag("invoices", Partition("documents", 5), 42, "a" * 22)
TOPIC = SignalsTopic("invoices.signals", 4, SignalCodec(Codec(load_schema("signal"))))


def event(number: int = 1, *, kind: str = "extract_run.processed", tag: Tag = TAG) -> bytes:
    payload = {"object": "extract_run", "id": f"exr_{number}", "metadata": {METADATA_KEY: metadata_of(tag)}}
    return json.dumps({"eventId": f"event_{number}", "eventType": kind, "payload": payload}).encode()


def request(body: bytes, *, secret: bytes = SECRET, age: int = 0, head: str = "", stamp: bytes | None = None) -> bytes:
    """A signed request as bytes; ``head`` has further header lines, each with its line end."""
    stamp = stamp or str(int(time.time()) - age).encode()
    length = "" if "transfer-encoding" in head or "content-length" in head else f"content-length: {len(body)}\r\n"
    lines = (
        f"POST {PATH} HTTP/1.1\r\nhost: here\r\n{length}{head}"
        f"x-extend-request-timestamp: {stamp.decode()}\r\n"
        f"x-extend-request-signature: {sign(secret, stamp, body).decode()}\r\n\r\n"
    )
    return lines.encode() + body


@dataclass
class FakeWriter:
    """Acknowledges at once, never, or when it is told."""

    acknowledges: bool | None = True
    records: list[OutRecord] = field(default_factory=list)
    waiting: list[Callable[[bool], None]] = field(default_factory=list)

    def send(self, record: OutRecord, done: Callable[[bool], None]) -> None:
        self.records.append(record)
        if self.acknowledges is None:
            self.waiting.append(done)
        else:
            asyncio.get_running_loop().call_soon(done, self.acknowledges)

    def signals(self) -> list[Signal | None]:
        return [
            TOPIC.signal(Record(Partition(each.topic, each.partition or 0), 0, each.key, each.value, (), 0))
            for each in self.records
        ]


@dataclass
class Stage:
    port: int
    endpoint: Endpoint
    writer: FakeWriter
    metrics: Metrics

    def count(self, result: str) -> float:
        return self.metrics.registry.get_sample_value(f"{PREFIX}webhook_requests_total", {"result": result}) or 0

    async def send(self, raw: bytes) -> bytes:
        """What comes back until the server closes, or an answer is there; empty when it only closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            await writer.drain()
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def status(self, raw: bytes) -> int:
        """The status of the answer; 0 when the connection was only closed."""
        answer = await self.send(raw)
        return int(answer.split()[1]) if answer else 0


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(*secrets: bytes, acknowledges: bool | None = True) -> AsyncIterator[Stage]:
    writer, metrics = FakeWriter(acknowledges), Metrics()
    endpoint = Endpoint(
        name="invoices",
        topic=TOPIC,
        verifier=Verifier(secrets or (SECRET,)),
        writer=writer,
        metrics=metrics,
        clock=Clock(),
    )
    async with Server(endpoint, "127.0.0.1", 0, bounded=True) as server:
        yield Stage(server.port, endpoint, writer, metrics)
