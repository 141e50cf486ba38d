"""`extend-connector submit`: references to an input topic, each checked before it is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.producing import RecordProducer, Sent
from connector.adapters.kafka.properties import client_properties, producer_properties
from connector.cli.loading import ConfigOption, load_config
from connector.config import Config
from connector.core.errors import RecordRejected, TopicError
from connector.core.framing import Codec
from connector.core.record import OutRecord
from connector.core.reference import ReferenceDecoder
from connector.core.submission import Submission
from connector.schema_files import load_schema

_ACK_TIMEOUT_MS = 30_000
_SHOWN = 20
"""Sentences about single references; the rest is counted."""


def submit(
    source: Annotated[
        str | None,
        typer.Argument(help="A file with one JSON reference per line, or - for standard input.", metavar="FILE"),
    ] = None,
    *,
    url: Annotated[list[str] | None, typer.Option(help="A document's URL; may be given several times.")] = None,
    file_id: Annotated[
        list[str] | None,
        typer.Option(help="The id of a file at Extend; may be given several times."),
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="The document itself; may be given several times.")] = None,
    run: Annotated[str | None, typer.Option(help="Run type; default: the route's.")] = None,
    processor: Annotated[str | None, typer.Option(help="Processor id; default: the route's.")] = None,
    processor_version: Annotated[str | None, typer.Option(help="Its version; default: the route's.")] = None,
    document_id: Annotated[str | None, typer.Option(help="Your own id; the result shows it.")] = None,
    topic: Annotated[str | None, typer.Option(help="The input topic; default: the only one.")] = None,
    key_field: Annotated[
        str | None,
        typer.Option(help="Field of the reference that becomes the record's key, e.g. metadata.customer."),
    ] = None,
    avro: Annotated[bool, typer.Option("--avro", help="Send single-object Avro instead of JSON.")] = False,
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Send every line as it is, right or wrong (it may become a dead letter)."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send document references to an input topic.

    Each is checked first, as the connector would check it. Exit code 1 when some were wrong or not acknowledged.

    Example: extend-connector submit references.jsonl --key-field document_id

    Example: extend-connector submit --url https://example.com/invoice.pdf --document-id 4711
    """
    options = {
        "run": run,
        "processor": processor,
        "version": processor_version,
        "document_id": document_id,
    }
    named = _from_options(url, file_id, text, options)
    if (source is None) == (not named):
        raise typer.BadParameter("Give either a FILE (or -) or at least one of --url, --file-id and --text.")
    if source not in {None, "-"} and not Path(str(source)).is_file():
        raise typer.BadParameter(f"There is no file {source}.")
    if source is not None and any(value is not None for value in options.values()):
        raise typer.BadParameter("--run, --processor, --processor-version and --document-id go with --url.")
    if unchecked and (avro or key_field):
        raise typer.BadParameter("--unchecked sends bytes as they are: it excludes --avro and --key-field.")
    settings = load_config(config)
    target = _topic(settings, topic)
    reference_schema = load_schema("document_reference")
    codec = Codec(reference_schema)
    submission = Submission(
        name=settings.name,
        topic=target,
        routes=settings.core_routes(),
        decoder=ReferenceDecoder(codec),
        key_field=key_field,
        codec=codec if avro else None,
    )
    producer = _producer(settings, target)
    try:
        with _progress() as progress:
            wrong = _send_all(_lines(source, named), submission, producer, progress, unchecked=unchecked)
            sent = producer.flush(lambda: progress.show(producer.sent))
    finally:
        producer.close()
    _report(sent, wrong, target)


class _Bar:
    """What a person watches while it takes long; nothing where stderr is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("sent", total=None)
        self.queued = 0

    def show(self, sent: Sent) -> None:
        """Move the bar."""
        done = sent.acked + len(sent.refused)
        self._progress.update(self._task, completed=done, total=max(self.queued, 1))


@contextmanager
def _progress() -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("acknowledged"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress)


def _send_all(
    lines: Iterator[tuple[str, bytes]],
    submission: Submission,
    producer: RecordProducer,
    progress: _Bar,
    *,
    unchecked: bool,
) -> list[str]:
    wrong = []
    for label, line in lines:
        try:
            record = OutRecord(submission.topic, None, line) if unchecked else submission.record(line)
        except RecordRejected as error:
            wrong.append(f"{label}: {error} ({error.reason})")
            continue
        producer.send(record, label)
        progress.queued += 1
        progress.show(producer.sent)
    return wrong


def _report(sent: Sent, wrong: list[str], topic: str) -> None:
    failures = [*wrong, *(f"{label}: {error}" for label, error in sent.refused)]
    for sentence in failures[:_SHOWN]:
        typer.echo(sentence, err=True)
    if len(failures) > _SHOWN:
        typer.echo(f"... and {len(failures) - _SHOWN} more.", err=True)
    noun = "reference" if sent.acked == 1 else "references"
    typer.echo(f"{sent.acked} {noun} acknowledged by topic {topic}, {len(failures)} not sent.")
    if failures:
        raise typer.Exit(1)


def _topic(config: Config, named: str | None) -> str:
    inputs = list(dict.fromkeys(route.topic for route in config.core_routes()))
    if named is None:
        if len(inputs) == 1:
            return inputs[0]
        raise typer.BadParameter(f"There are several input topics, choose with --topic: {', '.join(inputs)}.")
    if named not in inputs:
        raise typer.BadParameter(f"No route takes topic {named}; the input topics are {', '.join(inputs)}.")
    return named


def _producer(config: Config, topic: str) -> RecordProducer:
    """A producer for a topic that is there: a missing one would be noticed only when every record has timed out."""
    client_id = f"{config.name}-submit"
    with Cluster(client_properties(config.kafka, client_id)) as cluster:
        facts = cluster.topics([topic]).get(topic)
    if facts is None:
        raise TopicError(
            [f"The input topic {topic} does not exist: `extend-connector topics --create --input` makes it."],
        )
    properties = producer_properties(config.kafka, client_id, None, facts.max_message_bytes)
    return RecordProducer({**properties, "message.timeout.ms": _ACK_TIMEOUT_MS, "linger.ms": 20})


def _from_options(
    urls: list[str] | None,
    file_ids: list[str] | None,
    texts: list[str] | None,
    options: dict[str, str | None],
) -> list[bytes]:
    files = [
        *({"url": each} for each in urls or ()),
        *({"file_id": each} for each in file_ids or ()),
        *({"text": each} for each in texts or ()),
    ]
    given = {name: value for name, value in options.items() if value is not None}
    return [json.dumps({**file, **given}, ensure_ascii=False).encode() for file in files]


def _lines(source: str | None, named: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Each reference with the words that an error calls it by."""
    if source is None:
        for number, line in enumerate(named, 1):
            yield f"reference {number}", line
    elif source == "-":
        yield from _numbered(sys.stdin.buffer, "standard input")
    else:
        with Path(source).open("rb") as file:
            yield from _numbered(file, source)


def _numbered(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield f"{name}, line {number}", line.strip()
