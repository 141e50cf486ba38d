"""`extend-connector schemas show`: one schema, as the registry has it or as this connector writes it."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from connector.adapters.registry import SchemaRegistry
from connector.announce import distinct
from connector.cli.loading import ConfigOption, load_for_registry
from connector.cli.schemas.looking import settings_of
from connector.config.nearest import one_of
from connector.core.errors import ConnectorError
from connector.output_schemas import output_schemas


def show(
    what: Annotated[str, typer.Argument(metavar="SUBJECT|ID", help="A subject, or a schema's id.")],
    *,
    own: Annotated[bool, typer.Option("--own", help="What this connector writes there; asks no registry.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the newest schema of a subject, or the one with an id, as JSON.

    Example: extend-connector schemas show documents.processed-value

    Example: extend-connector schemas show documents.processed-value --own
    """
    if own:
        texts = dict(distinct(output_schemas(load_for_registry(config))))
        try:
            text = texts[one_of(what, tuple(texts), "subjects")]
        except ValueError as error:
            raise typer.BadParameter(f"SUBJECT {error}.") from None
    else:
        registry = SchemaRegistry(settings_of(config).schema_registry)
        text = asyncio.run(_asked(registry, what))
    typer.echo(_readable(text))


async def _asked(registry: SchemaRegistry, what: str) -> str:
    if what.isascii() and what.isdecimal():
        return await registry.schema_by_id(int(what))
    found = await registry.latest(what)
    if found is None:
        raise ConnectorError(f"The schema registry {registry.address} has no subject {what}.")
    return found.schema_text


def _readable(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
