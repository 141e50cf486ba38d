"""Between consuming and accepting: ask the schema registry for the schemas that partitions wait for.

Nothing is lost by a registry that is down: it is asked for as long as a partition waits, and that partition's records
stay where they are. Only what the registry says for certain ends the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.core.errors import RegistryError, SchemaNotFound, SchemaUnusable
from connector.core.formats.writer_schemas import Learnt, WriterSchemas
from connector.logs import logger

ABSENT_AGAIN = (1.0, 2.0, 4.0, 8.0)
"""Seconds until an id that the registry does not have is asked for again: it may be a replica that is late. Then its
records become dead letters."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between two requests while the registry does not answer."""
MOST_DOUBLINGS = 10


class Registry(Protocol):
    """Tells schemas; see ``connector.adapters.registry``."""

    async def schema_by_id(self, schema_id: int) -> str:
        """The schema's text.

        Raises:
            SchemaNotFound: for certain there is none.
            SchemaUnusable: there is, and it cannot be used.
            RegistryError: it cannot be told now.
        """


class Learner:
    """Asks for one schema after the other, each as long as somebody waits for it."""

    def __init__(
        self,
        *,
        registry: Registry,
        schemas: WriterSchemas,
        wanted: Callable[[int], bool],
        learnt: Callable[[], None],
        spawn: Callable[[Coroutine[object, object, None]], None],
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """Build the step.

        Args:
            registry: who knows.
            schemas: what is known; the decoder reads there.
            wanted: whether a partition still waits for a schema.
            learnt: told when there is nothing more to ask about one of them.
            spawn: runs a coroutine in the pipeline's task group.
            random: from 0 to 1, so that workers do not ask in step.
            metrics: where to count.
        """
        self._registry = registry
        self._schemas = schemas
        self._wanted = wanted
        self._learnt = learnt
        self._spawn = spawn
        self._random = random
        self._metrics = metrics
        self._asking: set[int] = set()
        # Held while the registry is down too: an outage is asked about by one, and by another one each time, so that
        # one schema that never arrives does not keep the others waiting.
        self._turn = asyncio.Lock()
        self._failures = 0

    def knows(self, schema_id: int) -> bool:
        """Whether there is nothing to ask about an id."""
        return self._schemas.knows(schema_id)

    def want(self, schema_ids: Sequence[int]) -> None:
        """A partition waits for these."""
        for schema_id in schema_ids:
            if schema_id not in self._asking and not self.knows(schema_id):
                self._asking.add(schema_id)
                self._spawn(self._learn(schema_id))

    async def _learn(self, schema_id: int) -> None:
        absences = 0
        try:
            while self._wanted(schema_id) and not self.knows(schema_id):
                if not await self._is_absent(schema_id):
                    continue
                if absences == len(ABSENT_AGAIN):
                    self._schemas.absent(schema_id)
                else:
                    await asyncio.sleep(ABSENT_AGAIN[absences])
                    absences += 1
        finally:
            self._asking.discard(schema_id)
            if not self._asking:  # the partitions that waited may be somebody else's
                self._failures = 0
                self._metrics.registry_unavailable.set(0)
        if self.knows(schema_id):
            self._learnt()

    async def _is_absent(self, schema_id: int) -> bool:
        """Ask once; whether the registry says that there is no such schema."""
        async with self._turn:
            try:
                text = await self._registry.schema_by_id(schema_id)
            except SchemaNotFound:
                self._answered("absent")
                return True
            except SchemaUnusable as error:
                self._schemas.refuse(schema_id, str(error))
                self._answered(Learnt.REFUSED)
            except RegistryError as error:
                await self._wait_out(error)
                return False
            else:
                self._answered(self._schemas.learn(schema_id, text))
        if why := self._schemas.refusal(schema_id):
            logger.error("schema_refused", schema_id=schema_id, why=why)
        return False

    async def _wait_out(self, error: RegistryError) -> None:
        self._metrics.schema_lookups.labels(result="unavailable").inc()
        if not self._failures:
            self._metrics.registry_unavailable.set(1)
            logger.warning("registry_unavailable", error=str(error), then="partitions that need a new schema wait")
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, MOST_DOUBLINGS)
        await asyncio.sleep(pause * (0.5 + self._random() / 2))

    def _answered(self, result: str) -> None:
        self._metrics.schema_lookups.labels(result=result).inc()
        if self._failures:
            self._failures = 0
            self._metrics.registry_unavailable.set(0)
            logger.info("registry_available")
