"""A broker that has users and an authorizer: who logs in may do nothing that nobody granted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from connector.adapters.kafka.admin import Cluster
from connector.core.errors import TopicError
from tests.kafka.jars import cache_folder, fetch_jars, read_lock
from tests.kafka.node import Node, node_ports
from tests.ports import HOST

USER = "invoices"
PASSWORD = "right-canary"
MECHANISM: Mapping[str, str | int | float | bool] = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": USER,
}


@dataclass(frozen=True)
class Password:
    text: str

    def reveal(self) -> str:
        return self.text


@dataclass(frozen=True)
class Settings:
    """The section `kafka` of a configuration."""

    bootstrap_servers: str
    password: Password = field(default_factory=lambda: Password(PASSWORD))
    properties: Mapping[str, str | int | float | bool] = field(default_factory=lambda: MECHANISM)
    transaction_timeout: float = 15.0
    session_timeout: float = 20.0


@dataclass(frozen=True)
class GuardedBroker:
    """Two addresses of one broker.

    Attributes:
        address: users log in there.
        own: the broker's own: without a login, and everything is allowed.
    """

    address: str
    own: str

    def allow(
        self,
        kind: ResourceType,
        name: str,
        *operations: AclOperation,
        pattern: ResourcePatternType = ResourcePatternType.LITERAL,
    ) -> None:
        """Grant the user operations on one resource."""
        admin = AdminClient({"bootstrap.servers": self.own})
        rules = [
            AclBinding(kind, name, pattern, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)
            for operation in operations
        ]
        for future in admin.create_acls(rules).values():
            try:
                future.result(timeout=20)
            except KafkaException as error:
                pytest.fail(str(error))


@contextmanager
def guarded_broker(folder: Path) -> Iterator[GuardedBroker]:
    """Start one in a folder."""
    jars = cache_folder()
    fetch_jars(read_lock(), jars)
    own, extra = node_ports(2)
    address = f"{HOST}:{extra.client}"
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    more = {
        "listeners": f"PLAINTEXT://{HOST}:{own.client},GUARDED://{address},CONTROLLER://{HOST}:{own.controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{own.client},GUARDED://{address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    node = Node(1, (own,), folder / "node", jars, more)
    formatter = node.formatter("AAAAAAAAAAAAAAAAAAAAAQ", alone=True)
    try:
        formatter.start()
        assert formatter.wait(60) == 0, formatter.log_tail()
        node.process.start()
        with Cluster({"bootstrap.servers": node.address}, timeout=1) as cluster:
            _await(cluster, node)
        yield GuardedBroker(address, node.address)
    finally:
        formatter.kill()
        node.process.kill()


def _await(cluster: Cluster, node: Node) -> None:
    until = time.monotonic() + 60
    while not _answers(cluster):
        assert node.process.running, node.process.log_tail()
        assert time.monotonic() < until, node.process.log_tail()


def _answers(cluster: Cluster) -> bool:
    try:
        cluster.topics(["any"])
    except TopicError:
        return False
    return True
