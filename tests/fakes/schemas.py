"""A schema registry as the event loop sees it: answers after a time, and what it answers may change at any moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.core.errors import RegistryUnavailable, SchemaNotFound


@dataclass
class FakeSchemas:
    """Has schemas by id.

    Attributes:
        schemas: what it has; an error is raised instead.
        down: it does not answer at all.
        seconds: until an answer.
        asked: the ids, in the order in which they were asked for.
        open: requests under way.
        most_open: the most of them at once.
    """

    schemas: dict[int, Mapping[str, object] | str | Exception] = field(default_factory=dict)
    down: bool = False
    seconds: float = 0.01
    asked: list[int] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    async def schema_by_id(self, schema_id: int) -> str:
        self.asked.append(schema_id)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.open -= 1
        if self.down:
            raise RegistryUnavailable("the registry is down")
        found = self.schemas.get(schema_id, SchemaNotFound("no schema has this id"))
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, str) else json.dumps(found)
