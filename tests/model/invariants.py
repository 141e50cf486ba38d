"""What must hold for every input: in every state, and where nothing more happens."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from tests.model.start_protocol import CREATED, DEAD_LETTER, MOST_POSTS, Document, Post, State


class Invariant(Enum):
    """The names by which a variant says what it breaks."""

    COST = "no run is bought twice: one per input, one more per allowed repeat or command"
    ONE_END = "no input comes out twice: one result or one dead letter"
    OWN_RUN = "a result is that of the input's own run"
    CERTAIN = "ready means that no run exists and that none can come"
    NOTHING_LOST = "where nothing more happens, every input is done, a dead letter, or parked"

    def holds(self, document: Document, most_runs: int) -> bool:
        """Whether it holds for one input, which may buy this many runs without a command."""
        return _CHECKS[self](document, most_runs)


def _cost(document: Document, most_runs: int) -> bool:
    return document.runs <= most_runs + (document.command is not None)


def _one_end(document: Document, _: int) -> bool:
    return len(document.ends) <= 1


def _own_run(document: Document, _: int) -> bool:
    bought = {number for number, post in enumerate(document.posts) if post in CREATED}
    return {*document.ends} <= bought | {DEAD_LETTER}


def _ready_is_certain(document: Document, most_runs: int) -> bool:
    if document.journal.state is not State.READY or most_runs > 1 or document.command is not None:
        return True
    return all(post in {Post.VOID, Post.REFUSED, Post.UNSENT} for post in document.posts)


def _nothing_lost(document: Document, _: int) -> bool:
    """No POST is left where the model's bound cuts an input off: it waits in ``ready``, or is still in the topic."""
    waits = document.journal.state is State.READY or (document.journal.state is State.NEW and not document.offset)
    cut_off = waits and len(document.posts) == MOST_POSTS
    return cut_off or document.journal.state in {State.DONE, State.DEAD, State.PARKED}


_CHECKS: dict[Invariant, Callable[[Document, int], bool]] = {
    Invariant.COST: _cost,
    Invariant.ONE_END: _one_end,
    Invariant.OWN_RUN: _own_run,
    Invariant.CERTAIN: _ready_is_certain,
    Invariant.NOTHING_LOST: _nothing_lost,
}
