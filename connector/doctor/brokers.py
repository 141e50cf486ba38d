"""The brokers of a configuration, as the checks ask them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.brokers import count_brokers
from connector.adapters.kafka.properties import client_properties, producer_properties
from connector.adapters.kafka.rights import Granted, Rights, refusal_of_transactions
from connector.config import Config
from connector.core.errors import ConnectorError
from connector.core.rights import transactional_ids
from connector.core.topics import TopicFacts

SECONDS = 10.0
"""How long one question may take: a person waits."""
_MAX_BYTES = 1_000_000


class Brokers:
    """Connects for each question, and keeps nothing."""

    def __init__(self, config: Config) -> None:
        """Ask nothing yet.

        Args:
            config: the configuration.
        """
        self._config = config
        self._client_id = f"{config.name}-doctor"
        self.servers = config.kafka.bootstrap_servers
        name = config.kafka.properties.get("sasl.username")
        self.user = str(name) if name else None

    def count_brokers(self) -> int:
        """How many brokers there are."""
        return count_brokers(self._properties(), SECONDS)

    def rights_on_topics(self, names: tuple[str, ...]) -> Mapping[str, Granted]:
        """As ``Rights.on_topics``."""
        with Rights(self._properties(), SECONDS) as rights:
            return rights.on_topics(names)

    def rights_on_group(self, group: str) -> Granted:
        """As ``Rights.on_group``."""
        with Rights(self._properties(), SECONDS) as rights:
            return rights.on_group(group)

    def refusal_of_transactions(self) -> ConnectorError | None:
        """As ``refusal_of_transactions``, with an id that no worker has: nobody is fenced."""
        prefix = transactional_ids(self._config.name)
        own = f"{prefix}doctor-{secrets.token_hex(4)}"
        properties = producer_properties(self._config.kafka, self._client_id, own, _MAX_BYTES)
        return refusal_of_transactions(properties, SECONDS)

    def topics(self, names: tuple[str, ...]) -> Mapping[str, TopicFacts]:
        """As ``Cluster.topics``."""
        with Cluster(self._properties(), SECONDS) as cluster:
            return cluster.topics(names)

    def _properties(self) -> dict[str, object]:
        return client_properties(self._config.kafka, self._client_id)
