"""Requests per second of the webhook ingress on a real broker, beside a handler that does nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml
from confluent_kafka.admin import AdminClient

from connector.core.tag import Tag
from connector.core.topics import signals_topic
from tests.benchmarks.figures import Figures, percentile
from tests.benchmarks.machine import usage
from tests.chaos.processes import COMMAND, environment, wait_for_answer
from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName, made_topics
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET, TAG, event, request

pytestmark = pytest.mark.benchmark

WARM_UP = 500
REQUESTS = 4000
CONNECTIONS = 32
ROUNDS = 3
FORGED = b"wss_a_secret_that_nobody_has_been_given"


async def send(port: int, requests: Iterable[bytes], status: bytes, per_second: float | None = None) -> list[float]:
    """Send requests over some connections, each with its status as the answer; returns the seconds that each took.

    A refusal ends its connection, and the next request has another one.
    """
    took: list[float] = []
    todo = iter(requests)
    began = time.monotonic()
    sent = 0

    async def one_after_another() -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection(HOST, port)
        for raw in todo:
            sent += 1
            if per_second is not None:
                await asyncio.sleep(max(0.0, began + sent / per_second - time.monotonic()))
            if writer.is_closing() or reader.at_eof():
                reader, writer = await asyncio.open_connection(HOST, port)
            start = time.monotonic()
            writer.write(raw)
            answer = await reader.readuntil(b"\r\n\r\n")
            took.append(time.monotonic() - start)
            assert answer.startswith(b"HTTP/1.1 " + status), answer
            if status != b"204":
                writer.close()
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one_after_another())
    return took


def signed(numbers: range, tag: Tag) -> list[bytes]:
    """Webhooks as long as those of a small extraction."""
    padding = f'"output": "{"x" * 2400}", "object"'.encode()
    return [request(event(number, tag=tag).replace(b'"object"', padding)) for number in numbers]


class Server:
    """One of the two, as a process."""

    def __init__(self, name: str, port: int, probe: str, command: list[str], folder: Path, **env: str) -> None:
        self.port = port
        self.process = ChildProcess(name, command, folder / f"{name}.log", environment(env))
        self.process.start()
        wait_for_answer(probe, self.process, 60)
        self.rates: list[float] = []
        self.per_core: list[float] = []

    async def round(self, requests: Sequence[bytes]) -> None:
        before, began = usage(self.process.pid).cpu, time.monotonic()
        await send(self.port, requests, b"204")
        self.rates.append(len(requests) / (time.monotonic() - began))
        self.per_core.append(len(requests) / (usage(self.process.pid).cpu - before))


@pytest.mark.timeout(600)
async def test_webhook(
    kafka: Kafka, unique_name: UniqueName, tmp_path: Path, figures: Callable[[str], Figures]
) -> None:
    name = unique_name("bench")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    await asyncio.to_thread(made_topics, admin, (signals_topic(name),), 6, {})
    tag = replace(TAG, name=name)
    port, admin_port, bare_port = free_ports(3)
    settings = {
        "name": name,
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
        "webhook": {"host": HOST, "port": port},
        "admin": {"host": HOST, "port": admin_port},
    }
    config = tmp_path / "connector.yaml"
    config.write_text(yaml.safe_dump(settings))
    ingress = Server(
        "webhook",
        port,
        f"http://{HOST}:{admin_port}/livez",
        [str(COMMAND), "webhook", "--config", str(config)],
        tmp_path,
        EXTEND_WEBHOOK_SECRET=SECRET.decode(),
    )
    bare = Server(
        "bare",
        bare_port,
        f"http://{HOST}:{bare_port}/up",
        [sys.executable, "-m", "tests.benchmarks.bare_webhook", str(bare_port)],
        tmp_path,
    )
    servers = (ingress, bare)
    for server in servers:
        await send(server.port, signed(range(WARM_UP), tag), b"204")
    for number in range(1, ROUNDS + 1):
        for server in servers:
            await server.round(signed(range(number * 100_000, number * 100_000 + REQUESTS), tag))
    forged = [request(event(number), secret=FORGED) for number in range(REQUESTS)]
    before = usage(ingress.process.pid)
    both = await asyncio.gather(
        send(port, signed(range(900_000, 900_000 + REQUESTS // 4), tag), b"204", 100),
        send(port, forged, b"401", 400),
    )
    after = usage(ingress.process.pid)
    async with httpx.AsyncClient(trust_env=False) as client:
        counted = (await client.get(f"http://{HOST}:{admin_port}/metrics")).text
    table = figures(f"Webhooks of about 2.8 kB, {CONNECTIONS} connections, {ROUNDS} rounds in turn, the best of each")
    table.add("accepted, per second of the ingress's CPU", f"{max(ingress.per_core):.0f}")
    table.add("bare handler, the same", f"{max(bare.per_core):.0f}")
    share = max(ingress.per_core) / max(bare.per_core)
    table.add("share of the bare handler, by CPU", f"{100 * share:.0f} %", "at least 60 %")
    table.add("accepted per second", f"{max(ingress.rates):.0f}")
    table.add("bare handler, the same", f"{max(bare.rates):.0f}")
    p99 = 1000 * percentile(both[0], 0.99)
    table.add("100 signed and 400 forged per second: p99 of the signed", f"{p99:.0f} ms", "below 50 ms")
    table.add("memory before and after that", f"{before.rss / 1e6:.0f}, {after.rss / 1e6:.0f} MB", "flat")
    assert f'webhook_requests_total{{result="bad_signature"}} {REQUESTS}.0' in counted
    for server in servers:
        server.process.terminate(25)
