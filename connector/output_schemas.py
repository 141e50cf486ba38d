"""Every schema that a worker writes to the result topics, with its subject in the schema registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from connector.config import Config
from connector.core.formats.framing import Codec
from connector.core.formats.schema_limits import Schema
from connector.core.run_types import status_topics
from connector.core.subjects import subject_of
from connector.schema_files import load_schema, load_schemas
from connector.typed_routes import typed_routes

ANY_ROUTE = ""
"""Results of every route that has no schema of its own, and of routes that have left the configuration."""


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """What the results of a route on a topic are written with.

    Attributes:
        route: the route's name, or ``ANY_ROUTE``.
        topic: the topic.
        subject: where the registry has the schema.
        text: the schema as it is registered: one line of JSON, documentation and logical types included.
        codec: writes it.
    """

    route: str
    topic: str
    subject: str
    text: str
    codec: Codec


def output_schemas(config: Config) -> tuple[OutputSchema, ...]:
    """The schemas of all result topics, by route."""
    codec, schema = Codec(*load_schemas("run_result")), load_schema("run_result")
    typed, prefixes = typed_routes(config), config.prefixes()
    plain = dict.fromkeys((config.output.prefix, *(prefixes[name] for name in prefixes if name not in typed)))
    return (
        *(each for prefix in plain for each in _of(config, ANY_ROUTE, prefix, schema, codec)),
        *(each for name, own in typed.items() for each in _of(config, name, prefixes[name], own.schema, own.codec)),
    )


def _of(config: Config, route: str, prefix: str, schema: Schema, codec: Codec) -> Iterator[OutputSchema]:
    text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    naming = config.schema_registry.subject_naming
    for topic in status_topics(prefix):
        yield OutputSchema(route, topic, subject_of(naming, topic, schema), text, codec)
