"""The schema registry as commands ask it: when a record needs a schema, and once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from connector.adapters.registry import SchemaRegistry
from connector.assembly import writer_schemas
from connector.clock import Clock
from connector.config import Config
from connector.core.errors import SchemaAwaited, SchemaNotFound, SchemaUnusable

_Found = TypeVar("_Found")


class AskedSchemas:
    """Asks while it is waited for; a worker has ``connector.learn`` instead.

    Attributes:
        writers: what is known, for the decoder; None without a registry.
    """

    def __init__(self, config: Config) -> None:
        """Nothing is asked yet."""
        self.writers = writer_schemas(config, Clock())
        self._config = config

    def asked(self, work: Callable[[], _Found]) -> _Found:
        """What some work with a decoder comes to, when every schema that it needs has been asked for.

        Args:
            work: done again after each answer.

        Raises:
            RegistryError: the registry cannot be asked, or refuses; nothing is said about the record then.
        """
        while True:
            try:
                return work()
            except SchemaAwaited as awaited:
                asyncio.run(self._ask(awaited))

    async def _ask(self, awaited: SchemaAwaited) -> None:
        if self.writers is None:
            raise awaited
        schema_id = awaited.schema_id
        try:
            text = await SchemaRegistry(self._config.schema_registry).schema_by_id(schema_id)
        except SchemaNotFound:
            self.writers.absent(schema_id)
        except SchemaUnusable as error:
            self.writers.refuse(schema_id, str(error))
        else:
            self.writers.learn(schema_id, text)
