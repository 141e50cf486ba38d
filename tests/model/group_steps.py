"""What happens to all inputs at once: transactions, kills, rebalances, restores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model.start_protocol import (
    DEAD_LETTER,
    OWNERS,
    POSTING,
    RESUME,
    Document,
    Doing,
    Entry,
    Fact,
    Group,
    Post,
    Protocol,
    State,
    set_owner,
    set_post,
)


class GroupStep(NamedTuple):
    """Something that happens to all inputs at once."""

    text: str
    after: Group
    effect: Callable[[Document], Document]


def group_steps(protocol: Protocol, group: Group) -> Iterator[GroupStep]:
    """Everything that may happen next to the processes and the group."""
    last = group.hosts[-1]
    more = len(group.hosts) < OWNERS
    for process in sorted(set(group.hosts) - group.dead):
        knowing = group._replace(stale=group.stale - {process})
        stale = ", and its generation is stale" if process in group.stale else ""
        yield GroupStep(f"{process} commits{stale}", knowing, _Commit(protocol, group, process))
        if process != last or more:
            killed = group._replace(dead=group.dead | {process}, stale=group.stale - {process})
            yield GroupStep(f"{process} is killed", killed, _Kill(group, process))
        if process in group.stale:
            yield GroupStep(f"{process} hears that it lost the partition", knowing, _Retire(group, process))
    if more and last not in group.dead:
        again = group._replace(hosts=group.hosts + last)
        for made in (True, False):
            text = f"the end of {last}'s transaction is unknown ({'made' if made else 'aborted'}); it restores in place"
            yield GroupStep(text, again, _Replace(protocol, group, made=made))
    if more:
        yield from _take_overs(group)


def _take_overs(group: Group) -> Iterator[GroupStep]:
    last = group.hosts[-1]
    fresh = "ABC"[len(set(group.hosts))]
    for heir in sorted({fresh, *group.hosts} - {last} - group.dead - group.stale):
        after = group._replace(hosts=group.hosts + heir)
        if last in group.dead:
            yield GroupStep(f"{heir} takes over", after, _TakeOver(group, aware=True))
            continue
        yield GroupStep(f"the partition moves to {heir}, as {last} knows", after, _TakeOver(group, aware=True))
        asleep = after._replace(stale=group.stale | {last})
        yield GroupStep(f"{last} sleeps, {heir} takes over", asleep, _TakeOver(group, aware=False))


def _retire(document: Document, group: Group, process: str, until: int) -> Document:
    """A process that knows that its assignments are over goes on with nothing but open POSTs and queued writes."""
    for number in range(until):
        goes_on = document.owners[number].doing in (*POSTING, Doing.WRITES, Doing.OVER)
        if group.hosts[number] == process and not goes_on:
            document = set_owner(document, number, Doing.OVER, Entry())
    return document


def drop(document: Document, number: int) -> Document:
    """An owner's write is not made, and it does nothing more. The POST of an intent that is not made never follows."""
    owner = document.owners[number]
    if owner.doing is Doing.WRITES and owner.entry.state is State.INTENT:
        document = set_post(document, owner.entry.post, Post.VOID)
    return set_owner(document, number, Doing.OVER, Entry())


def _make(document: Document, number: int) -> Document:
    """A write is in the journal, whoever knows it."""
    entry = document.owners[number].entry
    if entry.state in (State.DONE, State.DEAD):
        end = entry.post if entry.state is State.DONE else DEAD_LETTER
        document = document._replace(ends=(*document.ends, end))
    return document._replace(journal=entry, offset=True)


@dataclass(frozen=True)
class _Commit:
    """One transaction with everything of a process that waits."""

    protocol: Protocol
    group: Group
    process: str

    def __call__(self, document: Document) -> Document:
        hosts = self.group.hosts
        for number, host in enumerate(hosts):
            owner = document.owners[number]
            if host != self.process or owner.doing is not Doing.WRITES:
                continue
            if self._refused(number, owner.entry.state):
                document = drop(document, number)
                continue
            document = _make(document, number)
            doing = Doing.HANDED if owner.entry.state is State.INTENT else RESUME[owner.entry.state]
            document = set_owner(document, number, doing)
            if owner.entry.state not in (State.INTENT, State.PARKED):  # the journal knows it now
                document = document._replace(known=frozenset(k for k in document.known if k[0] != host))
        return _retire(document, self.group, self.process, len(hosts) - (self.process == hosts[-1]))

    def _refused(self, number: int, write: State) -> bool:
        if self.process in self.group.stale:
            return write in self.protocol.generation_fenced
        return number != len(self.group.hosts) - 1 and write in self.protocol.assignment_fenced


@dataclass(frozen=True)
class _Kill:
    """A process's memory is gone, and what it had not written to its sockets."""

    group: Group
    process: str

    def __call__(self, document: Document) -> Document:
        for number, host in enumerate(self.group.hosts):
            if host != self.process:
                continue
            owner = document.owners[number]
            if owner.doing in (Doing.WRITES, Doing.HANDED, Doing.CHECKED) and owner.entry.state is State.INTENT:
                document = set_post(document, owner.entry.post, Post.VOID)
            document = set_owner(document, number, Doing.OVER, Entry())
        posts = tuple(Post.VOID if post is Post.QUEUED else post for post in document.posts)
        return document._replace(posts=posts, known=frozenset(k for k in document.known if k[0] != self.process))


@dataclass(frozen=True)
class _Retire:
    group: Group
    process: str

    def __call__(self, document: Document) -> Document:
        return _retire(document, self.group, self.process, len(self.group.hosts))


@dataclass(frozen=True)
class _TakeOver:
    """The next owner restores the journal to its end."""

    group: Group
    aware: bool

    def __call__(self, document: Document) -> Document:
        if self.aware:
            document = _retire(document, self.group, self.group.hosts[-1], len(self.group.hosts))
        return _restore(document, len(self.group.hosts))


def _restore(document: Document, number: int) -> Document:
    return set_owner(document, number, RESUME[document.journal.state], document.journal)


@dataclass(frozen=True)
class _Replace:
    """Nobody knows how a transaction ended: the producer is replaced and the journal restored, in the same process."""

    protocol: Protocol
    group: Group
    made: bool

    def __call__(self, document: Document) -> Document:
        number = len(self.group.hosts) - 1
        host = self.group.hosts[number]
        owner = document.owners[number]
        if owner.doing is Doing.WRITES:
            if self.made:
                document = _make(document, number)
            if owner.entry.state is State.INTENT:
                never = (host, Fact(owner.entry.post, "never sent"))
                document = document._replace(known=document.known | {never})
            document = drop(document, number)
        document = _restore(_retire(document, self.group, host, number + 1), number + 1)
        if not self.protocol.facts_outlive_producer:
            document = document._replace(known=frozenset(k for k in document.known if k[0] != host))
            if document.journal.state is State.INTENT:
                document = set_owner(document, number + 1, Doing.STARTS, Entry(State.READY))
        return document
