"""Results in whichever framing they have: one topic holds both, from before and after a registry was configured."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from connector.adapters.registry import SchemaRegistry
from connector.config import Config
from connector.core.errors import SchemaNotFound, SchemaUnusable
from connector.core.formats.avro import AvroSchema, Undecodable
from connector.core.formats.framing import (
    CONFLUENT_MARKER,
    Codec,
    as_single_object,
    confluent_schema_id,
)
from connector.core.formats.schema_limits import Schema, SchemaRefused
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.reasons import Reason
from connector.schema_files import load_schemas
from connector.typed_routes import known_results


class Reads(Protocol):
    """Reads a result's fields."""

    def decode(self, data: bytes) -> dict[str, object]:
        """The fields; raises ``Undecodable``."""


def result_reader(config: Config) -> Reads:
    """What reads the results of a connector."""
    registry = SchemaRegistry(config.schema_registry) if config.schema_registry.url else None
    return FramedResults(known_results(config), registry)


@dataclass(slots=True)
class _Writer:
    """What an id names, parsed once.

    Attributes:
        schema: its JSON.
        fingerprint: of that.
        newer: reads it where it is newer than this connector: what this one knows of it is read all the same.
    """

    schema: Schema
    fingerprint: bytes
    newer: Codec | None = None


class FramedResults:
    """Reads both framings. What the registry's ids name is asked once; asking blocks, as in a command it may."""

    def __init__(self, known: Reads, registry: SchemaRegistry | None) -> None:
        """A reader.

        Args:
            known: reads single objects of the schemas that come with the connector.
            registry: knows the ids; None where none is configured.
        """
        self._known = known
        self._registry = registry
        self._writers: dict[int, _Writer | Undecodable] = {}

    def decode(self, data: bytes) -> dict[str, object]:
        """The fields.

        Raises:
            Undecodable: as ``Codec.decode``; or no registry is configured, or it does not have the id.
            RegistryError: it cannot be asked.
        """
        if not data.startswith(CONFLUENT_MARKER):
            return self._known.decode(data)
        writer = self._writer(confluent_schema_id(data))
        single = as_single_object(data, writer.fingerprint)
        if writer.newer is None:
            try:
                return self._known.decode(single)
            except Undecodable as error:
                if error.reason is not Reason.UNKNOWN_SCHEMA:
                    raise
            own, versions = load_schemas("run_result")
            writer.newer = Codec(own, [*versions, writer.schema])
        return writer.newer.decode(single)

    def _writer(self, schema_id: int) -> _Writer:
        if schema_id not in self._writers:
            self._writers[schema_id] = self._asked(schema_id)
        found = self._writers[schema_id]
        if isinstance(found, Undecodable):
            raise found
        return found

    def _asked(self, schema_id: int) -> _Writer | Undecodable:
        if self._registry is None:
            return Undecodable(
                Reason.UNKNOWN_SCHEMA,
                f"It is framed for a schema registry (schema id {schema_id}), and schema_registry.url is not set.",
            )
        try:
            schema = parse_json(asyncio.run(self._registry.schema_by_id(schema_id)))
            if not isinstance(schema, dict):
                return Undecodable(Reason.UNDECODABLE, f"The schema with id {schema_id} is no record.")
            return _Writer(schema, AvroSchema(schema).fingerprint)
        except (SchemaNotFound, SchemaUnusable) as error:
            return Undecodable(Reason.UNKNOWN_SCHEMA, str(error))
        except (NotJson, SchemaRefused) as error:
            return Undecodable(Reason.UNDECODABLE, f"The schema with id {schema_id} is not read with: {error}")
