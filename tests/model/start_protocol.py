"""The start protocol as a model: what may happen to one input between its record and its end, step by step.

How to use it. To change the protocol, change it here first: add a switch to ``Protocol``, say in the steps below what
happens with and without it, add a row to the variants in ``test_start_protocol.py``, and run

    .venv/bin/python -m pytest -s tests/model

``search.py`` visits every interleaving of the steps, with any number of faults, and tells the shortest way to where an
invariant breaks. To judge a reduction of ``normal_form.py``, leave it out: the same invariants must hold, more slowly.

What it has. Three owners in a row, that is three assignments of one partition: in three processes, or in one that lost
the partition and regained it, or in one that replaced its producer and restored in place. A process is killed, or
sleeps for any time before any of its steps and wakes up without knowing that it lost the partition. A POST is created,
refused, never sent, answered or not, and decided at any time after it was written. A run shows in lists at any time
after it was created. Each input has its steps (``document_steps``); what happens to all at once, such as a kill, a
rebalance or the one transaction with everything that waits, are the steps of the group (``group_steps``). Inputs meet
only there, and in lists where a tag is not unique; so two inputs are searched for what ships, one for its variants.

What it leaves out, and where its limits are:

- There are no clocks. The settle window is a guard that opens once everything sent is decided and listed; with
  ``late_creates`` it covers nothing. The lease is a check that may fail at any time.
- The broker is right: a transaction is atomic, a stale generation is refused, a restore reads to the end of the log.
- A process that hosts the last owner is not killed: a fourth owner would repeat the third.
- An input has at most ``MOST_POSTS`` POSTs that matter at a time; what waits for another then counts as served.
- Where nothing more happens every input is served; that a loop of refusals ends is not shown, only that it may.
- The scan is complete: no pages, no margins. Doorbells are the same step as a row of the list.
- A review is a result like any other. Order by key, limits, the breaker and the route guard only delay steps.
- Inputs are accepted in any order: that offsets do not overtake is decided, and tested, in ``core/positions``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

OWNERS = 3
MOST_POSTS = 3
FOREIGN = -2
"""The run of another input with the same tag; other runs have the number of the POST that created them."""
NO_POST = -1
DEAD_LETTER = -3


class State(StrEnum):
    """What the journal says of an input: nothing yet, the states of an entry, or one of two ends."""

    NEW = "nothing"
    INTENT = "intent"
    READY = "ready"
    STARTED = "started"
    PARKED = "parked"
    DONE = "tombstone, with the result"
    DEAD = "tombstone, with a dead letter"


WRITES = frozenset(State) - {State.NEW}


@dataclass(frozen=True)
class Protocol:
    """The ingredients; each can be left out. The defaults are the protocol that ships, in the worst surroundings.

    Attributes:
        intent_first: an intent is journaled before the POST.
        generation_fenced: the writes that the broker refuses from a stale generation.
        assignment_fenced: the writes that are dropped when they were made under an earlier assignment number.
        offset_with_entry: the input's offset is committed in the transaction of its first entry.
        settle_window: an unclear start is looked up only after the window.
        on_unclear: what follows when the run is not found.
        max_attempts: POSTs that may be unclear, with ``retry``.
        facts_name_nonce: *refused* and *never sent* say of which POST.
        never_sent_is_certain: *never sent* is told only of a request that the HTTP client has let go.
        facts_outlive_producer: a restore in place keeps the facts; without them its own intents count as never sent.
        server_error_is_unclear: a 5xx may have created a run.
        hash_in_tag: two records never share a tag; without it the inputs of a search do.
        operator: a person commands ``start`` once for a parked input; the command may be read again and again.
        command_names_nonce: the command is obeyed only for the POST that it was given for (compare-and-set).
        pauses: a process may sleep between its last check and the write of the POST, until after a take-over.
        late_creates: a run may be created, or be listed, after the settle window.
    """

    intent_first: bool = True
    generation_fenced: frozenset[State] = WRITES
    assignment_fenced: frozenset[State] = WRITES
    offset_with_entry: bool = True
    settle_window: bool = True
    on_unclear: Literal["park", "retry"] = "park"
    max_attempts: int = 2
    facts_name_nonce: bool = True
    never_sent_is_certain: bool = True
    facts_outlive_producer: bool = True
    server_error_is_unclear: bool = True
    hash_in_tag: bool = True
    operator: bool = False
    command_names_nonce: bool = True
    pauses: bool = True
    late_creates: bool = True


class Entry(NamedTuple):
    """The journal's entry of an input. ``post`` numbers the POST: its nonce, and the id of the run it creates."""

    state: State = State.NEW
    post: int = NO_POST
    unclear: int = 0
    """Earlier POSTs that ended unclear."""

    def __str__(self) -> str:
        return f"{self.state.value}({self.post})" if self.post != NO_POST else self.state.value


class Post(StrEnum):
    """Where a POST is."""

    UNSENT = "with its owner"
    QUEUED = "called off, but still in the HTTP client"
    WIRE = "written, undecided"
    HIDDEN = "run created, in no list yet"
    LISTED = "run created and listed"
    REFUSED = "refused"
    VOID = "never sent"


CREATED = (Post.HIDDEN, Post.LISTED)


class Doing(StrEnum):
    """What one owner does with one input."""

    ABSENT = "not there yet"
    STARTS = "may start it"
    WRITES = "waits for the transaction"
    HANDED = "has handed the POST to the HTTP client"
    CHECKED = "has checked lease and assignment, the body follows"
    WAITS = "waits for the answer"
    LOOKS = "looks the tag up"
    LOOKS_AGAIN = "looks the tag up a second time"
    FOLLOWS = "follows the run"
    WATCHES = "has it parked"
    OVER = "does nothing more"


POSTING = (Doing.HANDED, Doing.CHECKED, Doing.WAITS)
RESUME = {
    State.NEW: Doing.STARTS,
    State.READY: Doing.STARTS,
    State.INTENT: Doing.LOOKS,
    State.STARTED: Doing.FOLLOWS,
    State.PARKED: Doing.WATCHES,
    State.DONE: Doing.OVER,
    State.DEAD: Doing.OVER,
}


class Owner(NamedTuple):
    """One assignment's view of one input."""

    doing: Doing = Doing.ABSENT
    entry: Entry = Entry()
    """What it knows to be in the journal; what it wants to be there while it waits for the transaction."""


class Fact(NamedTuple):
    """What is known of a POST."""

    post: int
    kind: Literal["id", "refused", "never sent"]


class Document(NamedTuple):
    """One input, everywhere."""

    journal: Entry = Entry()
    offset: bool = False
    """The group's offset is behind it: nobody will be given the record again."""
    owners: tuple[Owner, ...] = (Owner(Doing.STARTS), *[Owner()] * (OWNERS - 1))
    posts: tuple[Post, ...] = ()
    known: frozenset[tuple[str, Fact]] = frozenset()
    """Facts in the memory of processes."""
    signals: frozenset[Fact] = frozenset()
    """Facts in the signals topic."""
    command: int | None = None
    """The operator's ``start`` in the signals topic, with the nonce that it was given for."""
    ends: tuple[int, ...] = ()
    """What was published: the runs of results, and dead letters."""

    @property
    def runs(self) -> int:
        """How many runs were bought."""
        return sum(post in CREATED for post in self.posts)


class Group(NamedTuple):
    """The consumer group: who hosts which assignment of the partition, and which processes know it."""

    hosts: str = "A"
    """The process of each assignment so far; the last one owns the partition."""
    stale: frozenset[str] = frozenset()
    """Processes that lost the partition and do not know it yet."""
    dead: frozenset[str] = frozenset()


def set_owner(document: Document, number: int, doing: Doing, entry: Entry | None = None) -> Document:
    """The input with another activity of one owner."""
    owners = document.owners
    owner = Owner(doing, owners[number].entry if entry is None else entry)
    return document._replace(owners=(*owners[:number], owner, *owners[number + 1 :]))


def set_post(document: Document, number: int, post: Post) -> Document:
    """The input with another state of one POST."""
    return document._replace(posts=(*document.posts[:number], post, *document.posts[number + 1 :]))
