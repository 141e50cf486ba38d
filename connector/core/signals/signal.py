"""Signals: short messages about one document, for whoever owns it now, through the topic ``<name>.signals``.

A *fact* is what a former owner knows of one of its POSTs; a *command* is an operator's decision about a parked
document, and a *reply* the owner's answer to it; a *doorbell* says that something about a run has changed. A signal
that is lost, late or doubled costs time at most: facts and commands name the POST that they mean by its nonce, and
what does not fit the document as it is now does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connector.core.formats.framing import Codec
from connector.core.outcome import NEVER_SENT, Started, StartOutcome, Unclear
from connector.core.tag import Tag

VERSION = 1


class FactOutcome(StrEnum):
    """What became of a POST, as far as it is certain."""

    ID = "id"
    REFUSED = "refused"
    NEVER_SENT = "never_sent"


class Action(StrEnum):
    """What an operator wants done with a parked document."""

    ADOPT = "adopt"
    START = "start"
    DROP = "drop"


class ReplyOutcome(StrEnum):
    """How far a command has come: accepted first, then one of the others."""

    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Doorbell:
    """Something about this run has changed."""

    tag: Tag
    run_id: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What a former owner knows of its POST.

    Attributes:
        tag: the document.
        nonce: the POST.
        outcome: what became of it.
        run_id: the run, with ``ID``; its new owner verifies it by a GET.
    """

    tag: Tag
    nonce: str
    outcome: FactOutcome
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's decision about a parked document.

    Attributes:
        id: names the command; one that comes twice is done once.
        tag: the document.
        nonce: the unclear POST that the operator has seen parked: compare-and-set.
        action: what to do.
        run_id: the run, with ``ADOPT``.
    """

    id: str
    tag: Tag
    nonce: str
    action: Action
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The owner's answer to a command.

    Attributes:
        command_id: the command.
        tag: the document.
        outcome: how far it has come.
        message: a sentence for a person.
    """

    command_id: str
    tag: Tag
    outcome: ReplyOutcome
    message: str


Signal = Doorbell | Fact | Command | Reply


def fact_of(tag: Tag, nonce: str, outcome: StartOutcome) -> Fact | None:
    """What others may be told of a POST; None while nothing about it is certain.

    Args:
        tag: the document.
        nonce: the POST.
        outcome: what it led to.
    """
    match outcome:
        case Started(run):
            return Fact(tag, nonce, FactOutcome.ID, run.id)
        case Unclear():
            return None
        case _:
            return Fact(tag, nonce, FactOutcome.NEVER_SENT if outcome is NEVER_SENT else FactOutcome.REFUSED)


def signal_key(tag: Tag) -> bytes:
    """The key of every signal about a document."""
    return str(tag).encode()


def kind_of(signal: Signal) -> str:
    """``doorbell``, ``fact``, ``command`` or ``reply``."""
    return type(signal).__name__.lower()


class SignalCodec:
    """Signals as record values and back."""

    def __init__(self, codec: Codec) -> None:
        """Take the codec of ``schemas/signal.avsc``."""
        self._codec = codec

    def encode(self, signal: Signal, now_ms: int) -> bytes:
        """The record's value.

        Args:
            signal: the signal.
            now_ms: milliseconds since the epoch.
        """
        fields: dict[str, object] = {
            "version": VERSION,
            "kind": kind_of(signal),
            "tag": str(signal.tag),
            "at_ms": now_ms,
        }
        match signal:
            case Doorbell():
                fields |= {"run_id": signal.run_id}
            case Fact():
                fields |= {"nonce": signal.nonce, "outcome": signal.outcome.value, "run_id": signal.run_id}
            case Command():
                fields |= {
                    "nonce": signal.nonce,
                    "command_id": signal.id,
                    "action": signal.action.value,
                    "run_id": signal.run_id,
                }
            case Reply():
                fields |= {
                    "command_id": signal.command_id,
                    "outcome": signal.outcome.value,
                    "message": signal.message,
                }
        return self._codec.encode(fields)

    def decode(self, value: bytes) -> Signal | None:
        """The signal, or None: damaged, incomplete, or of a version or kind that this connector does not know."""
        try:
            return _signal(self._codec.decode(value))
        except ValueError:  # Undecodable is one, and so is a word that an enumeration does not know
            return None


class _Incomplete(ValueError):  # noqa: N818 - it names what the record is
    """A field is missing that this kind of signal must have."""


def _signal(fields: dict[str, object]) -> Signal | None:
    def text(name: str) -> str:
        value = fields[name]
        if not isinstance(value, str):
            raise _Incomplete(name)
        return value

    tag = Tag.parse(text("tag"))
    if tag is None or fields["version"] != VERSION:
        return None
    match fields["kind"]:
        case "doorbell":
            return Doorbell(tag, text("run_id"))
        case "fact":
            outcome = FactOutcome(text("outcome"))
            return Fact(tag, text("nonce"), outcome, text("run_id") if outcome is FactOutcome.ID else None)
        case "command":
            action = Action(text("action"))
            run_id = text("run_id") if action is Action.ADOPT else None
            return Command(text("command_id"), tag, text("nonce"), action, run_id)
        case "reply":
            return Reply(text("command_id"), tag, ReplyOutcome(text("outcome")), text("message"))
        case _:
            return None
