"""Before a worker joins: every schema that it writes has an id in the schema registry.

The ids are asked for at the start and never again. A worker that runs does not need the registry to write, and one that
cannot know its ids does not begin: another framing than the one before would break the readers of its topics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

from connector.adapters.registry import Registered, SchemaRegistry
from connector.config import Config
from connector.core.errors import RegistryRefused, RegistryUnavailable
from connector.core.formats.same_schema import same_for_readers
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.result import ResultCodec
from connector.logs import logger
from connector.output_schemas import ANY_ROUTE, OutputSchema, output_schemas

CodecOf = Callable[[str, str], ResultCodec]
"""What encodes the results of a route for a topic, by both names."""

Rule = Literal["missing", "always", "never"]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between attempts while the registry is down; each is twice as long as the one before."""


async def result_codecs(config: Config, over: asyncio.Event, waits: Callable[[str], None]) -> CodecOf | None:
    """What encodes the results; with a registry once it knows all schemas, however long that takes.

    Args:
        config: the configuration.
        over: set when the process shall end.
        waits: told why nothing has begun yet, each time anew.

    Returns:
        None when ``over`` was set first.

    Raises:
        RegistryRefused: a person has to do something first; the sentence says what.
    """
    outputs = output_schemas(config)
    if not config.schema_registry.url:
        return _codec_of({(each.route, each.topic): each.codec for each in outputs})
    registry, pause = SchemaRegistry(config.schema_registry), FIRST_PAUSE
    while not over.is_set():
        try:
            ids = await announce(outputs, registry, config.schema_registry.auto_register)
        except RegistryUnavailable as error:
            logger.warning("registry_awaited", problem=str(error), again_in_seconds=pause)
            waits(f"The ids of the output schemas are not known yet. {error}")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await over.wait()
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return _codec_of({(each.route, each.topic): each.codec.framed(ids[each.subject]) for each in outputs})
    return None


async def announce(outputs: Sequence[OutputSchema], registry: SchemaRegistry, rule: Rule) -> dict[str, int]:
    """The id of each subject's schema; registers what the rule allows.

    Args:
        outputs: the schemas.
        registry: where they are, or come.
        rule: ``schema_registry.auto_register``.

    Raises:
        RegistryUnavailable: nobody answers sensibly.
        RegistryRefused: a schema is not there and may not be registered, or the registry refuses it.
    """
    return {subject: await _announce(subject, text, registry, rule) for subject, text in distinct(outputs)}


def distinct(outputs: Sequence[OutputSchema]) -> tuple[tuple[str, str], ...]:
    """Each subject once with its schema's text, in order.

    Raises:
        RegistryRefused: two schemas want one subject; a worker would write what its readers do not expect.
    """
    texts: dict[str, str] = {}
    for each in outputs:
        if texts.setdefault(each.subject, each.text) != each.text:
            raise RegistryRefused(
                f"Two schemas want the subject {each.subject}: give the route a prefix of its own, or set "
                "schema_registry.subject_naming to topic-record."
            )
    return tuple(texts.items())


async def find(subject: str, text: str, registry: SchemaRegistry) -> tuple[Registered | None, Registered | None]:
    """Where a subject has a schema, and its newest version: both None where there is no such subject.

    The newest version counts as the same when it is for every reader: documentation makes no other schema, the places
    of a decimal do.
    """
    found = await registry.look_up(subject, text)
    latest = await registry.latest(subject)
    if found is None and latest is not None and _same(latest.schema_text, text):
        found = latest
    return found, latest


async def _announce(subject: str, text: str, registry: SchemaRegistry, rule: Rule) -> int:
    found, latest = await find(subject, text, registry)
    if found is not None:
        return found.schema_id
    if rule == "never" or (rule == "missing" and latest is not None):
        there = "does not exist" if latest is None else f"has version {latest.version}, which is another schema"
        raise RegistryRefused(
            f"The subject {subject} of the schema registry {registry.address} {there}, and "
            f"schema_registry.auto_register is {rule}: `extend-connector schemas check` says whether it would be "
            "taken, `extend-connector schemas register` registers it."
        )
    schema_id = await registry.register(subject, text)
    logger.info("schema_registered", subject=subject, schema_id=schema_id)
    return schema_id


def _same(one: str, other: str) -> bool:
    try:
        return same_for_readers(parse_json(one), parse_json(other))
    except NotJson:
        return False


def _codec_of(known: Mapping[tuple[str, str], ResultCodec]) -> CodecOf:
    def codec_of(route: str, topic: str) -> ResultCodec:
        return known.get((route, topic)) or known[(ANY_ROUTE, topic)]

    return codec_of
