"""`schemas generate`: from a JSON Schema to the schema that a route's typed results have."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from connector import logs
from connector.adapters.http import HttpApi
from connector.cli.loading import ConfigOption, load_without_key
from connector.client import ExtendClient
from connector.config import Config, load_extend
from connector.config.frozen import thaw
from connector.config.nearest import one_of
from connector.config.routes import Route
from connector.core.errors import ConfigurationError, Problem
from connector.core.formats.framing import Codec
from connector.core.formats.schema_limits import SchemaRefused
from connector.core.typed.difference import Change, changes
from connector.core.typed.json_schema import Group, Inexpressible, read_schema
from connector.core.typed.shapes import SHAPES
from connector.core.typed.typed_results import typed_schema, without_values
from connector.schema_files import load_schema
from connector.typed_routes import read_schema_file, version_path

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_SECONDS = 30.0


def generate(
    *,
    name: Annotated[str, typer.Option("--route", help="Whose results.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A file with the JSON Schema of an extract route, instead of the API."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Make the Avro schema of a route with typed results, and show what it changes for readers.

    It is written to routes.<name>.output.schema_file, after the JSON Schema of the route's extractor, which is read
    from the API; for classify, split and parse it is the same for every processor. The version that was there stays
    beside it, as <name>.<fingerprint>.avsc, for whoever reads older results. Commit both.

    Example: extend-connector schemas generate --route invoices

    Example: extend-connector schemas generate --route invoices --from invoice.schema.json --dry-run
    """
    logs.silence()
    route = _route(load_without_key(config, unneeded={"kafka", "schema_registry"}), name)
    path = Path(str(route.output.schema_file))
    try:
        schema = typed_schema(load_schema("run_result"), name, _value(config, route, source))
        old = read_schema_file(path) if path.exists() else None
    except (Inexpressible, SchemaRefused) as error:
        raise ConfigurationError([Problem(f"routes.{name}.output", f"has no schema: {error}")]) from None
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if old == schema:
        typer.echo(f"{path} is as it should be.")
        return
    if not dry_run:
        _write(path, text, old, schema)
    _tell(path, old, schema, dry_run=dry_run)


def _route(settings: Config, name: str) -> Route:
    try:
        route = settings.routes[one_of(name, tuple(settings.routes), "routes")]
    except ValueError as error:
        raise typer.BadParameter(f"--route {error}.") from None
    if not route.output.typed:
        message = "is not set: set typed: true, prefix and schema_file, the file that is going to be written"
        raise ConfigurationError([Problem(f"routes.{name}.output.typed", message)])
    return route


def _value(config: Path | None, route: Route, source: Path | None) -> Group:
    """What the results of the route hold."""
    fixed = SHAPES.get(str(route.run))
    if fixed is not None:
        if source is not None:
            raise typer.BadParameter(f"--from goes with extract routes: the output of {route.run} has its own shape.")
        return read_schema(fixed)
    if source is not None:
        return read_schema(read_schema_file(source))
    inline = (route.config or {}).get("schema")
    if inline is not None:
        # Lists are tuples in a configuration, and the schema is read as JSON.
        return read_schema(thaw(inline))
    if route.processor is None:
        raise Inexpressible("", "the route has neither processor nor config.schema", "name its JSON Schema with --from")
    return read_schema(asyncio.run(_ask(load_extend(config, os.environ), route.processor, route.version or "latest")))


async def _ask(settings: Config, extractor: str, version: str) -> object:
    extend = settings.extend
    client = ExtendClient(HttpApi(extend.base_url, extend.api_key.reveal(), workspace_id=extend.workspace_id))
    try:
        return await client.extractor_schema(extractor, version, _SECONDS)
    finally:
        await client.aclose()


def _write(path: Path, text: str, old: dict[str, object] | None, schema: dict[str, object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text, _fingerprint(old), _fingerprint(schema))
    except OSError as error:
        raise ConfigurationError([Problem("schema_file", f"cannot be written ({path}): {error.strerror}")]) from None


def _put(path: Path, text: str, before: bytes | None, now: bytes | None) -> None:
    """Whole or not at all: half a file would keep workers from starting."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        if before is not None and before != now:
            path.replace(version_path(path, before))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _fingerprint(schema: dict[str, object] | None) -> bytes | None:
    """Of a schema that may be anything: the file was there before."""
    if schema is None:
        return None
    try:
        return Codec(schema).fingerprint
    except SchemaRefused:
        return None


def _tell(path: Path, old: dict[str, object] | None, schema: dict[str, object], *, dry_run: bool) -> None:
    verb = "would be written" if dry_run else "is written"
    typer.echo(f"{path} {verb}, fingerprint {Codec(schema).fingerprint.hex()}.")
    found = changes(without_values(schema) if old is None else old, schema)
    for each in found:
        warning = "" if each.readable else "   readers of the last version cannot read it"
        typer.echo(f"{_SIGNS[each.kind]} {each.path}   {each.types}{warning}")
    if old is not None:
        typer.echo(_verdict(found, same=_fingerprint(old) == _fingerprint(schema)))


def _verdict(found: list[Change], *, same: bool) -> str:
    if not found:
        return "Only descriptions or names of properties change; readers notice nothing."
    if same:
        return (
            "The two versions have one fingerprint and cannot be told apart by it: give the route another prefix, so "
            "that no topic holds both."
        )
    if all(each.readable for each in found):
        return "Who resolves to the last version can still read. Give the file to readers before workers use it."
    return (
        "Who resolves to the last version cannot read what is written from now on: move readers to the new one first, "
        "or give the route another prefix."
    )
