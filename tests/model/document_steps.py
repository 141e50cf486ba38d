"""What happens to one input alone: its owners, the API and the signals topic take their next steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.start_protocol import (
    CREATED,
    FOREIGN,
    MOST_POSTS,
    POSTING,
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


class DocumentStep(NamedTuple):
    """Something that happens to one input."""

    text: str
    after: Document


def document_steps(protocol: Protocol, group: Group, document: Document, *, foreign: bool) -> Iterator[DocumentStep]:
    """Everything that may happen next to one input alone.

    Args:
        protocol: which ingredients there are.
        group: who owns the partition.
        document: the input.
        foreign: a list shows another input's run with this input's tag.
    """
    for number, host in enumerate(group.hosts):
        if host not in group.dead:
            yield from OwnerSteps(protocol, group, document, number, foreign=foreign).steps()
    yield from _api_steps(document)
    yield from _signals_steps(protocol, group, document)


def _api_steps(document: Document) -> Iterator[DocumentStep]:
    for number, post in enumerate(document.posts):
        if post is Post.QUEUED:
            yield DocumentStep(f"the HTTP client sends POST {number} after all", set_post(document, number, Post.WIRE))
        if post is Post.WIRE:
            yield DocumentStep(f"the API creates run {number}", set_post(document, number, Post.HIDDEN))
            yield DocumentStep(f"the API refuses POST {number}", set_post(document, number, Post.REFUSED))
        if post is Post.HIDDEN:
            yield DocumentStep(f"run {number} shows in lists", set_post(document, number, Post.LISTED))


def _signals_steps(protocol: Protocol, group: Group, document: Document) -> Iterator[DocumentStep]:
    """What former owners know goes to the signals topic, and so do the operator's commands."""
    for process, fact in document.known:
        if process not in group.stale and process != group.hosts[-1]:
            told = document._replace(known=document.known - {(process, fact)}, signals=document.signals | {fact})
            yield DocumentStep(f"{process} tells in the signals topic: POST {fact.post} {fact.kind}", told)
    if protocol.operator and document.command is None and document.journal.state is State.PARKED:
        commanded = document._replace(command=document.journal.post)
        yield DocumentStep(f"the operator commands start, given POST {document.journal.post}", commanded)


class OwnerSteps:
    """What one owner may do next with one input."""

    def __init__(self, protocol: Protocol, group: Group, document: Document, number: int, *, foreign: bool) -> None:
        self._protocol = protocol
        self._document = document
        self._number = number
        self._foreign = foreign
        self._owner = document.owners[number]
        self._host = group.hosts[number]
        self._name = f"{self._host}{number + 1}"
        self._owns = number == len(group.hosts) - 1
        self._believes = self._owns or self._host in group.stale
        self._in_process = [n for n, host in enumerate(group.hosts) if host == self._host]

    def steps(self) -> Iterator[DocumentStep]:
        """In the order of an input's way."""
        match self._owner.doing:
            case Doing.STARTS:
                yield from self._start()
            case Doing.HANDED:
                yield from self._check()
            case Doing.CHECKED:
                yield self._write_body()
            case Doing.WAITS:
                yield from self._answer()
            case Doing.LOOKS | Doing.LOOKS_AGAIN:
                yield from self._look_up()
            case Doing.FOLLOWS:
                done = self._owner.entry._replace(state=State.DONE)
                yield self._wants(done, f"run {self._owner.entry.post} has ended")
            case Doing.WATCHES:
                yield from self._watch()

    def _step(self, text: str, after: Document) -> DocumentStep:
        return DocumentStep(f"{self._name}: {text}", after)

    def _wants(self, entry: Entry, why: str, document: Document | None = None) -> DocumentStep:
        """A write goes to the Kafka thread, if the owner still believes to be one."""
        doing = Doing.WRITES if self._believes else Doing.OVER
        after = set_owner(self._document if document is None else document, self._number, doing, entry)
        return self._step(f"{why}; wants to write {entry}" if self._believes else why, after)

    def _knows(self, fact: Fact) -> Document:
        return self._document._replace(known=self._document.known | {(self._host, fact)})

    def _start(self, why: str = "it is its turn", *, unclear: int = 0) -> Iterator[DocumentStep]:
        """An intent with a fresh nonce."""
        document, entry = self._document, self._owner.entry
        if len(document.posts) == MOST_POSTS or (document.offset and entry.state is State.NEW):
            return
        intent = Entry(State.INTENT, len(document.posts), entry.unclear + unclear)
        posted = document._replace(posts=(*document.posts, Post.UNSENT))
        if not self._protocol.offset_with_entry and not document.offset:
            yield self._step("commits the offset alone", document._replace(offset=True))
        if self._protocol.intent_first:
            yield self._wants(intent, why, posted)
        else:
            yield self._step("hands the POST over", set_owner(posted, self._number, Doing.HANDED, intent))

    def _check(self) -> Iterator[DocumentStep]:
        """Lease and assignment number, in the step before the body is written."""
        if self._believes:
            yield self._step("checks lease and assignment", set_owner(self._document, self._number, Doing.CHECKED))
            yield self._never_sent("the lease is over")
            if not self._protocol.never_sent_is_certain:
                yield self._never_sent("the request still waits in the HTTP client", Post.QUEUED)
        else:
            yield self._never_sent("the assignment is over")

    def _write_body(self) -> DocumentStep:
        if not self._owns and not self._protocol.pauses:
            return self._never_sent("the assignment is over")
        post = self._owner.entry.post
        sent = set_post(self._document, post, Post.WIRE)
        return self._step(f"writes the body of POST {post}", set_owner(sent, self._number, Doing.WAITS))

    def _never_sent(self, why: str, post: Post = Post.VOID) -> DocumentStep:
        entry = self._owner.entry
        known = set_post(self._knows(Fact(entry.post, "never sent")), entry.post, post)
        return self._wants(self._ready(), f"{why}: POST {entry.post} was never sent", known)

    def _ready(self) -> Entry:
        return Entry(State.READY, unclear=self._owner.entry.unclear)

    def _answer(self) -> Iterator[DocumentStep]:
        document, entry = self._document, self._owner.entry
        post = document.posts[entry.post]
        if post in CREATED:
            known = self._knows(Fact(entry.post, "id"))
            yield self._wants(entry._replace(state=State.STARTED), f"the answer is run {entry.post}", known)
        if post is Post.REFUSED:
            known = self._knows(Fact(entry.post, "refused"))
            yield self._wants(self._ready(), f"POST {entry.post} is refused", known)
            yield self._wants(Entry(State.DEAD), f"POST {entry.post} is refused for good", known)
        if not self._protocol.server_error_is_unclear:
            yield self._wants(self._ready(), f"POST {entry.post} ends with a 5xx")
        doing = Doing.LOOKS if self._believes else Doing.OVER
        yield self._step(f"the answer to POST {entry.post} is lost", set_owner(document, self._number, doing))

    def _look_up(self) -> Iterator[DocumentStep]:
        """An intent whose POST is unclear: facts first, then two scans, then the decision."""
        document, entry = self._document, self._owner.entry
        if any(document.owners[n].doing in POSTING and document.owners[n].entry == entry for n in self._in_process):
            return  # the fact is still open in this process
        yield from self._adopt()
        if self._cannot_overlook() or self._window_is_open():
            return
        if self._owner.doing is Doing.LOOKS:
            yield self._step("finds no run", set_owner(document, self._number, Doing.LOOKS_AGAIN))
        elif self._protocol.on_unclear == "retry" and entry.unclear + 1 < self._protocol.max_attempts:
            yield from self._start("finds no run again, repeats", unclear=1)
        else:
            yield self._wants(entry._replace(state=State.PARKED), "finds no run again")

    def _window_is_open(self) -> bool:
        guarded = self._protocol.settle_window and not self._protocol.late_creates
        return guarded and any(post in (Post.WIRE, Post.HIDDEN) for post in self._document.posts)

    def _cannot_overlook(self) -> bool:
        """A complete scan finds what is listed, and a process has its own facts; signals may be read later."""
        own = any(process == self._host and self._concerns(fact) for process, fact in self._document.known)
        return own or self._foreign or Post.LISTED in self._document.posts

    def _concerns(self, fact: Fact) -> bool:
        """A run is known by its own tag; that none was created is said of one POST."""
        return fact.kind == "id" or fact.post == self._owner.entry.post or not self._protocol.facts_name_nonce

    def _adopt(self) -> Iterator[DocumentStep]:
        """What makes an unclear start clear: a fact, or the run in a list."""
        document, entry = self._document, self._owner.entry
        facts = {fact for process, fact in document.known if process == self._host} | document.signals
        runs = [fact.post for fact in facts if fact.kind == "id"]
        none = [fact for fact in facts if fact.kind != "id" and self._concerns(fact)]
        listed = [number for number, post in enumerate(document.posts) if post is Post.LISTED]
        if runs:
            yield self._wants(entry._replace(state=State.STARTED, post=min(runs)), f"hears of run {min(runs)}")
        elif none:
            yield self._wants(self._ready(), f"hears that POST {min(none).post} was {min(none).kind}")
        if listed:
            yield self._wants(entry._replace(state=State.STARTED, post=listed[0]), f"finds run {listed[0]} by its tag")
        elif self._foreign:
            yield self._wants(entry._replace(state=State.STARTED, post=FOREIGN), "finds another input's run by its tag")

    def _watch(self) -> Iterator[DocumentStep]:
        """A parked input is adopted when its run turns up, and started when a person says so."""
        command = self._document.command
        yield from self._adopt()
        obeys = command == self._owner.entry.post or not self._protocol.command_names_nonce
        if command is not None and obeys and not self._cannot_overlook():
            yield from self._start(f"obeys the command that was given for POST {command}")
