"""`extend-connector inflight`: the open documents, from the journal; no worker is needed."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connector.cli.journal_look import JournalLook
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.clock import Clock
from connector.config.nearest import one_of
from connector.core.entry import Entry, State
from connector.core.open_documents import age_seconds, age_text, dashboard_url, oldest_first

WIDTH = 400
"""Columns of a table: a name that is cut is of no use, so a narrow terminal may wrap the line itself."""
_STATES = tuple(state.value for state in State)


def inflight(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this state: {', '.join(_STATES)}. May be given several times."),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="Only documents of this route. May be given several times."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the oldest so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per document and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the open documents, the oldest first: accepted, started, under review or parked, without a result yet.

    They are read from the journal, so no worker needs to run. An API key is not needed.

    Example: extend-connector inflight --state started --limit 20
    """
    states = {_state(each) for each in state or ()}
    settings = load_for_kafka(config)
    found = JournalLook(settings, "inflight").open_documents()
    entries = oldest_first(found.entries, states=states, routes=set(route or ()))[:limit]
    now_ms = Clock().wall_ms()
    rows = [_row(entry, now_ms, settings.extend.base_url) for entry in entries]
    if as_json:
        print_lines(rows)
    elif rows:
        _print_table(rows)
    else:
        typer.echo("No document is open." if not (state or route) else "No such document is open.", err=True)
    end_with(found.unreadable)


def print_lines(rows: list[dict[str, object]]) -> None:
    """One JSON object per row and line."""
    for row in rows:
        typer.echo(msgspec.json.encode(row))


def end_with(unreadable: tuple[str, ...]) -> None:
    """Say which records could not be read; the others were shown."""
    for sentence in unreadable:
        typer.echo(sentence, err=True)
    if unreadable:
        raise typer.Exit(1)


def cell(text: object) -> str:
    """Text for a cell of a table: a name must neither be read as markup nor paint the terminal."""
    shown = "-" if text is None else "".join(char if char.isprintable() else "?" for char in str(text))
    return escape(shown)


def _row(entry: Entry, now_ms: int, base_url: str) -> dict[str, object]:
    request = entry.request
    return {
        "tag": str(entry.tag),
        "state": entry.state.value,
        "age_seconds": age_seconds(entry.accepted_ms, now_ms),
        "accepted_ms": entry.accepted_ms,
        "route": request.route,
        "run_type": request.run_type,
        "document_id": request.document_id,
        "run_id": entry.run_id,
        "started_ms": entry.started_ms,
        "attempts": entry.attempts,
        "reason": entry.reason,
        "dashboard_url": dashboard_url(base_url, request.run_type, entry.run_id),
    }


def _print_table(rows: list[dict[str, object]]) -> None:
    names = ("state", "route", "document_id", "run_id", "reason", "tag", "dashboard_url")
    table = Table("age", "state", "route", "document", "run", "reason", "tag", "dashboard", box=None)
    for row in rows:
        age = age_text(float(str(row["age_seconds"])))
        table.add_row(age, *(cell(row[name]) for name in names))
    Console(width=WIDTH).print(table)


def _state(text: str) -> State:
    try:
        return State(one_of(text.lower(), _STATES, "states"))
    except ValueError as error:
        raise typer.BadParameter(f"--state {error}.") from None
