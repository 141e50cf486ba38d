"""How many brokers there are."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connector.adapters.kafka.errors import Troubles, with_troubles


def count_brokers(properties: Mapping[str, object], timeout: float) -> int:
    """The number of brokers that are in the cluster now.

    Args:
        properties: from `client_properties`.
        timeout: seconds to wait for the answer.

    Raises:
        ConnectorError: no broker answers, or the login fails.
    """
    troubles = Troubles(properties)
    try:
        admin = AdminClient(with_troubles(properties, troubles))
    except KafkaException as error:
        raise troubles.explain(error, "Describe", "cluster") from error
    try:
        found = admin.list_topics(topic="", timeout=timeout)
    except KafkaException as error:
        admin.poll(0)  # now the reason is told, which hides behind a timeout
        raise troubles.explain(error, "Describe", "cluster") from error
    return len(found.brokers)
