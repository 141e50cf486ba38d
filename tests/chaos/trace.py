"""What a harness that sees everything knows more: which transaction each record came in, and what each POST met.

A simulation always knows it; readers of a real cluster see records and offsets only, and leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.core.record import Partition


@dataclass(frozen=True, slots=True)
class Journaled:
    """A committed journal record of a document.

    Attributes:
        transaction: the number of its transaction; numbers grow with the commits.
        tag: the document, as the key names it.
        state: its state, or None for a tombstone.
        writer: the ``transactional.id`` that wrote it.
        nonce: the POST that an intent names.
    """

    at_ms: int
    transaction: int
    tag: str
    state: str | None
    writer: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Emitted:
    """A committed record of a status topic or of the dead-letter topic."""

    at_ms: int
    transaction: int
    topic: str
    tag: str
    source: Partition


@dataclass(frozen=True, slots=True)
class Advanced:
    """An offset of the group that was committed, moved or not; without a transaction, by a person."""

    at_ms: int
    transaction: int | None
    partition: Partition
    offset: int


@dataclass(frozen=True, slots=True)
class Post:
    """A POST that was written, whatever became of it.

    Attributes:
        outcome: what the API made of it.
        clear: its sender got a certain answer in time.
        run_id: the run that it bought.
    """

    at_ms: int
    tag: str
    sender: str
    outcome: str
    clear: bool
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that was seen, in the order in which it happened.

    Attributes:
        outputs: for each run and each of its ends the output, as JSON text.
        excused: documents that may be parked, because nobody could know what became of their POST.
        hanging: what has not come to its end: transactions, partitions whose end is not stable.
        fenced_alive: producers that somebody else ended although they were well.
        too_early: requests before the time that the API asked to wait for.
        leaks: places where a secret was seen.
        ordered: results of one key come in the order of its inputs.
    """

    journaled: tuple[Journaled, ...] = ()
    emitted: tuple[Emitted, ...] = ()
    advanced: tuple[Advanced, ...] = ()
    posts: tuple[Post, ...] = ()
    outputs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    excused: tuple[str, ...] = ()
    hanging: tuple[str, ...] = ()
    fenced_alive: tuple[str, ...] = ()
    too_early: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    ordered: bool = False
