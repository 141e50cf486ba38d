"""An operator's decision about a parked document: whether it may be asked for, and whether its owner may act on it."""

from __future__ import annotations

from connector.core.entry import Entry, State
from connector.core.errors import ConnectorError
from connector.core.signals.signal import Action, Command
from connector.core.tag import Tag


class NotParked(ConnectorError):  # noqa: N818 - it names what the document is
    """There is nothing to decide about this document; the sentence says why, and nothing was sent."""


def decide(tag: Tag, entry: Entry | None, action: Action, command_id: str, run_id: str | None = None) -> Command:
    """The command for a parked document.

    It carries the nonce of the start that is seen parked here: when the document has moved on before its owner reads
    the command, the nonces differ and nothing happens.

    Args:
        tag: the document.
        entry: what the journal says of it, or None when it is not open.
        action: what to do.
        command_id: names the command; fresh for each.
        run_id: the run, with ``ADOPT``.

    Raises:
        NotParked: the document is not parked.
    """
    if entry is None:
        raise NotParked(
            f"No open document has the tag {tag}: it is done, or the tag is wrong. Nothing was sent. "
            "`extend-connector explain` followed by the tag tells what is known of it.",
        )
    if entry.state is not State.PARKED:
        run = f"; its run is {entry.run_id}" if entry.run_id else ""
        raise NotParked(
            f"The document {tag} is not parked but in the state {entry.state.value}{run}. Nothing was sent."
        )
    if entry.nonce is None:
        raise NotParked(f"The journal does not say which start of {tag} is parked: it is damaged. Nothing was sent.")
    return Command(command_id, tag, entry.nonce, action, run_id)


def objection(command: Command, entry: Entry | None, *, busy: bool, waits: bool) -> str | None:
    """Why its owner does not act on a command, as a sentence; None when it does.

    A start that waits for its scan is no objection to another decision: whoever waits may think again.

    Args:
        command: the command.
        entry: the document, or None when it is not open.
        busy: a decision about it is being carried out.
        waits: an earlier command to start it waits for its scan.
    """
    if entry is None:
        return "It is not open any more: it has its result or its dead letter."
    if entry.state is not State.PARKED or entry.nonce != command.nonce:
        return f"It is not parked as it was: it is {entry.state.value} now."
    if busy:
        return "Something else is being done with it: look again in a moment."
    if waits and command.action is Action.START:
        return "It is looked for already, before it is started: look again in a moment."
    return None
