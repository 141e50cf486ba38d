"""`extend-connector replay --result`: what a finished run came to, read again and told once more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import typer

from connector.adapters.http import HttpApi
from connector.adapters.kafka.exclusive import ExclusiveProducer
from connector.adapters.kafka.properties import producer_properties
from connector.announce import CodecOf, result_codecs
from connector.cli.asking import open_cluster
from connector.cli.framed_results import Reads, result_reader
from connector.cli.journal_look import JournalLook
from connector.cli.topic_look import committed_records
from connector.client import ExtendClient
from connector.clock import Clock
from connector.config import Config
from connector.core.entry import Entry
from connector.core.errors import ConnectorError, TopicError
from connector.core.formats.avro import Undecodable
from connector.core.record import OutRecord
from connector.core.result import Failure, result_record
from connector.core.result_again import NotAgain, Told, check_run, later
from connector.core.run import Run
from connector.core.run_types import FAILED, topic_of
from connector.core.tag import Tag
from connector.outputs import OutputClient, open_downloader
from connector.typed_routes import typed_routes

_COMMAND = "replay"
_API_SECONDS = 60.0


def tag_in(text: str) -> Tag:
    """The tag that is meant, which the id of a result holds too.

    Raises:
        BadParameter: it is neither.
    """
    tag = Tag.parse(text) or Tag.parse(text.rpartition("@")[0])
    if tag is None:
        raise typer.BadParameter("--result takes a tag: name/topic/partition/offset#hash, as `explain` shows it.")
    return tag


def replay_result(tag: Tag, settings: Config, *, again: bool, yes: bool) -> None:
    """Read a document's run again, and write its result as the next revision.

    Args:
        tag: the document.
        settings: the configuration, with a key.
        again: also when the last result says the same.
        yes: do not ask.

    Raises:
        ConnectorError: nothing was written, and why; or nobody knows.
    """
    if tag.name != settings.name:
        theirs = f"The tag is one of the connector {tag.name}, and this is the configuration of {settings.name}."
        raise typer.BadParameter(theirs)
    limits = _limits(settings)
    producer = _producer(settings, tag, max(limits.values()))
    try:
        record, revision = _next_result(settings, tag, limits, again=again)
        if not (yes or _confirmed(record, revision)):
            raise ConnectorError("Nothing was written.")
        producer.write([record])
    except NotAgain as error:
        raise TopicError([f"Nothing was written for {tag}: {error}."]) from None
    finally:
        producer.close()
    typer.echo(f"Written: revision {revision} of {tag}, to {record.topic}.")


def _producer(settings: Config, tag: Tag, most: int) -> ExclusiveProducer:
    """Who writes it. From now on nobody who began before can write a revision of this document by this command."""
    client_id = f"{settings.name}-{_COMMAND}-{tag.hash}"
    return ExclusiveProducer(producer_properties(settings.kafka, client_id, client_id, most))


def _limits(settings: Config) -> Mapping[str, int]:
    names = settings.result_topics()
    with open_cluster(settings, f"{settings.name}-{_COMMAND}") as cluster:
        facts = cluster.topics(names)
    missing = [name for name in names if name not in facts]
    if missing:
        raise TopicError([f"{', '.join(missing)} missing: `extend-connector topics --create` makes what is missing."])
    return {name: found.max_message_bytes for name, found in facts.items()}


def _next_result(settings: Config, tag: Tag, limits: Mapping[str, int], *, again: bool) -> tuple[OutRecord, int]:
    """The record to write, and its revision."""
    # First the journal: what is closed stays closed, and what closed it is in the topics that are read behind it.
    journal = JournalLook(settings, _COMMAND)
    entry = journal.open_document(tag)
    if journal.held_back:
        raise NotAgain("what the journal holds of it cannot be seen; look again when that transaction has ended")
    if entry is not None:
        raise NotAgain(f"the document is open ({entry.state}), and a worker writes its next result")
    reader = result_reader(settings)
    told = _last_told(settings, tag, reader)
    run = asyncio.run(_read(settings, *told.run()))
    check_run(run, tag)
    record = _record(settings, told.entry(tag), run, limits, asyncio.run(_codecs(settings)))
    fields = reader.decode(record.value or b"")
    if told.says_as_much_as(fields) and not again:
        raise NotAgain(f"revision {told.revision} says the same already; --again writes it once more")
    if fields["value_error"]:
        typer.echo(f"{fields['value_error']}", err=True)
    return record, told.revision + 1


async def _codecs(settings: Config) -> CodecOf:
    """What a worker encodes results with. A worker waits for the schema registry, a person does not."""
    over, reasons = asyncio.Event(), [""]

    def give_up(reason: str) -> None:
        reasons.append(reason)
        over.set()

    found = await result_codecs(settings, over, give_up)
    if found is None:
        raise ConnectorError(f"Nothing was written. {reasons[-1]}")
    return found


def _last_told(settings: Config, tag: Tag, reader: Reads) -> Told:
    told: Told | None = None
    needle = f"{tag}@".encode()
    for record in committed_records(settings, _COMMAND, settings.result_topics(), wait=True):
        if needle not in (record.value or b""):
            continue
        try:
            fields = reader.decode(record.value or b"")
        except Undecodable as error:
            raise NotAgain(f"{record.partition}, offset {record.offset}, cannot be read: {error}") from None
        if str(fields["result_id"]).startswith(f"{tag}@"):
            told = later(told, record, fields)
    if told is None:
        raise NotAgain("the topics hold no result of it; `extend-connector explain` tells what is known")
    return told


async def _read(settings: Config, run_type: str, run_id: str) -> Run:
    extend, by_url = settings.extend, settings.output.parse_by_url
    http = HttpApi(extend.base_url, extend.api_key.reveal(), extend.api_version, extend.workspace_id)
    client = ExtendClient(http, outputs_by_url=by_url)
    try:
        if by_url:
            return await OutputClient(client, open_downloader(settings).fetch).get(run_type, run_id)
        return await client.get(run_type, run_id, _API_SECONDS)
    finally:
        await client.aclose()


def _record(settings: Config, entry: Entry, run: Run, limits: Mapping[str, int], codec_of: CodecOf) -> OutRecord:
    route, now_ms = entry.request.route, Clock().wall_ms()
    prefix = settings.prefixes().get(route, settings.output.prefix)
    typed = typed_routes(settings).get(route)
    topic, failed = topic_of(prefix, run.status), topic_of(prefix, FAILED)
    fails = settings.output.oversize == "fail"
    return result_record(
        entry,
        run,
        prefix=prefix,
        observed_via="poll",
        observed_ms=now_ms,
        emitted_ms=now_ms,
        max_bytes=limits[topic],
        codec=codec_of(route, topic),
        failure=Failure(failed, limits[failed], codec_of(route, failed)) if fails else None,
        typed=typed.typed(run.run_type, run.output) if typed else None,
    )


def _confirmed(record: OutRecord, revision: int) -> bool:
    """Ask a person; without a terminal there is nobody to ask."""
    question = f"Write revision {revision} to {record.topic}? It buys nothing, and every reader gets it."
    if not sys.stdin.isatty():
        raise ConnectorError(f"{question} Nobody can be asked here: --yes says so.")
    return typer.confirm(question, err=True)
