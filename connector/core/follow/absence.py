"""What a 404 about a run means: it was deleted, or we cannot see it just now.

The end of a document that was paid for must not hang on a key of the wrong workspace, or on a bad minute of the API.
So a run counts as gone only after a long row of 404s, and not at all while most of what is asked about is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

GONE_SECONDS = 600.0
GONE_IN_A_ROW = 3
LASTING_SECONDS = 60.0
"""Until then a run that was just created may simply not be readable yet."""
SYSTEMIC_RUNS = 10
GIVEN_UP_SECONDS = 86_400.0
"""Then missing runs end all the same, if younger ones can be read: somebody deleted many runs at once."""


class Absence(Enum):
    """What to make of a 404."""

    YOUNG = "look again as usual"
    LASTING = "look again now and then"
    SYSTEMIC = "likewise; it is not this run that is at fault"
    GONE = "the run was deleted"


@dataclass(slots=True)
class _Missing:
    since: float
    looks: int = 0


class Absences:
    """The runs that answered 404 at the last look. Every method is told the time, or needs none."""

    def __init__(self) -> None:
        self._missing: dict[str, _Missing] = {}
        self._row: dict[str, float] = {}  # runs whose 404s last, seen since the last proof, and since when each lasts
        self._younger_read = False

    @property
    def systemic(self) -> bool:
        """Whether so many runs are missing that the key, the workspace or the API is at fault."""
        return len(self._row) >= SYSTEMIC_RUNS

    @property
    def blind(self) -> bool:
        """Whether nothing at all could be read since then."""
        return self.systemic and not self._younger_read

    def read(self, run: str, began: float) -> None:
        """A run could be read.

        Args:
            run: its id.
            began: when it began. Only a run that is older than the first absence proves that we still see what we
                saw before; a younger one may live in the workspace of a wrong key.
        """
        self._missing.pop(run, None)
        self._row.pop(run, None)
        if began < min(self._row.values(), default=inf):
            self._row.clear()
            self._younger_read = False
        else:
            self._younger_read = True

    def missed(self, run: str, now: float) -> Absence:
        """The API does not know the run."""
        missing = self._missing.setdefault(run, _Missing(now))
        missing.looks += 1
        absent = now - missing.since
        if absent < LASTING_SECONDS:
            return Absence.YOUNG
        self._younger_read &= bool(self._row)
        self._row[run] = missing.since
        if self.systemic and not (self._younger_read and absent >= GIVEN_UP_SECONDS):
            return Absence.SYSTEMIC
        gone = absent >= GONE_SECONDS and missing.looks >= GONE_IN_A_ROW
        return Absence.GONE if gone else Absence.LASTING

    def forget(self, run: str) -> None:
        """The run is not followed any more."""
        self._missing.pop(run, None)
        self._row.pop(run, None)

    def start_over(self) -> None:
        """There is a new key: what the old one did not see says nothing."""
        self._missing.clear()
        self._row.clear()
        self._younger_read = False
