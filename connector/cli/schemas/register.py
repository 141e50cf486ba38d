"""`extend-connector schemas register`: make the schemas known, whatever a worker itself may do."""

from __future__ import annotations

import asyncio

import typer

from connector.adapters.registry import SchemaRegistry
from connector.cli.loading import ConfigOption
from connector.cli.schemas.looking import look, settings_of
from connector.config import Config
from connector.core.errors import RegistryRefused


def register(*, config: ConfigOption = None) -> None:
    """Register the schema of every result topic that the registry does not have under its subject.

    What is there already stays as it is. Exit code 1 when the registry refuses one; the others are registered all the
    same.

    Example: extend-connector schemas register --config connector.yaml
    """
    if not asyncio.run(_register(settings_of(config))):
        raise typer.Exit(1)


async def _register(config: Config) -> bool:
    registry, good = SchemaRegistry(config.schema_registry), True
    for subject in await look(config, registry):
        if subject.found is not None:
            typer.echo(f"{subject.name}: there already, version {subject.found.version}, id {subject.found.schema_id}.")
            continue
        try:
            schema_id = await registry.register(subject.name, subject.text)
        except RegistryRefused as error:
            good = False
            typer.echo(f"{subject.name}: refused. {error}", err=True)
        else:
            typer.echo(f"{subject.name}: registered, id {schema_id}.")
    return good
