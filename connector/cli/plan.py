"""`extend-connector plan`: what records would become, decided by what decides in a worker. It sends nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.assembly import build_resolver
from connector.cli.asked_schemas import AskedSchemas
from connector.cli.backlog import Backlog, look_at_backlog
from connector.cli.inflight import WIDTH, cell, print_lines
from connector.cli.loading import ConfigOption, load_without_key
from connector.cli.record_options import headers_of, key_of
from connector.cli.record_values import values_from
from connector.cli.topics import input_topic, plan_of
from connector.clock import Clock
from connector.config import Config
from connector.core.accept.forecast import Pace, Share, Tally
from connector.core.accept.preview import shown_body
from connector.core.entry import Request
from connector.core.errors import RecordRejected
from connector.core.open_documents import age_text
from connector.core.record import Headers, Partition, Record
from connector.core.redaction import Redactor
from connector.core.run_types import RUN_TYPES
from connector.core.topics import needed_bytes

_COMMAND = "plan"
_UNNEEDED = ("webhook", "admin")
_LONG_TEXT = 400
"""Characters of a text that a person is shown; with --json there is all of it."""


def plan(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A file with one record's value per line, or with one JSON value over several lines; - for standard "
            "input. Without it a sample of the topic.",
            metavar="FILE",
        ),
    ] = None,
    *,
    topic: Annotated[str | None, typer.Option(help="The input topic; default: the only one.")] = None,
    sample: Annotated[
        int, typer.Option(min=1, max=10_000, help="Without FILE: about how many of the next records to read.")
    ] = 20,
    key: Annotated[str | None, typer.Option(help="With FILE: the key of every record.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="With FILE: a header of every record; may be given several times.", metavar="NAME=VALUE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per record and per outcome.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show which route takes each record and the request that would be sent, or the dead letter. Nothing is sent.

    Then how many runs that comes to, for a topic with everything that its group has not accepted yet, and how long
    their starts take at the plan's limits. Passwords, secrets and the queries of URLs are hidden. No worker, no API key
    and, with a FILE, no broker is needed. Exit code 1 when a record would become a dead letter.

    Example: extend-connector plan records.jsonl --topic orders --header source=erp

    Example: extend-connector plan --topic orders --sample 100
    """
    if source is None and (key is not None or header):
        raise typer.BadParameter("--key and --header go with a FILE; the records of a topic have their own.")
    settings = load_without_key(config, unneeded=_UNNEEDED if source is None else ("kafka", *_UNNEEDED))
    target = input_topic(settings, topic)
    if source is None:
        backlog = look_at_backlog(settings, target, sample)
        places = [f"{record.partition}/{record.offset}" for record in backlog.records]
    else:
        values = values_from(source)
        places = [place for place, _ in values]
        backlog = _given(settings, target, [value for _, value in values], key_of(key), headers_of(header))
    if source is None and backlog.records and not backlog.total:
        typer.echo(f"Nothing of {target} waits. These are its last records, which are not sent again.", err=True)
    show = _Lines() if as_json else _Pages()
    tally = _plan_all(settings, backlog, places, show)
    limits = settings.extend.budget
    pace = Pace(limits.run, limits.files_per_minute)
    show.forecast(list(tally.forecast(backlog.total, pace)), tally.sampled, backlog.total, pace)
    if source is not None and not as_json:
        typer.echo("The tag (kafka_connector) is of a made-up position; a record has its own.", err=True)
    if tally.dead:
        raise typer.Exit(1)


class _Pages:
    """For people: each record with its request, and a table at the end."""

    def run(self, place: str, request: Request, body: dict[str, object]) -> None:
        """A record becomes a run."""
        typer.echo(f"{place}: route {request.route}, {request.run_type} run, POST {RUN_TYPES[request.run_type].path}")
        typer.echo(f"{_readable(json.dumps(_shortened(body), ensure_ascii=False, indent=2))}\n")

    def dead(self, place: str, error: RecordRejected) -> None:
        """A record becomes a dead letter."""
        taken = "" if error.route is None else f"route {error.route}, "
        typer.echo(f"{place}: {taken}dead letter, {error.reason}\n  {_readable(str(error))}\n")

    def skipped(self, place: str) -> None:
        """A record has no value."""
        typer.echo(f"{place}: skipped, a tombstone\n")

    def forecast(self, shares: list[Share], sampled: int, total: int, pace: Pace) -> None:
        """What it comes to."""
        if not sampled:
            typer.echo("There is no record.", err=True)
            return
        exact = sampled >= total
        about = "" if exact else "about "
        table = Table("outcome", f"of {sampled} seen", f"of {about}{total:,} to do", "starts take", box=None)
        for share in shares:
            outcome = f"{share.route}: {share.run_type} run" if share.route else _no_run(share)
            time = "-" if share.seconds is None else age_text(share.seconds)
            table.add_row(cell(outcome), f"{share.sampled:,}", f"{about}{share.expected:,}", time)
        Console(width=WIDTH).print(table)
        runs = sum(share.expected for share in shares if share.route)
        seconds = pace.seconds(runs)
        if seconds is not None:
            counted = f"{about}{runs:,} run{'' if runs == 1 else 's'}"
            rate = f"{pace.starts_per_second:.3g} starts per second ({pace.limit})"
            typer.echo(f"All starts together: {counted}, {age_text(seconds)} at {rate}.")


class _Lines:
    """For programs."""

    def run(self, place: str, request: Request, body: dict[str, object]) -> None:
        """A record becomes a run."""
        run_type = RUN_TYPES[request.run_type]
        row = {"route": request.route, "run_type": run_type.name, "document_id": request.document_id}
        print_lines([{"record": place, "outcome": "run", **row, "path": run_type.path, "body": body}])

    def dead(self, place: str, error: RecordRejected) -> None:
        """A record becomes a dead letter."""
        row = {"route": error.route, "reason": str(error.reason), "path": error.path, "message": str(error)}
        print_lines([{"record": place, "outcome": "dead_letter", **row}])

    def skipped(self, place: str) -> None:
        """A record has no value."""
        print_lines([{"record": place, "outcome": "skipped", "reason": "tombstone"}])

    def forecast(self, shares: list[Share], sampled: int, total: int, pace: Pace) -> None:
        """What it comes to."""
        runs = sum(share.expected for share in shares if share.route)
        for share in shares:
            row = asdict(share)
            print_lines([{"forecast": row.pop("outcome"), **row}])
        whole = {"sampled": sampled, "expected": total, "runs": runs, "seconds": pace.seconds(runs)}
        print_lines([{"forecast": "all", **whole, "per_second": pace.starts_per_second, "limit": pace.limit}])


def _plan_all(settings: Config, backlog: Backlog, places: list[str], show: _Pages | _Lines) -> Tally:
    redactor = Redactor()
    for secret in settings.secrets():
        redactor.register(secret.reveal())
    schemas = AskedSchemas(settings)
    resolver = build_resolver(settings, f"{settings.name}-{_COMMAND}", backlog.journal_bytes, schemas.writers)
    now_ms = Clock().wall_ms()
    tally = Tally()
    for place, record in zip(places, backlog.records, strict=True):
        if record.value is None:
            tally.skipped += 1
            show.skipped(place)
            continue
        try:
            tag = resolver.tag(record, backlog.topic_id)
            request = schemas.asked(partial(resolver.entry, record, tag, now_ms)).request
        except RecordRejected as error:
            tally.dead[error.reason] += 1
            show.dead(place, error)
        else:
            tally.run(request)
            show.run(place, request, shown_body(request.body, redactor))
    return tally


def _given(settings: Config, topic: str, values: list[bytes], key: bytes | None, headers: Headers) -> Backlog:
    """Values of a file as if they stood in the topic, and the journal as `topics --create` would make it."""
    records = tuple(Record(Partition(topic, 0), at, key, value, headers) for at, value in enumerate(values))
    return Backlog(records, len(records), topic_id="", journal_bytes=needed_bytes(plan_of(settings), {}))


def _no_run(share: Share) -> str:
    return f"{share.outcome.replace('_', ' ')}: {share.reason}"


def _shortened(value: object) -> object:
    """A document that stands in the request as text would fill the screen."""
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and len(value) > _LONG_TEXT:
        return f"{value[:_LONG_TEXT]}… ({len(value):,} characters)"
    return value


def _readable(text: str) -> str:
    """Without what paints the terminal; line ends are our own."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
