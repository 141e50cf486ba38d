"""`extend-connector submit`: references to an input topic, all of them checked before the first is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from connector.adapters.kafka.producing import RecordProducer, Sent
from connector.adapters.kafka.properties import producer_properties
from connector.cli.asking import open_cluster
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.cli.record_options import headers_to_send, key_of
from connector.cli.reference_lines import Lines, from_file, from_options, from_stdin, other_form, ranges
from connector.cli.topics import input_topic
from connector.config import Config
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.submission import Submission
from connector.core.errors import ConnectorError, RecordRejected, TopicError
from connector.core.formats.framing import Codec
from connector.schema_files import load_schemas

_ACK_TIMEOUT_MS = 30_000
_SHOWN = 20
"""Sentences about single references; the rest is counted."""


class SubmissionError(ConnectorError):
    """Nothing was sent; the message says why."""


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
    key: Annotated[str | None, typer.Option(help="The key of every record.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="A header of every record; may be given several times.", metavar="NAME=VALUE"),
    ] = None,
    avro: Annotated[bool, typer.Option("--avro", help="Send single-object Avro instead of JSON.")] = False,
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Send every line as it is, right or wrong (it may become a dead letter)."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send document references to an input topic.

    All are checked first, as the connector would check them: when one is wrong, nothing is sent, and the mended file
    can be submitted as a whole. Exit code 1 when some were wrong or not acknowledged.

    Example: extend-connector submit references.jsonl --key-field document_id

    Example: extend-connector submit --url https://example.com/invoice.pdf --document-id 4711

    Example: extend-connector submit orders.jsonl --key customer-17 --header source=erp
    """
    options = {
        "run": run,
        "processor": processor,
        "version": processor_version,
        "document_id": document_id,
    }
    named = _of_options(url, file_id, text, options)
    if (source is None) == (not named):
        raise typer.BadParameter("Give either a FILE (or -) or at least one of --url, --file-id and --text.")
    if source not in {None, "-"} and not Path(str(source)).is_file():
        raise typer.BadParameter(f"There is no file {source}.")
    if source is not None and any(value is not None for value in options.values()):
        raise typer.BadParameter("--run, --processor, --processor-version and --document-id go with --url.")
    if unchecked and (avro or key_field):
        raise typer.BadParameter("--unchecked sends bytes as they are: it excludes --avro and --key-field.")
    if key is not None and key_field is not None:
        raise typer.BadParameter("--key and --key-field exclude each other: a record has one key.")
    headers = headers_to_send(header)
    settings = load_for_kafka(config)
    target = input_topic(settings, topic)
    codec = Codec(*load_schemas("document_reference"))
    submission = Submission(
        name=settings.name,
        topic=target,
        routes=settings.core_routes(),
        decoder=ReferenceDecoder(codec),
        key_field=key_field,
        codec=codec if avro else None,
        key=key_of(key),
        headers=headers,
    )
    source_of = _Source(source)
    lines = from_options(named) if source is None else from_stdin() if source == "-" else from_file(Path(source))
    count = _check_all(lines, submission, source_of, unchecked=unchecked)
    producer = _producer(settings, target)
    try:
        with _progress(count) as progress:
            stopped = _send_all(lines, submission, producer, progress, unchecked=unchecked)
    finally:
        producer.close()
    _report(producer.sent, count, target, source_of, stopped=stopped, unchecked=unchecked)


class _Source:
    """What errors call the references by."""

    def __init__(self, source: str | None) -> None:
        self.name = "standard input" if source == "-" else source
        self._unit = "reference" if source is None else "line"

    def one(self, number: int) -> str:
        """``refs.jsonl, line 3``."""
        return f"{self.name}, {self._unit} {number}" if self.name else f"{self._unit} {number}"

    def several(self, numbers: list[int]) -> str:
        """``line 3``, ``lines 3-7, 9``."""
        return f"{self._unit}{'' if len(numbers) == 1 else 's'} {ranges(numbers)}"


class _Bar:
    """What a person watches while it takes long; nothing where stderr is no terminal."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress = progress
        self._task = progress.add_task("sent", total=count)

    def show(self, sent: Sent) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=sent.acked + len(sent.refused))


@contextmanager
def _progress(count: int) -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("acknowledged"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, count)


def _check_all(lines: Lines, submission: Submission, source: _Source, *, unchecked: bool) -> int:
    """How many references there are, when all are right."""
    if unchecked:
        return sum(1 for _ in lines())
    count, wrong = 0, []
    for number, line in lines():
        count += 1
        try:
            submission.record(line)
        except RecordRejected as error:
            wrong.append(f"{source.one(number)}: {error} ({error.reason})")
    if not wrong:
        return count
    form = other_form(lines)
    if form is not None:
        raise SubmissionError(f"{source.name}: {form}. Nothing was sent.")
    shown = wrong[:_SHOWN]
    if len(wrong) > _SHOWN:
        shown.append(f"... and {len(wrong) - _SHOWN} more.")
    shown.append(f"{_references(count)} checked, {len(wrong)} wrong: nothing was sent. Mend them and submit all again.")
    raise SubmissionError("\n".join(shown))


def _send_all(
    lines: Lines,
    submission: Submission,
    producer: RecordProducer,
    progress: _Bar,
    *,
    unchecked: bool,
) -> str | None:
    """Send them; what stopped it halfway, or None."""
    stopped: str | None = None
    try:
        for number, line in lines():
            record = submission.unchecked(line) if unchecked else submission.record(line)
            producer.send(record, str(number))
            progress.show(producer.sent)
        producer.flush(lambda: progress.show(producer.sent))
    except (RecordRejected, OSError):
        stopped = "the references changed while they were being sent"
    except KeyboardInterrupt:
        stopped = "it was interrupted"
    if stopped is not None:
        # What was handed over may be at the brokers: only their answers say how many are.
        producer.flush(lambda: progress.show(producer.sent))
    return stopped


def _report(sent: Sent, count: int, topic: str, source: _Source, *, stopped: str | None, unchecked: bool) -> None:
    if sent.acked == count and not sent.refused and stopped is None:
        looked_at = "sent unchecked" if unchecked else "checked"
        typer.echo(f"{_references(count)} {looked_at}, {sent.acked} acknowledged by topic {topic}.")
        return
    for reason in dict.fromkeys(str(error) for _, error in sent.refused):
        numbers = [int(label) for label, error in sent.refused if str(error) == reason]
        typer.echo(f"Not acknowledged, {source.several(numbers)}: {reason}", err=True)
    if stopped is not None:
        queued = sent.acked + len(sent.refused)
        typer.echo(f"Stopped, {stopped}: the first {queued} of {count} were handed over.", err=True)
    total = f"{sent.acked} of {_references(count)} acknowledged by topic {topic}, {count - sent.acked} not."
    warning = f" Do not submit the acknowledged {sent.acked} again: each would be bought twice." if sent.acked else ""
    typer.echo(f"{total}{warning}", err=True)
    raise typer.Exit(1)


def _references(count: int) -> str:
    return f"{count} reference{'' if count == 1 else 's'}"


def _producer(config: Config, topic: str) -> RecordProducer:
    """A producer for a topic that is there: a missing one would be noticed only when every record has timed out."""
    client_id = f"{config.name}-submit"
    with open_cluster(config, client_id) as cluster:
        facts = cluster.topics([topic]).get(topic)
    if facts is None:
        raise TopicError(
            [f"The input topic {topic} does not exist: `extend-connector topics --create --input` makes it."],
        )
    properties = producer_properties(config.kafka, client_id, None, facts.max_message_bytes)
    return RecordProducer({**properties, "message.timeout.ms": _ACK_TIMEOUT_MS, "linger.ms": 20})


def _of_options(
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
