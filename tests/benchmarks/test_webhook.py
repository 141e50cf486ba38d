"""Requests per second of the webhook ingress on a real broker, beside a handler that does nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import httpx
import pytest
import yaml
from confluent_kafka.admin import AdminClient

from connector.core.tag import Tag
from connector.core.topics import signals_topic
from tests.benchmarks.figures import Figures, percentile
from tests.benchmarks.machine import usage
from tests.benchmarks.webhook_client import webhook
from tests.chaos.processes import COMMAND, ROOT, environment, wait_for_answer
from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName, made_topics
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET, TAG

pytestmark = pytest.mark.benchmark

WARM_UP = 500
REQUESTS = 4000
CONNECTIONS = 32
ROUNDS = 5
FLOOD = (500.0, 2000.0)
"""Signed and forged ones, per second."""
SMALLER_FLOODS = ((300.0, 1200.0), (200.0, 800.0), (100.0, 400.0))
"""What is tried where the machine cannot send as many."""
FLOOD_SECONDS = 8.0
WHOLE = 0.95


async def send(port: int, requests: Iterable[bytes]) -> None:
    """Send requests over some connections, as fast as they are answered."""
    todo = iter(requests)

    async def one_after_another() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for raw in todo:
            writer.write(raw)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 204"), answer
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one_after_another())


def signed(numbers: range, tag: Tag) -> list[bytes]:
    """Webhooks as long as those of a small extraction."""
    return [webhook(tag.name, number) for number in numbers]


@dataclass(frozen=True, slots=True)
class Sent:
    """What one of the senders reported.

    Attributes:
        per_second: at which pace it should have sent.
        seconds: how long it took.
        took: seconds from each request to its answer, connecting included.
    """

    per_second: float
    seconds: float
    took: Sequence[float]

    @property
    def answered(self) -> int:
        return len(self.took)

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


@dataclass(frozen=True, slots=True)
class Flood:
    """Signed and forged webhooks at the same time."""

    signed: Sent
    forged: Sent

    def __str__(self) -> str:
        return f"{self.signed.per_second:g} signed and {self.forged.per_second:g} forged per second"

    @property
    def sent(self) -> float:
        return self.signed.rate + self.forged.rate

    @property
    def is_whole(self) -> bool:
        """Whether the machine could send as many as it should."""
        return all(each.rate > WHOLE * each.per_second for each in (self.signed, self.forged))

    @property
    def p99s(self) -> str:
        return ", ".join(f"{1000 * percentile(each.took, 0.99):.0f} ms" for each in (self.signed, self.forged))


async def flood(port: int, name: str, signed_rate: float, forged_rate: float) -> Flood:
    """Both kinds for a while, each from a process of its own."""

    async def sender(kind: str, per_second: float) -> Sent:
        program = ("-m", "tests.benchmarks.webhook_client", str(port), name, kind, str(per_second), str(FLOOD_SECONDS))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        found = json.loads((await process.communicate())[0])
        assert found["wrong"] == 0
        return Sent(per_second, found["seconds"], found["took"])

    return Flood(*await asyncio.gather(sender("signed", signed_rate), sender("forged", forged_rate)))


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
        await send(self.port, requests)
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
        await send(server.port, signed(range(WARM_UP), tag))
    for number in range(1, ROUNDS + 1):
        for server in servers:
            await server.round(signed(range(number * 100_000, number * 100_000 + REQUESTS), tag))
    before = usage(ingress.process.pid)
    floods = [await flood(port, name, *FLOOD)]
    for rates in SMALLER_FLOODS:
        if floods[-1].is_whole:
            break
        floods.append(await flood(port, name, *rates))
    after = usage(ingress.process.pid)
    async with httpx.AsyncClient(trust_env=False) as client:
        counted = (await client.get(f"http://{HOST}:{admin_port}/metrics")).text
    table = figures(f"Webhooks of about 2.8 kB, {CONNECTIONS} connections, {ROUNDS} rounds in turn, the best of each")
    table.add("accepted, per second of the ingress's CPU", f"{max(ingress.per_core):.0f}")
    table.add("bare handler, the same", f"{max(bare.per_core):.0f}")
    shares = [ours / theirs for ours, theirs in zip(ingress.per_core, bare.per_core, strict=True)]
    table.add("share of the bare handler, by CPU, median", f"{100 * median(shares):.0f} %", "at least 60 %")
    table.add("accepted per second", f"{max(ingress.rates):.0f}")
    table.add("bare handler, the same", f"{max(bare.rates):.0f}")
    for each in floods:
        table.add(f"{each}: sent per second", f"{each.sent:.0f}", "" if each.is_whole else "the machine sends no more")
        table.add("    p99 of the signed, and of the forged", each.p99s, "below 50 ms")
    table.add("memory before and after that", f"{before.rss / 1e6:.0f}, {after.rss / 1e6:.0f} MB", "flat")
    refused = sum(each.forged.answered for each in floods)
    assert f'webhook_requests_total{{result="bad_signature"}} {refused}.0' in counted
    for server in servers:
        server.process.terminate(25)
