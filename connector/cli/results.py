"""`extend-connector results`: what came out, decoded, as a table or as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

import typer

from connector.adapters.kafka.properties import reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.cli.asking import open_cluster
from connector.cli.framed_results import result_reader
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.cli.result_lines import JsonLines, Lines, TableLines
from connector.config import Config
from connector.config.nearest import one_of
from connector.core.errors import TopicError
from connector.core.record import Partition, Record
from connector.core.run_types import STATUSES, TIMED_OUT, dead_letter_topic, topic_of
from connector.core.time_order import TimeOrder
from connector.core.topics import TopicFacts

_STATUSES = (*STATUSES, TIMED_OUT, "OTHER")

_WAIT = 0.2
"""Seconds between two looks at the clock."""


def results(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes later.")] = False,
    start: Annotated[
        str,
        typer.Option("--from", help="earliest, latest, or an instant such as 2026-12-01T00:00:00Z."),
    ] = "earliest",
    status: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only this status: {', '.join(_STATUSES)}; OTHER is every status of the API that is newer than this "
            "connector. May be given several times.",
        ),
    ] = None,
    dead_letters: Annotated[
        bool,
        typer.Option("--dead-letters", help="The records that never became a run, instead of results."),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after so many seconds; exit code 1 when --limit was not reached."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Read results, or dead letters, and decode them. Reads committed records only and commits nothing.

    They come in the order of time; with --follow in the order in which they arrive.

    Example: extend-connector results --follow --status PROCESSED --status FAILED

    Example: extend-connector results --json --follow --limit 100 --timeout 60
    """
    if dead_letters and status:
        raise typer.BadParameter("--dead-letters and --status exclude each other.")
    since_ms = _instant(start)
    settings = load_for_kafka(config)
    topics = _topics(settings, status, dead_letters=dead_letters)
    lines: Lines = JsonLines() if as_json else TableLines(dead_letters=dead_letters)
    reader = result_reader(settings)
    until = None if timeout is None else time.monotonic() + timeout
    shown = undecodable = 0
    for record in _records(settings, topics, start, since_ms, follow=follow, until=until):
        good = lines.dead_letter(record) if dead_letters else lines.result(record, reader)
        undecodable += not good
        shown += 1
        if shown == limit:
            break
    if not shown and not as_json:
        typer.echo("Nothing is there." if not follow else "Nothing came.", err=True)
    late = limit is not None and shown < limit and until is not None and time.monotonic() >= until
    if undecodable or late:
        raise typer.Exit(1)


def _records(
    config: Config,
    topics: Mapping[str, str],
    start: str,
    since_ms: int | None,
    *,
    follow: bool,
    until: float | None,
) -> Iterator[Record]:
    client_id = f"{config.name}-results"
    with open_cluster(config, client_id) as cluster:
        partitions = _partitions(cluster.topics(topics), topics)
        ends = cluster.log_ends(partitions, committed=True)
        if since_ms is not None:
            starts = cluster.offsets_at(partitions, since_ms)
        else:
            starts = ends if start == "latest" else cluster.log_starts(partitions)
    reader = AssignedReader(reader_properties(config.kafka, client_id, client_id), starts)
    try:
        yield from _as_they_come(reader, until) if follow else _by_time(reader, ends, until)
    finally:
        reader.close()


def _as_they_come(reader: AssignedReader, until: float | None) -> Iterator[Record]:
    while not _over(until):
        sys.stdout.flush()
        yield from reader.read(_WAIT)


def _by_time(reader: AssignedReader, ends: Mapping[Partition, int], until: float | None) -> Iterator[Record]:
    order = TimeOrder(ends)

    def is_over(partition: Partition) -> bool:
        return reader.has_passed({partition: ends[partition]})

    while not reader.has_passed(ends) and not _over(until):
        sys.stdout.flush()
        for record in reader.read(_WAIT):
            if record.offset < ends[record.partition]:
                order.take(record)
        yield from order.ready(is_over)
    # At the end of the time what was read is shown all the same.
    yield from order.ready(lambda _: True)


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _topics(config: Config, status: list[str] | None, *, dead_letters: bool) -> Mapping[str, str]:
    """The topics to read, each with why."""
    if dead_letters:
        return {dead_letter_topic(config.output.prefix): "dead letters"}
    if not status:
        return dict.fromkeys(config.result_topics(), "results")
    prefixes = (config.output.prefix, *config.prefixes().values())
    return {topic_of(prefix, _status(each)): each for prefix in prefixes for each in status}


def _status(text: str) -> str:
    try:
        return one_of(text.upper().replace("-", "_"), _STATUSES, "statuses")
    except ValueError as error:
        raise typer.BadParameter(f"--status {error}; OTHER holds every other status that the API may give.") from None


def _partitions(facts: Mapping[str, TopicFacts], topics: Mapping[str, str]) -> list[Partition]:
    absent = [name for name in topics if name not in facts]
    if absent:
        raise TopicError(
            [f"The topic {name} does not exist: `extend-connector topics` shows what is missing." for name in absent],
        )
    return [Partition(name, number) for name, found in facts.items() for number in range(found.partitions)]


def _instant(text: str) -> int | None:
    """Milliseconds since the epoch, or None for a word."""
    if text in {"earliest", "latest"}:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            "--from is earliest, latest, or an instant with its offset from UTC, e.g. 2026-12-01T00:00:00Z.",
        )
    return int(moment.timestamp() * 1000)
