"""Routes beside the schemas that are registered for their input topics: what can never match, before a record comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.adapters.registry import SchemaRegistry
from connector.config import Config
from connector.core.accept.schema_fit import Misfit, misfits
from connector.core.errors import RegistryError, SchemaUnusable
from connector.core.formats.avro import SchemaRefused
from connector.core.formats.writer_schemas import schema_of
from connector.core.route import Route
from connector.logs import logger
from connector.schema_files import load_schema

_OURS = "document_reference"


@dataclass(frozen=True, slots=True)
class Compared:
    """One input topic and what is registered for it.

    Attributes:
        schema: its subject and version; the subject alone where nothing is registered.
        routes: the routes that were compared with it.
        misfits: by route, what no record of the schema can have.
        missing: nothing is registered.
    """

    schema: str
    routes: tuple[str, ...]
    misfits: tuple[tuple[str, Misfit], ...] = ()
    missing: bool = False

    def __str__(self) -> str:
        if self.missing:
            return f"{self.schema} is not registered: the routes {', '.join(self.routes)} were compared with nothing"
        return f"{self.schema} was compared with the routes {', '.join(self.routes)}"


async def compared(config: Config) -> list[Compared]:
    """Every topic whose routes look into values, beside the newest schema of its subject ``<topic>-value``.

    Args:
        config: with a schema registry.

    Raises:
        RegistryError: it cannot be asked.
    """
    registry = SchemaRegistry(config.schema_registry)
    by_topic: dict[str, list[Route]] = {}
    for route in config.core_routes():
        if route.mapping is not None or route.when is not None:
            by_topic.setdefault(route.topic, []).append(route)
    return [await _compared(registry, topic, routes) for topic, routes in by_topic.items()]


async def _compared(registry: SchemaRegistry, topic: str, routes: Sequence[Route]) -> Compared:
    names = tuple(route.name for route in routes)
    subject = f"{topic}-value"
    try:
        registered = await registry.latest(subject)
        if registered is None:
            return Compared(f"subject {subject}", names, missing=True)
        shown = f"subject {subject}, version {registered.version}"
        schema = schema_of(registered.schema_text)
    except (SchemaUnusable, SchemaRefused) as error:
        whole = Misfit(("topic",), f"has a schema that records cannot be read with: {error}", fatal=True)
        return Compared(f"subject {subject}", names, tuple((name, whole) for name in names))
    own = load_schema(_OURS)
    if schema.name == f"{own['namespace']}.{own['name']}":  # whose parts that are text in Avro are objects to a mapping
        return Compared(shown, names)
    found = tuple((route.name, misfit) for route in routes for misfit in misfits(route, schema))
    return Compared(shown, names, found)


async def warn_of_misfits(config: Config) -> None:
    """Log what can never match. It is no error: other records may come, and the registry may be down."""
    if not config.schema_registry.url:
        return
    try:
        found = await compared(config)
    except RegistryError as error:
        logger.info("mappings_not_compared", error=str(error))
        return
    for each in found:
        for route, misfit in each.misfits:
            logger.warning(
                "mapping_never_matches",
                route=route,
                key=".".join(misfit.key),
                why=misfit.message,
                schema=each.schema,
            )
