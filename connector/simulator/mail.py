"""What becomes of a webhook on its way: doubled, late, out of order, lost, forged, replayed. Drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from random import Random
from typing import Literal, NamedTuple

Kind = Literal["genuine", "doubled", "forged", "replayed"]

REPLAYED_AGE_SECONDS = 400
"""Older than any receiver may accept."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """How the way is. Shares are between 0 and 1.

    Attributes:
        duplicated: share of events that are delivered twice.
        reordered: share that others overtake: they are held back for up to 2 s.
        dropped: share that is never delivered.
        delayed: share that is delivered ``delay`` seconds late.
        forged: share beside which a forgery comes, signed with another secret.
        replayed: share beside which its own, signed long ago, comes again.
        delay: seconds.
    """

    duplicated: float = 0.0
    reordered: float = 0.0
    dropped: float = 0.0
    delayed: float = 0.0
    forged: float = 0.0
    replayed: float = 0.0
    delay: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            ValueError: a share is not between 0 and 1, or the delay is negative.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value <= (86_400 if each.name == "delay" else 1):
                raise ValueError(f"{each.name} is {value}; shares are between 0 and 1, a delay up to 86400.")


class Letter(NamedTuple):
    """One delivery of an event.

    Attributes:
        after: seconds after the event.
        kind: genuine, or what is wrong with it.
    """

    after: float
    kind: Kind


def parse_troubles(text: str) -> Troubles:
    """Troubles from ``duplicated=0.2,dropped=0.1``.

    Raises:
        ValueError: a name is unknown, or a value is no share.
    """
    known = {each.name for each in fields(Troubles)}
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in known:
            raise ValueError(f"{name} is unknown; known are {', '.join(sorted(known))}.")
        values[name] = float(value)
    return Troubles(**values)


def letters(troubles: Troubles, random: Random) -> Iterator[Letter]:
    """The deliveries of one event.

    Args:
        troubles: how the way is.
        random: as many numbers are drawn for every event, so that a share changes nothing else.
    """
    drawn = [random.random() for _ in range(7)]
    late = troubles.delay if drawn[0] < troubles.delayed else 0.0
    held = 2.0 * drawn[1] if drawn[2] < troubles.reordered else 0.0
    if drawn[3] >= troubles.dropped:
        yield Letter(late + held, "genuine")
        if drawn[4] < troubles.duplicated:
            yield Letter(late + held + drawn[1], "doubled")
    if drawn[5] < troubles.forged:
        yield Letter(drawn[1], "forged")
    if drawn[6] < troubles.replayed:
        yield Letter(drawn[1], "replayed")
