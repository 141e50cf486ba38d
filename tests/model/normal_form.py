"""One form for all states of an input that differ in nothing that can ever matter again: far fewer states to visit."""

from __future__ import annotations

from tests.model.group_steps import drop
from tests.model.start_protocol import (
    POSTING,
    WRITES,
    Document,
    Doing,
    Entry,
    Fact,
    Owner,
    Post,
    Protocol,
    State,
)

REFERRED_TO = (State.INTENT, State.PARKED)
SETTLED = frozenset({State.STARTED, State.DONE, State.DEAD})
UNSETTLED = frozenset({State.INTENT, State.READY, State.PARKED})
MAY_WRITE = {
    Doing.STARTS: {State.INTENT},
    Doing.FOLLOWS: {State.DONE},
    Doing.LOOKS: UNSETTLED | {State.STARTED},
    Doing.LOOKS_AGAIN: UNSETTLED | {State.STARTED},
    Doing.WATCHES: UNSETTLED | {State.STARTED},
}
"""What an owner may want to write in its next step."""


def normal_form(protocol: Protocol, owners: int, document: Document) -> Document:
    """The input without what is over."""
    fenced = protocol.generation_fenced & protocol.assignment_fenced
    document = _without_former_owners(owners, document, fenced)
    if fenced >= UNSETTLED:  # otherwise an old intent may come back
        document = _without_old_facts(protocol, document)
    return _renumbered(document)


def _without_former_owners(owners: int, document: Document, fenced: frozenset[State]) -> Document:
    """Where every write of theirs is refused, nothing that former owners do matters but their open POSTs."""
    for number in range(owners - 1):
        doing, entry = document.owners[number]
        if doing is Doing.WAITS:
            matters = document.journal.state not in SETTLED or fenced != WRITES
        elif doing in POSTING:
            matters = True
        else:
            matters = not fenced >= ({entry.state} if doing is Doing.WRITES else MAY_WRITE.get(doing, set()))
        if not matters:
            document = drop(document, number)
    return document


def _without_old_facts(protocol: Protocol, document: Document) -> Document:
    """Facts are used for the POST of an intent or a parked entry; an id as long as the journal knows no run."""
    journal = document.journal

    def matters(fact: Fact) -> bool:
        if fact.kind == "id" or not protocol.facts_name_nonce:
            return journal.state not in SETTLED
        return fact.post == journal.post and journal.state in REFERRED_TO

    known = frozenset(k for k in document.known if matters(k[1]))
    document = document._replace(known=known, signals=frozenset(f for f in document.signals if matters(f)))
    if journal.state in SETTLED and protocol.hash_in_tag:  # nobody looks it up any more
        document = document._replace(posts=tuple(Post.LISTED if p is Post.HIDDEN else p for p in document.posts))
    return document


def _renumbered(document: Document) -> Document:
    """Nonces are only names: those of POSTs that created nothing, and that nobody speaks of, are given again."""
    over = Owner(Doing.OVER)
    owners = tuple(over if owner.doing is Doing.OVER else owner for owner in document.owners)
    named = {document.journal.post, document.command, *(owner.entry.post for owner in owners)}
    named |= {fact.post for _, fact in document.known} | {fact.post for fact in document.signals}
    gone = (Post.VOID, Post.REFUSED)
    kept = [number for number, post in enumerate(document.posts) if number in named or post not in gone]
    if len(kept) == len(document.posts):
        return document._replace(owners=owners)
    new = {old: number for number, old in enumerate(kept)}

    def entry(old: Entry) -> Entry:
        return old._replace(post=new.get(old.post, old.post))

    return document._replace(
        journal=entry(document.journal),
        owners=tuple(Owner(owner.doing, entry(owner.entry)) for owner in owners),
        posts=tuple(document.posts[old] for old in kept),
        known=frozenset((process, fact._replace(post=new[fact.post])) for process, fact in document.known),
        signals=frozenset(fact._replace(post=new[fact.post]) for fact in document.signals),
        command=None if document.command is None else new[document.command],
        ends=tuple(new.get(end, end) for end in document.ends),
    )
