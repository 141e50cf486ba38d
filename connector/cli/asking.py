"""The cluster, as a command asks it while a person waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.properties import client_properties
from connector.config import Config
from connector.logs import silence

SECONDS = 10.0
"""How long one question may take; a worker, for which nobody waits, takes 15 s."""


@contextmanager
def open_cluster(config: Config, client_id: str) -> Iterator[Cluster]:
    """The cluster. A terminal shows that it is being asked; the client's own log lines would only repeat the error.

    Args:
        config: the configuration.
        client_id: names the command in the brokers' logs.

    Raises:
        ConnectorError: librdkafka refuses the properties, or no broker answers in time.
    """
    silence()
    console = Console(stderr=True)
    with Cluster(client_properties(config.kafka, client_id), SECONDS) as cluster:
        if not console.is_terminal:
            yield cluster
            return
        with console.status(f"Asking {config.kafka.bootstrap_servers}", spinner="line"):
            yield cluster
