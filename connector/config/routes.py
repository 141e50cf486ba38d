"""The mapping ``routes``: what the references of a topic mean when they do not say it themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connector.config.frozen import ReadOnly, Veiled, thaw
from connector.config.mapping import Conditions, Fields, fields_of, when_or_none
from connector.config.nearest import one_of
from connector.config.section import FilePath, FreeMapping, Name, Section, Text
from connector.core.route import Route as CoreRoute
from connector.core.run_types import RUN_TYPES
from connector.core.tag import METADATA_KEY

MAX_METADATA_BYTES = 9 * 1024
"""Of a route's metadata as JSON: the API takes 10 KB, with the tag in it."""

EXTRA_FIELDS = frozenset(name for row in RUN_TYPES.values() for name in row.extra_fields)
"""Create fields of some run type that have no key of their own."""

_SECRET_FIELDS = frozenset({"secrets"})

_NOTHING: Mapping[str, object] = ReadOnly()


def _run_type(name: str) -> str:
    return one_of(name, tuple(RUN_TYPES), "run types")


def _metadata(value: Mapping[str, object]) -> Mapping[str, object]:
    if METADATA_KEY in value:
        raise ValueError(f"may not hold the key {METADATA_KEY}: the connector puts the tag there")
    size = len(json.dumps(thaw(value), ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"is {size} bytes of JSON; at most {MAX_METADATA_BYTES} fit beside the connector's tag")
    return value


def _create(value: Mapping[str, object]) -> Mapping[str, object]:
    for name in _SECRET_FIELDS & value.keys():
        if not isinstance(value[name], Mapping):
            message = f"holds {name} that are no mapping of names to secrets"
            raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return ReadOnly(
        {
            name: Veiled(item) if name in _SECRET_FIELDS and isinstance(item, Mapping) else item
            for name, item in value.items()
        }
    )


class RouteOutput(Section):
    """The results of one route."""

    prefix: Name | Literal[""] = ""
    """What the names of the route's result topics begin with. Default: `output.prefix`, as for all dead letters."""

    typed: bool = False
    """Whether results carry the output as a record too, in the field `value` ([typed results](typed-results.md))."""

    schema_file: FilePath | None = None
    """With `typed`: the Avro schema of the route's results, as `schemas generate --route` has written it."""


class Route(Section):
    """What to do with the records of one topic, or with some of them. What a reference says itself wins."""

    topic: Name | Literal[""] = ""
    """The input topic. Default: the route's name."""

    when: Conditions = _NOTHING
    """Which records of the topic it takes ([field mapping](field-mapping.md)), for example
    `{type: invoice, header(kind): [a, b]}`. The first route whose conditions all hold wins. Default: all records."""

    fields: Fields = _NOTHING
    """Where in a record the reference is ([field mapping](field-mapping.md)), for example
    `{url: payload.location, document_id: id}`. Default: the record is the reference."""

    run: Annotated[Text, AfterValidator(_run_type)] | None = None
    """`extract`, `classify`, `split`, `parse`, `edit` or `workflow`. Without it every reference names its own."""

    processor: Text | None = None
    """Id of the extractor, classifier, splitter, workflow or edit template."""

    version: Text | None = None
    """The processor's version, in quotes: `"2.1"`, `latest` or `draft`. Default: the API's choice."""

    config: FreeMapping | None = None
    """The run's inline config, or with a processor what overrides the processor's."""

    priority: Annotated[int, Field(ge=1, le=100)] | None = None
    """1 to 100; lower runs first. Default: the API's choice."""

    metadata: Annotated[FreeMapping, AfterValidator(_metadata)] = _NOTHING
    """What every run's metadata holds; a reference's own keys win."""

    create: Annotated[FreeMapping, AfterValidator(_create)] = _NOTHING
    """Every other field of the create body, by the API's name: `dataRetention`, `outputs`, `secrets`."""

    output: RouteOutput = RouteOutput()
    """Where the route's results go, and how."""

    def core(self, name: str) -> CoreRoute:
        """The route as the core knows it."""
        return CoreRoute(
            name=name,
            topic=self.topic or name,
            run=self.run,
            processor=self.processor,
            version=self.version,
            config=self.config,
            priority=self.priority,
            metadata=self.metadata,
            create=self.create,
            when=when_or_none(self.when),
            mapping=fields_of(self.fields),
        )
