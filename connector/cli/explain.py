"""`extend-connector explain`: one document's timeline, from everything that knows something about it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector import logs
from connector.adapters.http import HttpApi
from connector.cli.framed_results import result_reader
from connector.cli.inflight import WIDTH, cell, print_lines
from connector.cli.journal_look import JournalLook
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.cli.topic_look import committed_records
from connector.client import ExtendClient
from connector.clock import Clock
from connector.config import Config
from connector.core.errors import ApiError, JournalError, RegistryError
from connector.core.formats.avro import Undecodable
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES, dead_letter_topic
from connector.core.sought import FORMS, Place, Sought, by_key, by_text, place_of, tag_of_result
from connector.core.tag import Tag
from connector.core.timeline import (
    Event,
    api_event,
    in_order,
    journal_event,
    letter_event,
    result_event,
    runs_of,
)

_COMMAND = "explain"
_API_SECONDS = 15.0
_IN_THE_HEAD = ("route", "run_type", "document_id", "replay_of")


def explain(
    what: Annotated[str | None, typer.Argument(help=f"What to look for: {FORMS}.", metavar="WHAT")] = None,
    *,
    key: Annotated[str | None, typer.Option(help="Instead of WHAT: the key of the input record.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show what happened to one document: what journal, results, dead letters and the API say, in the order of time.

    Results and dead letters are read from their beginning, which takes a while for large topics. The API is asked about
    the run once, where a key is configured. What a document says is never shown. Exit code 1 when nothing is known.

    Example: extend-connector explain documents/3/4711

    Example: extend-connector explain exr_9Qm2kV7tLx4RbN8cYw1Z

    Example: extend-connector explain --key customer-17 --json
    """
    sought = _sought(what, key)
    settings = load_for_kafka(config)
    logs.silence()
    search = Search(settings, sought)
    events = in_order(search.events())
    for note in search.notes:
        typer.echo(note, err=True)
    if not events:
        typer.echo(search.nothing(), err=True)
        raise typer.Exit(1)
    if as_json:
        print_lines([event.line() for event in events])
    else:
        _print_tables(events)


class Search:
    """Looks for documents in everything that may know them."""

    def __init__(self, config: Config, sought: Sought) -> None:
        """Ask where the journal is.

        Raises:
            TopicError: there is none, or Kafka cannot be asked.
        """
        self._config = config
        self._sought = sought
        self._journal = JournalLook(config, _COMMAND)
        self._tags: set[Tag] = set()
        self._places: set[Place] = set() if sought.place is None else {sought.place}
        self.notes: list[str] = []

    def events(self) -> list[Event]:
        """Everything that was found. Where only a run or a key is known, the tags are found out first."""
        if self._sought.place is None:
            self._learn_tags()
        results = list(self._results())
        found = [*self._of_the_journal(), *results, *self._letters()]
        return [*found, *self._of_the_api(found)]

    def nothing(self) -> str:
        """A sentence for when nothing was found: what was searched, and what that can mean."""
        prefixes = dict.fromkeys((self._config.output.prefix, *self._config.prefixes().values()))
        results = ", ".join(f"{prefix}.*" for prefix in prefixes)
        letters = dead_letter_topic(self._config.output.prefix)
        searched = f"{self._journal.topic}, the result topics {results} and {letters}"
        return f"Nothing is known of {self._sought.text}; searched were {searched}. {self._why()}"

    def _why(self) -> str:
        tag, place = self._sought.tag, self._sought.place
        if tag is not None and tag.name != self._config.name:
            return f"The tag is one of the connector {tag.name}, and this is the configuration of {self._config.name}."
        if place is None:
            return "What is done stays there for as long as the topics keep it."
        mark = self._journal.mark(place.partition)
        if mark is None:
            return f"Nothing was ever accepted from {place.partition}."
        if place.offset >= mark.next_offset:
            return f"It has not been accepted yet: {place.partition} is accounted for up to offset {mark.next_offset}."
        return (
            f"{place.partition} is accounted for up to offset {mark.next_offset}, so it was accepted; what is done "
            "stays there for as long as the topics keep it."
        )

    def _learn_tags(self) -> None:
        for record in self._journal.records():
            tag = self._journal.codec.tag_of(record.key or b"")
            if tag is None or record.value is None or not self._sought.may_be_in_entry(record.value):
                continue
            try:
                if self._sought.fits_entry(self._journal.codec.entry(tag, record.value)):
                    self._know(tag)
            except JournalError:  # said when the timeline is made, if it belongs there
                continue

    def _of_the_journal(self) -> Iterator[Event]:
        if not self._places:
            return
        for record in self._journal.records({place.partition.number for place in self._places}):
            tag = self._journal.codec.tag_of(record.key or b"")
            if tag is None or not (tag in self._tags or self._sought.fits_tag(tag)):
                continue
            try:
                entry = None if record.value is None else self._journal.codec.entry(tag, record.value)
            except JournalError as error:
                self.notes.append(str(error))
                continue
            self._know(tag)
            yield journal_event(tag, record, entry)

    def _results(self) -> Iterator[Event]:
        reader = result_reader(self._config)
        for record in committed_records(self._config, _COMMAND, self._config.result_topics()):
            value = record.value or b""
            if not (self._sought.may_be_in(value, record.key) or self._may_be_known(value)):
                continue
            try:
                fields = reader.decode(value)
            except Undecodable as error:
                self.notes.append(f"{record.partition}, offset {record.offset}: {error}")
                continue
            except RegistryError as error:
                if str(error) not in self.notes:  # one sentence, however many results need the registry
                    self.notes.append(str(error))
                continue
            tag = tag_of_result(fields)
            event = result_event(record, fields)
            if tag is None or event is None or tag.name != self._config.name:
                continue
            if tag in self._tags or self._sought.fits_result(tag, fields.get("run_id"), record.key):
                self._know(tag)
                yield event

    def _letters(self) -> Iterator[Event]:
        for record in committed_records(self._config, _COMMAND, [dead_letter_topic(self._config.output.prefix)]):
            event = letter_event(record)
            by_its_key = self._sought.key is not None and record.key == self._sought.key
            if event is not None and (event.place in self._places or by_its_key):
                yield event

    def _of_the_api(self, found: list[Event]) -> Iterator[Event]:
        runs = list(runs_of(found))
        if len(runs) != 1:
            if runs:
                self.notes.append(f"{len(runs)} runs are named, so the API was not asked: explain one of them.")
            return
        ((tag, run_type, run_id),) = runs
        if not self._config.extend.api_key.reveal():
            self.notes.append("The API was not asked: no usable key is configured.")
        elif run_type in RUN_TYPES:
            try:
                run = asyncio.run(_get(self._config, run_type, run_id))
            except ApiError as error:
                self.notes.append(f"The API does not show the run {run_id}: {error}")
            else:
                yield api_event(tag, run, Clock().wall_ms())

    def _may_be_known(self, value: bytes) -> bool:
        return any(str(tag).encode() in value for tag in self._tags)

    def _know(self, tag: Tag) -> None:
        self._tags.add(tag)
        self._places.add(place_of(tag))


def _sought(what: str | None, key: str | None) -> Sought:
    if (what is None) == (key is None):
        raise typer.BadParameter(f"Give either WHAT ({FORMS}) or --key.")
    if what is None:
        return by_key(str(key))
    try:
        return by_text(what)
    except ValueError as error:
        raise typer.BadParameter(f"WHAT {error}.") from None


async def _get(config: Config, run_type: str, run_id: str) -> Run:
    extend = config.extend
    http = HttpApi(extend.base_url, extend.api_key.reveal(), extend.api_version, extend.workspace_id)
    client = ExtendClient(http)
    try:
        return await client.get(run_type, run_id, _API_SECONDS)
    finally:
        await client.aclose()


def _print_tables(events: list[Event]) -> None:
    console = Console(width=WIDTH)
    for _, group in groupby(events, key=lambda event: event.place):
        found = list(group)
        console.print(cell(_head(found)))
        table = Table("time", "from", "what", "details", box=None)
        for event in found:
            details = ", ".join(f"{name.replace('_', ' ')} {_shown(name, value)}" for name, value in _rest(event))
            table.add_row(_moment(event.at_ms), event.source.value, cell(event.what), cell(details))
        console.print(table)


def _head(events: list[Event]) -> str:
    tags = dict.fromkeys(event.tag for event in events if event.tag)
    about = dict(pair for event in events for pair in event.details if pair[0] in _IN_THE_HEAD)
    words = [f"{name.replace('_', ' ')} {value}" for name, value in about.items()]
    return ", ".join([" and ".join(tags) or str(events[0].place), *words])


def _rest(event: Event) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in event.details if name not in _IN_THE_HEAD)


def _shown(name: str, value: object) -> str:
    return _moment(value) if name.endswith("_ms") and isinstance(value, int) else str(value)


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # a timestamp that another producer made up
        return str(milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
