"""`extend-connector parked`: the documents whose start is unclear, and what a person decides about them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.conversation import Conversation
from connector.adapters.kafka.properties import client_properties, producer_properties, reader_properties
from connector.cli.asking import SECONDS
from connector.cli.inflight import WIDTH, cell, end_with, print_lines
from connector.cli.journal_look import JournalLook
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.clock import Clock
from connector.config import Config
from connector.config.nearest import one_of
from connector.core.decision import decide
from connector.core.entry import Entry, State
from connector.core.errors import TopicError
from connector.core.formats.framing import Codec
from connector.core.open_documents import age_seconds, age_text, oldest_first, what_was_tried
from connector.core.signals.signal import Action, Command, Reply, ReplyOutcome, SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.sought import is_run_id
from connector.core.tag import Tag
from connector.core.topics import signals_topic
from connector.schema_files import load_schemas

ANSWER_SECONDS = 30.0
"""How long an owner may take to say that it has the command."""
MARGIN_SECONDS = 60.0
"""Above ``start.settle``, which a scan before a start may wait for."""

_CLIENT = "parked"
_LIST = "list"
_ACTIONS = (_LIST, *(action.value for action in Action))
_COMMAND_BYTES = 1_000_000


def parked(
    action: Annotated[str, typer.Argument(help=f"{', '.join(_ACTIONS)}.", metavar="ACTION")] = _LIST,
    tag: Annotated[str | None, typer.Argument(help="The document; for all but list.", metavar="TAG")] = None,
    run_id: Annotated[str | None, typer.Argument(help="Its run; for adopt.", metavar="RUN_ID")] = None,
    *,
    accept_cost: Annotated[
        bool,
        typer.Option("--accept-cost", help="With start: the first run may exist, and this may pay for a second one."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per document, or reply, and line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the parked documents, or decide about one. Their start was unclear: a run may exist, and none is bought.

    list (or nothing): the parked documents, the oldest first.

    adopt TAG RUN_ID: its run is found, follow it. The run must carry the document's own tag.

    start TAG --accept-cost: start it again, after one more look for its run. This may pay for a second run.

    drop TAG: give it up; the original record goes to the dead letters.

    The worker that owns the document does it, and only if it is still parked as it is now; a command that comes twice
    is done once. Exit code 1 when it is refused, or no owner answers within 30 s. Ctrl-C does not stop what was sent.

    Example: extend-connector parked --json

    Example: extend-connector parked adopt 'invoices/documents/3/17#k2f…' exr_9Qm2kV7tLx4RbN8cYw1Z
    """
    chosen = _action(action)
    about = _arguments(chosen, tag, run_id, accept_cost=accept_cost)
    settings = load_for_kafka(config)
    if chosen is None or about is None:
        _list(settings, as_json=as_json)
        return
    look = JournalLook(settings, _CLIENT)
    entry = look.open_document(about)
    _carry_out(settings, decide(about, entry, chosen, secrets.token_hex(8), run_id), as_json=as_json)


def _action(text: str) -> Action | None:
    try:
        name = one_of(text, _ACTIONS, "actions")
    except ValueError as error:
        raise typer.BadParameter(f"ACTION {error}.") from None
    return None if name == _LIST else Action(name)


def _arguments(action: Action | None, tag: str | None, run_id: str | None, *, accept_cost: bool) -> Tag | None:
    """The tag, when there must be one; everything else is refused where it means nothing."""
    if accept_cost and action is not Action.START:
        raise typer.BadParameter("--accept-cost goes with start.")
    if action is None:
        if tag is not None:
            raise typer.BadParameter("list takes no TAG; `extend-connector explain` followed by it tells its story.")
        return None
    if (run_id is not None) != (action is Action.ADOPT):
        raise typer.BadParameter("RUN_ID goes with adopt, and adopt needs one: the run that carries the tag.")
    if run_id is not None and not is_run_id(run_id):
        raise typer.BadParameter("RUN_ID is not the id of a run, such as exr_9Qm2kV7tLx4RbN8cYw1Z.")
    if tag is None or (about := Tag.parse(tag)) is None:
        raise typer.BadParameter("TAG is not a tag, name/topic/partition/offset#hash as the list shows it.")
    if action is Action.START and not accept_cost:
        raise typer.BadParameter(
            "The first start may have made a run that nobody has found. Starting again may pay for a second one: say "
            "--accept-cost when you take that risk.",
        )
    return about


# The list.


def _list(settings: Config, *, as_json: bool) -> None:
    found = JournalLook(settings, _CLIENT).open_documents()
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


# A decision.


def _carry_out(settings: Config, command: Command, *, as_json: bool) -> None:
    """Send the command, show what is answered, and choose the exit code."""
    client_id = f"{settings.name}-{_CLIENT}"
    last: Reply | None = None
    try:
        # No `open_cluster`: its line would stand on the terminal between the replies.
        with Cluster(client_properties(settings.kafka, client_id), SECONDS) as cluster:
            for reply in _replies(settings, cluster, client_id, command):
                last = reply
                _show(reply, as_json=as_json)
            if last is None:
                raise TopicError([_nobody(settings, cluster)])
    except KeyboardInterrupt:
        typer.echo("What was sent goes on. `extend-connector parked` shows whether it is parked still.", err=True)
        raise
    if last.outcome is ReplyOutcome.ACCEPTED:
        typer.echo(
            "Its owner has not said yet what came of it; a worker that has left meanwhile never will. "
            "`extend-connector parked` shows whether it is parked still; the command may be sent again.",
            err=True,
        )
    if last.outcome is not ReplyOutcome.DONE:
        raise typer.Exit(1)


def _replies(settings: Config, cluster: Cluster, client_id: str, command: Command) -> Iterator[Reply]:
    name = signals_topic(settings.name)
    facts = cluster.topics([name]).get(name)
    if facts is None:
        raise TopicError(
            [f"The topic {name} does not exist: `extend-connector topics` shows what is missing. Nothing was sent."],
        )
    conversation = Conversation(
        topic=SignalsTopic(name, facts.partitions, SignalCodec(Codec(*load_schemas("signal")))),
        cluster=cluster,
        reading=reader_properties(settings.kafka, client_id, client_id),
        writing=producer_properties(settings.kafka, client_id, None, _COMMAND_BYTES),
    )
    return conversation.ask(command, ANSWER_SECONDS, settings.start.settle + MARGIN_SECONDS)


def _show(reply: Reply, *, as_json: bool) -> None:
    if as_json:
        fields: dict[str, object] = {
            "command_id": reply.command_id,
            "tag": str(reply.tag),
            "outcome": reply.outcome.value,
            "message": reply.message,
        }
        print_lines([fields])
    else:
        typer.echo(reply.message, err=reply.outcome is ReplyOutcome.REFUSED)


def _nobody(settings: Config, cluster: Cluster) -> str:
    """Why nobody may have answered, as far as the group's members say so."""
    try:
        members = len(cluster.members(settings.name))
    except TopicError as error:
        seen = f"Whether a worker runs could not be seen ({error})."
    else:
        one = "1 member" if members == 1 else f"{members} members"
        seen = (
            f"The group {settings.name} has {one}: their /readyz and logs say what they are doing."
            if members
            else f"No worker is running: the group {settings.name} has no members."
        )
    return (
        f"No owner answered within {ANSWER_SECONDS:.0f} s. {seen} A worker that starts later does it still, while "
        "the signals topic keeps it and the document is parked as it is now. The command may be sent again: it is done "
        "once at the most."
    )
