"""`extend-connector replay`: dead letters, and another chance for those that were mended; results, told once more."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connector.cli.inflight import WIDTH, cell, print_lines
from connector.cli.letter_box import Fate, LetterBox
from connector.cli.loading import ConfigOption, load_config, load_for_kafka
from connector.cli.replay_result import replay_result, tag_in
from connector.cli.result_lines import moment, printable, readable
from connector.config.nearest import one_of
from connector.core.accept.replay import DeadLetter
from connector.core.entry import Request
from connector.core.errors import ConnectorError, TopicError
from connector.core.sought import Place, place_in

_LIST, _SHOW, _SEND = "list", "show", "send"
_ACTIONS = (_LIST, _SHOW, _SEND)
_SHOWN = 20
"""Sentences about single records; the rest is counted."""


def replay(
    action: Annotated[str, typer.Argument(help=f"{', '.join(_ACTIONS)}.", metavar="ACTION")] = _LIST,
    places: Annotated[
        list[str] | None,
        typer.Argument(
            help="Where the originals stood: topic/partition/offset, as the list shows it.", metavar="PLACE"
        ),
    ] = None,
    *,
    result: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Instead of an ACTION: read this document's run again, and write its result."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason code.")] = None,
    value: Annotated[
        Path | None,
        typer.Option(help="With send and one PLACE: a file with the mended value, sent instead of the original's."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="With send: also what was sent before. With --result: also what says nothing new."
        ),
    ] = False,
    accept_cost: Annotated[
        bool,
        typer.Option("--accept-cost", help="With send: also those whose run may exist: dropped, or started again."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With send and --result: do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With list: one JSON object per dead letter and line.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show dead letters, and send mended ones to their input topic again; or write a result once more.

    list (or nothing): how many there are, by reason; with --reason one by one.

    show PLACE: one of them, with what it would become now.

    send PLACE... or send --reason CODE: those that would become a run now, which buys it. All are written, or none.

    What was sent again is marked by a header and not sent a second time, as long as its input topic keeps the record.

    --result TAG: what the API shows of the document's run now, as its next revision. It buys nothing.

    Example: extend-connector replay send documents/3/4711 --value mended.json

    Example: extend-connector replay send --reason NO_ROUTE --yes

    Example: extend-connector replay --result "invoices/documents/3/4711#k5q2..."
    """
    if result is not None:
        if action != _LIST or any((places, reason, value, accept_cost, as_json)):
            raise typer.BadParameter("--result goes with --again and --yes alone.")
        tag = tag_in(result)
        replay_result(tag, load_config(config), again=again, yes=yes)
        return
    chosen = _action(action)
    wanted = _places(chosen, places or [], reason=reason, value=value)
    if chosen != _SEND and (again or accept_cost or yes or value is not None):
        raise typer.BadParameter("--value, --again, --accept-cost and --yes go with send.")
    if as_json and chosen != _LIST:
        raise typer.BadParameter("--json goes with list.")
    mended = None if value is None else _bytes_of(value)
    box = LetterBox(load_for_kafka(config))
    if chosen == _LIST:
        _show_all(box, reason, as_json=as_json)
    elif chosen == _SHOW:
        _show(box, wanted[0])
    else:
        letters = [box.at(place) for place in wanted] if wanted else box.letters(reason)
        if not letters:
            raise TopicError([f"No dead letter has the reason {reason}: nothing was sent."])
        _send(box, letters, mended, again=again, accept_cost=accept_cost, yes=yes)


def _action(text: str) -> str:
    try:
        return one_of(text, _ACTIONS, "actions")
    except ValueError as error:
        raise typer.BadParameter(f"ACTION {error}.") from None


def _places(action: str, texts: Sequence[str], *, reason: str | None, value: Path | None) -> list[Place]:
    found = [place_in(text) for text in texts]
    if None in found:
        raise typer.BadParameter(
            "PLACE is topic/partition/offset, as `extend-connector replay --reason CODE` shows it."
        )
    if action == _LIST and texts:
        raise typer.BadParameter("list takes no PLACE; show does.")
    if action == _SHOW and (len(texts) != 1 or reason is not None):
        raise typer.BadParameter("show takes one PLACE and no --reason.")
    if action == _SEND and bool(texts) == (reason is not None):
        raise typer.BadParameter("send takes either PLACEs or --reason.")
    if value is not None and len(texts) != 1:
        raise typer.BadParameter("--value goes with one PLACE: it is the mended value of that record.")
    return list(dict.fromkeys(place for place in found if place is not None))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"--value {path} cannot be read: {error.strerror}.") from None


def _show_all(box: LetterBox, reason: str | None, *, as_json: bool) -> None:
    letters = box.letters(reason)
    replays = box.replays(letters)
    if as_json:
        print_lines([_line(letter, replays.get(letter.source)) for letter in letters])
    elif not letters:
        typer.echo("No dead letter is there." if reason is None else f"None has the reason {reason}.", err=True)
    elif reason is None:
        _print_reasons(letters, replays)
    else:
        _print_letters(letters, replays)


def _show(box: LetterBox, place: Place) -> None:
    """One letter, its value too: who may read the topic may read it."""
    letter = box.at(place)
    at = box.replays([letter]).get(place)
    kept = box.originals([letter]).get(letter.place)
    fate = box.fate(letter, kept, {}, accept_cost=True)
    for name, text in (
        ("source", str(letter.source)),
        ("time", moment(letter.timestamp)),
        ("reason", letter.reason),
        ("message", letter.message),
        ("left out", ", ".join(letter.omitted) or None),
        ("run", "an earlier start may have made one" if letter.run_may_exist else None),
        ("sent again as", None if at is None else str(at)),
        ("the original, sent now", fate.objection if fate.request is None else f"it would buy {_one(fate.request)}"),
    ):
        if text is not None:
            typer.echo(f"{name}: {printable(text)}")
    typer.echo(f"value: {readable(kept.value if kept is not None else None)}")


def _send(
    box: LetterBox,
    letters: Sequence[DeadLetter],
    mended: bytes | None,
    *,
    again: bool,
    accept_cost: bool,
    yes: bool,
) -> None:
    """Send those that would become a run, after a look at what was sent before, and a question."""
    producer = box.producer(letters)
    try:
        replays = box.replays(letters)  # only now: whoever was at it before can add nothing any more
        kept = box.originals(letters)
        fates = [
            box.fate(each, kept.get(each.place), replays, mended=mended, again=again, accept_cost=accept_cost)
            for each in letters
        ]
        good = [fate for fate in fates if fate.record is not None]
        _say_objections([fate for fate in fates if fate.record is None])
        if not good or not (yes or _confirmed(good)):
            raise ConnectorError("Nothing was sent.")
        producer.write([fate.record for fate in good if fate.record is not None])
    finally:
        producer.close()
    typer.echo(f"Sent: {_several(len(good))}. `extend-connector results --follow` shows what comes of it.")
    if len(good) < len(fates):
        raise typer.Exit(1)


def _confirmed(fates: Sequence[Fate]) -> bool:
    """Ask a person what it may cost; without a terminal there is nobody to ask."""
    runs = Counter(_one(fate.request) for fate in fates if fate.request is not None)
    for what, count in sorted(runs.items()):
        typer.echo(f"{count} x {what}", err=True)
    question = f"Send {_several(len(fates))}? Each buys a run."
    if not sys.stdin.isatty():
        raise ConnectorError(f"{question} Nobody can be asked here: --yes says so.")
    return typer.confirm(question, err=True)


def _say_objections(fates: Sequence[Fate]) -> None:
    for fate in fates[:_SHOWN]:
        typer.echo(f"Not sent, {fate.letter.source}: {fate.objection}.", err=True)
    if len(fates) > _SHOWN:
        typer.echo(f"... and {len(fates) - _SHOWN} more.", err=True)


def _one(request: Request) -> str:
    return f"{request.run_type} by route {request.route}"


def _several(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _line(letter: DeadLetter, at: Place | None) -> dict[str, object]:
    return {
        "source": str(letter.source),
        "reason": letter.reason,
        "message": letter.message,
        "timestamp": letter.timestamp,
        "omitted": sorted(letter.omitted),
        "replayed": None if at is None else str(at),
        "dead_letter": str(letter.place),
    }


def _print_reasons(letters: Sequence[DeadLetter], replays: Mapping[Place, Place]) -> None:
    table = Table("reason", "dead letters", "sent again", "oldest", "newest", box=None)
    for reason in sorted({letter.reason for letter in letters}):
        those = [letter for letter in letters if letter.reason == reason]
        sent = sum(letter.source in replays for letter in those)
        times = [moment(each.timestamp) for each in (those[0], those[-1])]
        table.add_row(cell(reason), str(len(those)), str(sent), *times)
    Console(width=WIDTH).print(table)


def _print_letters(letters: Sequence[DeadLetter], replays: Mapping[Place, Place]) -> None:
    table = Table("time", "source", "sent again", "message", box=None)
    for letter in letters:
        at = replays.get(letter.source)
        table.add_row(moment(letter.timestamp), cell(letter.source), cell(at), cell(letter.message))
    Console(width=WIDTH).print(table)
