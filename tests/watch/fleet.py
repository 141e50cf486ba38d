"""Three workers and an ingress as processes, on a real Kafka, with everything that the dashboards are to show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import KafkaException, Producer

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.properties import client_properties
from connector.core.record import Record
from connector.core.tag import tag_of
from connector.core.topics import signals_topic
from connector.simulator.mail import Troubles
from connector.simulator.settings import Lifetimes, Settings
from connector.webhook.endpoint import PATH
from tests.chaos.processes import Fleet, Worker
from tests.guarantees.scene import SECONDS, Scene, reference
from tests.ports import HOST, free_ports
from tests.simulator.conftest import HEADERS

SETTINGS = Settings(
    lifetimes=Lifetimes(median=1.0, spread=0.5, review_median=2.0),
    webhook_troubles=Troubles(forged=0.2),
)
FILES_PER_MINUTE = 360
PER_SECOND = 8
"""References; more than the limit carries, so that there is a backlog."""


class Watched:
    """The processes, and what is done to them.

    Attributes:
        workers: three, for two partitions.
        ingress: takes the webhooks of parse runs.
    """

    def __init__(self, scene: Scene, fleet: Fleet) -> None:
        """Nothing runs yet."""
        self.scene = scene
        self._fleet = fleet
        self._path = fleet.folder / "connector.yaml"
        self._path.write_text(yaml.safe_dump(self._configuration(), sort_keys=False), encoding="utf-8")
        key = fleet.folder / "key"
        key.write_text("sk_test", encoding="utf-8")
        key.chmod(0o600)
        self.workers = [fleet.idle_worker(f"worker-{number}", self._path) for number in range(3)]
        self._numbers = count()

    def _configuration(self) -> dict[str, Any]:
        scene = self.scene
        return {
            "name": scene.name,
            "kafka": {
                "bootstrap_servers": scene.kafka.bootstrap_servers,
                "session_timeout": "10s",
                "properties": {"heartbeat.interval.ms": 500},
            },
            "extend": {
                "base_url": scene.simulator.base_url,
                "api_key_file": str(self._fleet.folder / "key"),
                "limits": {"get": 100, "write": 100, "run": 100, "files_per_minute": FILES_PER_MINUTE},
            },
            "start": {"deadline": "1s", "settle": "6s"},
            "routes": {
                "reviews": {
                    "topic": scene.topic,
                    "when": {"metadata.kind": "review"},
                    "run": "workflow",
                    "processor": "workflow_reviews",
                },
                "documents": {"topic": scene.topic, "run": "parse"},
            },
            "follow": {"mode": "webhook", "sweep_interval": "500ms", "safety_interval": "3s"},
            "output": {"prefix": scene.name},
        }

    async def start(self) -> None:
        """Start everything, and have the API know the ingress as the endpoint for parse runs, and for no others."""
        (port,) = free_ports(1)
        body = {
            "url": f"http://{HOST}:{port}{PATH}",
            "name": "ingress",
            "enabledEvents": ["parse_run.processed", "parse_run.failed"],
            "apiVersion": "2026-02-09",
        }
        async with httpx.AsyncClient(base_url=self.scene.simulator.base_url, headers=HEADERS, trust_env=False) as api:
            made = (await api.post("/webhook_endpoints", json=body)).json()
        self.ingress = self._fleet.ingress("ingress", self._path, port, made["signingSecret"])
        for worker in self.workers:
            worker.start()
        for each in (self.ingress, *self.workers):
            await asyncio.to_thread(each.wait_ready)

    # ---- the input -------------------------------------------------------------------------------------------

    async def write_what_is_wrong(self) -> None:
        """Records that become no run: many that are no references, and a tombstone."""
        for number in range(25):
            await self.scene.write_record(b'{"url": 7}', partition=number % 2)
        await self.scene.write_record(None, key=b"gone")

    async def write_stuck(self) -> None:
        """A run that never ends."""
        await self.scene.write("simulate-stuck")

    async def write_for_ever(self) -> None:
        """References at a steady pace, of every end, until cancelled."""
        for name, kind in self._references():
            value = reference(name, metadata={"kind": kind})
            await self.scene.write_record(value, key=name.encode(), partition=next(self._numbers) % 2)
            await asyncio.sleep(1 / PER_SECOND)

    @staticmethod
    def _references() -> Iterator[tuple[str, str]]:
        for number in count():
            match number % 10:
                case 0:
                    yield f"simulate-needs-review-processed-{number}", "review"
                case 1 | 2:
                    yield f"simulate-processed-{number}", "review"
                case 3:
                    yield f"simulate-failed-{number}", "document"
                case _:
                    yield f"simulate-processed-{number}", "document"

    # ---- what goes wrong -------------------------------------------------------------------------------------

    async def refuse_signals(self) -> None:
        """Kafka takes no signals any more, whose sender would then hear 503."""
        await self.scene.set_topic(signals_topic(self.scene.name), "max.message.bytes", "10")

    async def take_signals(self) -> None:
        """Kafka takes signals again."""
        await self.scene.set_topic(signals_topic(self.scene.name), "max.message.bytes", "1000000")

    async def fence_all(self) -> None:
        """Other producers take the ids of the workers', whose next transactions end nobody knows how."""
        await asyncio.to_thread(self._fence_all)

    def _fence_all(self) -> None:
        kafka = self.scene.config().kafka
        with Cluster(client_properties(kafka, f"{self.scene.name}-test")) as cluster:
            members = cluster.members(self.scene.name)
        for member in members:
            with suppress(KafkaException):  # its worker took it back at the same moment
                Producer(
                    {
                        "bootstrap.servers": kafka.bootstrap_servers,
                        "transactional.id": member,
                        "log_level": 0,
                    }
                ).init_transactions(SECONDS)

    async def damage_journal(self) -> None:
        """A record that no version of the connector wrote, in the journal of partition 0."""
        record = Record(self.scene.partition(0), 0, None, b"{}")
        tag = tag_of(self.scene.name, await self.scene.topic_id(), record)
        await self.scene.write_journal(str(tag).encode(), b"\xc3\x01 this is no journal record")

    def owner_of(self, partition: int) -> Worker:
        """The worker that owns an input partition.

        Raises:
            LookupError: nobody does.
        """
        for worker in self.workers:
            with suppress(httpx.HTTPError):
                if any(
                    name.startswith("extend_connector_next_offset{") and f'partition="{partition}"' in name
                    for name in worker.metrics()
                ):
                    return worker
        raise LookupError(f"Nobody owns partition {partition}.")


def logs(folder: Path) -> str:
    """What the processes warned of, each event once, for a failure's message."""
    last: dict[tuple[str, str], str] = {}
    for path in folder.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            event = line.partition('"event": "')[2].partition('"')[0]
            if '"level": "info"' not in line:
                last[path.name, event] = f"{path.name}: {line[:400]}"
    return "\n".join(last.values())
