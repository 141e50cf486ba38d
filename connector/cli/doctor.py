"""`extend-connector doctor`: would a worker work here, and if not, what is to be done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.cli.inflight import WIDTH, cell, print_lines
from connector.cli.loading import ConfigOption, examine_all
from connector.config import Config
from connector.core.diagnosis import Diagnosis, Health
from connector.doctor.examination import examine_brokers, examine_extend, examine_schemas, examine_webhook
from connector.logs import redact, register_secret, silence

_COLOURS = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "red", Health.SKIPPED: "dim"}


def doctor(
    *,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Where the webhook ingress is reached: a signed test event is sent there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Check what a worker needs: brokers, login, rights, topics, schemas, API key, clock; with --url webhooks too.

    Nothing is changed and no run is started. What is missing is named exactly, with the command that mends it. Exit
    code 1 when a check failed; a warning is no failure.

    Example: extend-connector doctor --config connector.yaml

    Example: extend-connector doctor --url https://hooks.example.com/webhooks/extend --json
    """
    settings = examine_all(config).config
    silence()
    for secret in settings.secrets():
        register_secret(secret.reveal())
    found = [_clean(each) for each in _examine(settings, url)]
    if as_json:
        print_lines([{**asdict(each), "health": each.health.value} for each in found])
    else:
        _print_table(found)
    if any(each.health is Health.FAILED for each in found):
        raise typer.Exit(1)


def _examine(config: Config, url: str | None) -> Iterator[Diagnosis]:
    yield from examine_brokers(config)
    yield from asyncio.run(examine_schemas(config))
    yield from asyncio.run(examine_extend(config, url))
    yield from examine_webhook(config, url)


def _clean(found: Diagnosis) -> Diagnosis:
    """Without what a library or the API may have put into a sentence."""
    return Diagnosis(found.check, found.subject, found.health, redact(found.found), redact(found.way_out))


def _print_table(found: list[Diagnosis]) -> None:
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table("", "check", "what", "found", box=None, pad_edge=False)
    for each in found:
        word = f"[{_COLOURS[each.health]}]{each.health.value}[/]"
        table.add_row(word, each.check, cell(each.subject), cell(each.found))
    console.print(table)
    ways = [each for each in found if each.way_out]
    for each in ways:  # outside of the table, so that a command can be copied
        typer.echo(f"\n{each.check}, {each.subject}:\n  {each.way_out}")
    count = {health: sum(each.health is health for each in found) for health in Health}
    typer.echo(f"\n{', '.join(f'{number} {health.value}' for health, number in count.items() if number)}.")
