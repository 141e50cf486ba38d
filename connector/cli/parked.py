"""`extend-connector parked`: the documents whose start is unclear, and what a person decides about them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.cli.inflight import WIDTH, cell, end_with, print_lines
from connector.cli.journal_look import JournalLook
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.clock import Clock
from connector.core.entry import Entry, State
from connector.core.open_documents import age_seconds, age_text, oldest_first, what_was_tried


def parked(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per document and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the parked documents, the oldest first: their start was unclear, so a run may exist, and none is bought.

    Example: extend-connector parked
    """
    settings = load_for_kafka(config)
    found = JournalLook(settings, "parked").open_documents()
    now_ms = Clock().wall_ms()
    rows = [_row(entry, now_ms) for entry in oldest_first(found.entries, states={State.PARKED})]
    if as_json:
        print_lines(rows)
    elif rows:
        _print_table(rows)
    else:
        typer.echo("No document is parked.", err=True)
    end_with(found.unreadable)


def _row(entry: Entry, now_ms: int) -> dict[str, object]:
    return {
        "tag": str(entry.tag),
        "age_seconds": age_seconds(entry.accepted_ms, now_ms),
        "accepted_ms": entry.accepted_ms,
        "route": entry.request.route,
        "run_type": entry.request.run_type,
        "document_id": entry.request.document_id,
        "reason": entry.reason,
        "attempts": entry.attempts,
        "repeats": entry.repeats,
        "tried": what_was_tried(entry),
    }


def _print_table(rows: list[dict[str, object]]) -> None:
    names = ("route", "document_id", "reason", "attempts", "tag", "tried")
    table = Table("age", "route", "document", "reason", "starts", "tag", "what was tried", box=None)
    for row in rows:
        table.add_row(age_text(float(str(row["age_seconds"]))), *(cell(row[name]) for name in names))
    Console(width=WIDTH).print(table)
