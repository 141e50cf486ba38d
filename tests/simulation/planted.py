"""Bugs to be planted into the connector, to prove that the simulation sees them: a table of replaced functions.

The product has no hook for any of this. Each bug is one that somebody could write, and most of them look harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation import planted_starts as starts
from tests.simulation import planted_webhooks as webhooks
from tests.simulation import planted_writes as writes
from tests.simulation.planting import Patches


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug.

    Attributes:
        what: a sentence.
        patches: what is replaced.
        invariants: any of these must be broken by it.
        plan: the worlds in which it is looked for.
    """

    what: str
    patches: Callable[[], Patches]
    invariants: frozenset[str]
    plan: str = "seeds"


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """With a bug, or without one."""
    if name is None:
        yield
        return
    done: list[tuple[Any, str, Any]] = []
    try:
        for owner, attribute, instead in BUGS[name].patches():
            done.append(
                (owner, attribute, owner.__dict__[attribute])
            )  # a KeyError: this bug cannot be planted any more
            setattr(owner, attribute, instead)
        yield
    finally:
        for owner, attribute, before in reversed(done):
            setattr(owner, attribute, before)


def _broken(*invariants: str) -> frozenset[str]:
    return frozenset(invariants)


BUGS: dict[str, Bug] = {
    "M1-no-intent": Bug("POST before its intent is committed", starts.post_first, _broken("I7")),
    "M2-intent-unfenced": Bug(
        "intents that no broker fences", starts.intents_as_nobody, _broken("I2", "I6", "I9"), "sleepers"
    ),
    "M4-repeat-on-5xx": Bug("a POST is repeated on 5xx", partial(starts.repeat, starts.sent_on_5xx), _broken("I2")),
    "M5-repeat-on-timeout": Bug(
        "a POST is repeated without an answer", partial(starts.repeat, starts.sent_in_vain), _broken("I2")
    ),
    "M6-metadata-of-now": Bug(
        "ownership of before, metadata of now", writes.ownership_of_before, _broken("I1", "I2", "I8")
    ),
    "M7-restore-to-stable": Bug(
        "restore to the last stable offset", writes.restore_to_stable, _broken("I1", "I2", "I8", "I10"), "markers"
    ),
    "M8-restore-uncommitted": Bug("restore reads uncommitted", writes.restore_uncommitted, _broken("I1", "I2", "I4")),
    "M9-offset-first": Bug("the offset is committed before the entry", writes.offset_first, _broken("I6")),
    "M10-result-alone": Bug("result and tombstone in two transactions", writes.result_alone, _broken("I8")),
    "M11-producer-kept": Bug(
        "the producer goes on after an unclear end", writes.keep_the_producer, _broken("I1", "I2", "I10"), "unclear"
    ),
    "M12-no-tombstone": Bug("no tombstone", writes.no_tombstone, _broken("I8")),
    "M13-no-hash": Bug("tag without hash", starts.no_hash, _broken("I4")),
    "M16-any-number": Bug(
        "a write of an earlier assignment is accepted", writes.any_number, _broken("I1", "I2"), "sleepers"
    ),
    "M17-dead-letter-later": Bug("the dead letter after the offset", writes.dead_letter_later, _broken("I6")),
    "M18-poll-stops": Bug("no polling where webhooks are expected", webhooks.poll_stops, _broken("I10"), "webhooks"),
    "M19-no-total-deadline": Bug("no total deadline", starts.no_deadline, _broken("I10")),
    "M20-wall-clock": Bug("deadlines by the wall clock", starts.wall_clock, _broken("I10"), "clocks"),
    "M22-quiet-tail": Bug("recovery only with the next record", writes.recover_with_the_next_record, _broken("I10")),
    "no-offsets": Bug("offsets that have not moved are left out", writes.no_offsets, _broken("I8")),
    "never-sent-too-early": Bug(
        "never sent, while the request waits in the client", starts.never_sent_while_it_waits, _broken("I2", "I9")
    ),
    "facts-dropped": Bug("facts go with the partition", starts.facts_dropped, _broken("I1")),
    "facts-without-nonce": Bug("facts by tag alone", starts.no_nonce, _broken("I2", "I9"), "rumours"),
    "M3-no-window": Bug("absent at the first look", starts.no_window, _broken("I1"), "shadows"),
    "M14-payload-trusted": Bug("what a webhook says is believed", webhooks.payload_trusted, _broken("I3"), "webhooks"),
    "M15-first-page": Bug("only the first page of a list is read", starts.first_page, _broken("I1"), "shadows"),
    "fence-last-owner": Bug(
        "the id to fence comes from what is committed", writes.fence_the_last_owner, _broken("I10"), "deaths"
    ),
    "members-first": Bug("members are listed before the tail is read", writes.members_first, _broken("I10"), "deaths"),
    "no-name": Bug("tag without the connector's name", starts.no_name, _broken("I4"), "shadows"),
    "offset-obeyed": Bug("an offset below the mark is obeyed", writes.obey_the_offset, _broken("I2"), "offsets"),
}
