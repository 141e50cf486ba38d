"""The ingress process: its port, the admin port, the producer, and the secrets as their files have them now."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.doorbells import DoorbellWriter
from connector.adapters.kafka.properties import client_properties, producer_properties
from connector.adapters.metrics import Metrics
from connector.adapters.server import Server, admin_app
from connector.clock import Clock
from connector.config import Config, Secret
from connector.core.errors import ConfigurationError, Problem, TopicError
from connector.core.formats.framing import Codec
from connector.core.signals.signal import SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.signals.signature import Verifier
from connector.core.topics import signals_topic
from connector.logs import logger, register_secret
from connector.schema_files import load_schemas
from connector.webhook.endpoint import Endpoint

SECRETS_SECONDS = 10.0
"""How often the files of secrets are read again; Kubernetes swaps them without a signal."""
MAX_RECORD_BYTES = 1_000_000

_KEY = "webhook.secret_files"

ReadSecrets = Callable[[], Sequence[Secret]]
"""Reads the files of secrets again; raises ValueError with a sentence that shows none of them."""


def find_topic(config: Config) -> SignalsTopic:
    """The signals topic as it is. Blocks.

    Raises:
        TopicError: it does not exist, or no broker answers.
    """
    name = signals_topic(config.name)
    with Cluster(client_properties(config.kafka, f"{config.name}-webhook")) as cluster:
        facts = cluster.topics([name]).get(name)
    if facts is None:
        raise TopicError([f"The topic {name} does not exist. `extend-connector topics --create` makes it."])
    return SignalsTopic(name, facts.partitions, SignalCodec(Codec(*load_schemas("signal"))))


def verifier_of(secrets: Sequence[Secret]) -> Verifier:
    """The verifier of these secrets.

    Raises:
        ConfigurationError: there is none, or one is too short.
    """
    try:
        return Verifier([secret.reveal().encode() for secret in secrets])
    except ValueError as error:
        sentence = f"{error}; name a file for each, or set EXTEND_WEBHOOK_SECRET"
        raise ConfigurationError([Problem(_KEY, sentence)]) from None


class Ingress:
    """One process; any number may run beside each other."""

    def __init__(
        self,
        config: Config,
        topic: SignalsTopic,
        *,
        metrics: Metrics,
        read_secrets: ReadSecrets,
        clock: Clock | None = None,
    ) -> None:
        """Take what it needs.

        Args:
            config: the configuration.
            topic: where doorbells go.
            metrics: where to count.
            read_secrets: reads the secrets again.
            clock: the time.

        Raises:
            ConfigurationError: there is no usable secret.
        """
        self._config = config
        self._topic = topic
        self._metrics = metrics
        self._read_secrets = read_secrets
        self._clock = clock or Clock()
        self._verifier = verifier_of(config.webhook.secrets)
        self._over = asyncio.Event()
        self.port: int | None = None
        self.admin_port: int | None = None

    def stop(self) -> None:
        """End in order."""
        self._over.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT call ``stop``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)

    async def run(self) -> None:
        """Take webhooks until ``stop`` is called.

        Raises:
            ConnectorError: a port cannot be listened on.
        """
        config, name = self._config, self._config.name
        writer = DoorbellWriter(producer_properties(config.kafka, f"{name}-webhook", None, MAX_RECORD_BYTES))
        endpoint = Endpoint(
            name=name,
            topic=self._topic,
            verifier=self._verifier,
            writer=writer,
            metrics=self._metrics,
            clock=self._clock,
        )
        pages = admin_app(render=self._metrics.render, live=lambda: (), ready=self._ready)
        server = Server(endpoint, config.webhook.host, config.webhook.port, key="webhook.port", bounded=True)
        admin = Server(pages, config.admin.host, config.admin.port)
        try:
            async with admin, server:
                self.port, self.admin_port = server.port, admin.port
                logger.info("webhook_started", port=server.port, admin_port=admin.port, topic=self._topic.name)
                watching = asyncio.create_task(self._watch_secrets(endpoint))
                await self._over.wait()
                watching.cancel()
        finally:
            await writer.close()
        logger.info("webhook_stopped")

    def _ready(self) -> Iterator[str]:
        # Kafka away is no reason: the 503 says it, and Extend comes again.
        if self._over.is_set():
            yield "The webhook ingress is stopping."

    async def _watch_secrets(self, endpoint: Endpoint) -> None:
        known, said = tuple(self._config.webhook.secrets), ""
        while True:
            await asyncio.sleep(SECRETS_SECONDS)
            try:
                found = tuple(await asyncio.to_thread(self._read_secrets))
                verifier = Verifier([secret.reveal().encode() for secret in found])
            except ValueError as error:
                if str(error) != said:
                    logger.error("webhook_secrets_not_read", problem=f"{_KEY}: {error}", keeps="those that it has")
                said = str(error)
                continue
            said = ""
            if found == known:
                continue
            for secret in found:
                register_secret(secret.reveal())
            endpoint.verifier, known = verifier, found
            logger.info("webhook_secrets_changed", secrets=len(found))
