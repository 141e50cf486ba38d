"""`extend-connector check`: is the configuration right, and what does it come to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connector.cli.loading import ConfigOption, examine_all
from connector.cli.registered_inputs import compared
from connector.config import Parsed
from connector.config.document import page
from connector.config.file_modes import exposed_files
from connector.config.reference import json_schema, rows
from connector.core.errors import ConfigurationError, Problem

_WIDTH = 400
"""Wide enough that a pipe gets one line per key."""


def check(
    *,
    config: ConfigOption = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of the configuration file, and nothing else.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the page docs/configuration.md, and nothing else.")
    ] = False,
    registry: Annotated[
        bool,
        typer.Option("--registry", help="Ask the schema registry too: can the routes' mappings match their topics?"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per key and warning, and line.")] = False,
) -> None:
    """Validate the configuration, offline, and show every key with its value and where it comes from.

    All problems are listed at once, with exit code 2. Secrets are never shown. With --registry, fields and conditions
    of routes that no record of their topic's newest schema can have are problems too.

    Example: extend-connector check --config connector.yaml

    Example: extend-connector check --schema > connector.schema.json
    """
    if schema:
        typer.echo(json_schema(), nl=False)
        return
    if reference:
        typer.echo(page(), nl=False)
        return
    parsed = _with_exposed(examine_all(config))
    if registry:
        parsed = _with_registered(parsed)
    if as_json:
        _print_lines(parsed)
    else:
        _print_table(parsed)


def _with_exposed(parsed: Parsed) -> Parsed:
    found = (parsed.problem(path, sentence) for path, sentence in exposed_files(parsed.config))
    return replace(parsed, warnings=(*parsed.warnings, *found))


def _with_registered(parsed: Parsed) -> Parsed:
    """The configuration beside the schemas that are registered.

    Raises:
        ConfigurationError: a route can never match, or there is no registry to ask.
        RegistryError: it cannot be asked.
    """
    if not parsed.config.schema_registry.url:
        raise ConfigurationError([Problem("schema_registry.url", "is not set: --registry has nobody to ask")])
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for each in asyncio.run(compared(parsed.config)):
        typer.echo(f"{each}.", err=True)
        for route, misfit in each.misfits:
            found = parsed.problem(("routes", route, *misfit.key), f"{misfit.message} ({each.schema})")
            (problems if misfit.fatal else warnings).append(found)
    if problems:
        raise ConfigurationError(problems)
    return replace(parsed, warnings=(*parsed.warnings, *warnings))


def _print_lines(parsed: Parsed) -> None:
    for row in rows(parsed):
        typer.echo(json.dumps({"key": row.key, "value": row.value, "source": row.source}, ensure_ascii=False))
    for warning in parsed.warnings:
        fields = {"key": warning.path, "warning": warning.message, "source": warning.source, "line": warning.line}
        typer.echo(json.dumps(fields, ensure_ascii=False))


def _print_table(parsed: Parsed) -> None:
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table("key", "value", "source", box=None, pad_edge=False)
    for row in rows(parsed):
        style = "dim" if row.source == "default" else None
        table.add_row(escape(row.key), escape(row.shown), escape(row.source), style=style)
    console.print(table)
    for warning in parsed.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    typer.echo(
        "The configuration is right." if not parsed.warnings else "The configuration is right; see the warnings."
    )
