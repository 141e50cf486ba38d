"""`extend-connector schemas list`: the subjects, their versions and ids, equal or different."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.adapters.registry import SchemaRegistry
from connector.cli.inflight import WIDTH, cell, print_lines
from connector.cli.loading import ConfigOption
from connector.cli.schemas.looking import Subject, look, settings_of


def list_(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per subject and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the subject of each result topic: version and id of this connector's schema, or how it differs.

    equal: the newest version is this schema. older: it is a version, and there is a newer one. different: it is none of
    them. missing: there is no such subject.

    Example: extend-connector schemas list --json
    """
    settings = settings_of(config)
    found = asyncio.run(look(settings, SchemaRegistry(settings.schema_registry)))
    if as_json:
        print_lines([_line(each) for each in found])
        return
    table = Table("subject", "topics", "state", "version", "id", "newest version", box=None)
    for each in found:
        newest = None if each.latest is None else each.latest.version
        known = (None, None) if each.found is None else (each.found.version, each.found.schema_id)
        table.add_row(cell(each.name), cell(", ".join(each.topics)), each.state, *map(cell, (*known, newest)))
    Console(width=WIDTH).print(table)


def _line(subject: Subject) -> dict[str, object]:
    return {
        "subject": subject.name,
        "topics": list(subject.topics),
        "state": subject.state,
        "version": None if subject.found is None else subject.found.version,
        "id": None if subject.found is None else subject.found.schema_id,
        "newest_version": None if subject.latest is None else subject.latest.version,
    }
