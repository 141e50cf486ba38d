"""One broken promise, named after its invariant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.history import Document

INVARIANTS: Mapping[str, str] = {
    "duplicate": "I1",
    "lost": "I1",
    "parked": "I1",
    "revisions": "I1",
    "second run": "I2",
    "unused run": "I2",
    "untrue": "I3",
    "phantom": "I4",
    "order": "I5",
    "offset": "I6",
    "unjournaled": "I7",
    "torn": "I8",
    "split": "I8",
    "reposted": "I9",
    "too early": "I9",
    "unfinished": "I10",
    "hanging": "I10",
    "fenced alive": "I10",
    "leak": "I12",
    "vacuous": "I13",
}
"""The invariant that a kind of violation breaks.

I1 accounting, I2 cost, I3 truth, I4 no phantom, I5 order, I6 offsets, I7 journal, I8 atomic, I9 bounds, I10 liveness,
I11 observability (a test of its own: a checker must not believe the connector's own counters), I12 secrecy, I13 not
vacuous.
"""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise.

    Attributes:
        kind: see the table in ``checker``.
        message: a sentence with the names of what is meant.
        document: whose timeline explains it, or None.
    """

    kind: str
    message: str
    document: Document | None = None

    @property
    def invariant(self) -> str:
        """The invariant that is broken."""
        return INVARIANTS[self.kind]

    def __str__(self) -> str:
        return f"{self.invariant} {self.kind}: {self.message}"
