"""Every schema that a worker writes to the result topics, with its subject in the schema registry."""

from __future__ import annotations

import json
from dataclasses import dataclass

from connector.config import Config
from connector.core.formats.framing import Codec
from connector.core.run_types import status_topics
from connector.core.subjects import subject_of
from connector.schema_files import load_schema, load_schemas

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
    text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    naming = config.schema_registry.subject_naming
    return tuple(
        OutputSchema(ANY_ROUTE, topic, subject_of(naming, topic, schema), text, codec)
        for topic in status_topics(config.output.prefix)
    )
