"""A worker that runs in the test's own event loop, and what it says about itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from connector.adapters.metrics import PREFIX, Metrics
from connector.assembly import look_at_topics
from connector.config import Config
from connector.worker import Worker

STOP_SECONDS = 25.0
"""Longer than a worker may ever take to end."""


class Lines(logging.Handler):
    """The connector's own log lines, as their fields."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.said.append(dict(getattr(record, "fields", {}) or {"event": record.getMessage()}))

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in list(self.said) if line.get("event") == event]


class Running:
    """One worker.

    Attributes:
        config: what it was made from.
        metrics: its own.
        worker: the worker.
    """

    def __init__(self, config: Config, **options: Any) -> None:  # noqa: ANN401 - as Worker takes them
        self.config = config
        self.metrics = Metrics()
        self._options = options

    async def start(self) -> None:
        """Look at the topics and run.

        Raises:
            TopicError: the topics are not as they must be.
        """
        topics = await asyncio.to_thread(look_at_topics, self.config)
        self.metrics.prepare(
            routes=[route.name for route in self.config.core_routes()],
            inputs=sorted({route.topic for route in self.config.core_routes()}),
            outputs=list(topics.plan.names()),
        )
        self.worker = Worker(self.config, topics, metrics=self.metrics, **self._options)
        self.task = asyncio.create_task(self.worker.run())

    @property
    def client_id(self) -> str:
        """Its ``transactional.id`` and member name."""
        return self.worker._around.client_id

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the labels that are not named; 0.0 without a sample."""
        full = PREFIX + name
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == full and labels.items() <= sample.labels.items()
        )

    async def until(self, name: str, value: float, within: float = 30.0, **labels: str) -> None:
        """Wait until a metric has at least this value.

        Raises:
            TimeoutError: it had not in time.
        """
        await self._until(lambda: self.metric(name, **labels) >= value, within)

    async def until_is(self, name: str, value: float, within: float = 30.0, **labels: str) -> None:
        """Wait until a metric has just this value.

        What the worker did can be read in the topics before the worker hears of its commit and counts.

        Raises:
            TimeoutError: it had not in time.
        """
        await self._until(lambda: self.metric(name, **labels) == value, within)

    async def _until(self, holds: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not holds():
                if self.task.done():
                    await self.task
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End in order, as SIGTERM does, and wait for the end.

        Raises:
            ConnectorError: why it ended before.
        """
        self.worker.stop()
        async with asyncio.timeout(STOP_SECONDS):
            await self.task
