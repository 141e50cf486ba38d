"""How many records of a partition are not accepted yet, although more than records takes offsets.

The markers that end transactions do, and so do records of aborted ones; neither is ever delivered. Whether there is
anything else up to the end of the log is known only to who has read it to its end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backlog:
    """What one assignment of a partition has read. For a figure only: no position is ever made of it.

    Attributes:
        delivered: the first offset after the last record that was delivered; -1 before one.
        end: where the log ended when it had been read to its end; -1 before that.
        before_end: what ``delivered`` was then.
    """

    delivered: int = -1
    end: int = -1
    before_end: int = -1

    def take(self, next_offset: int) -> None:
        """A record was delivered that ends at this offset."""
        self.delivered = next_offset

    def reach(self, end: int) -> None:
        """Whatever stands before this offset has been delivered."""
        self.end = end
        self.before_end = self.delivered

    def lag(self, next_offset: int, log_end: int) -> int:
        """Offsets that may hold a record which is not accepted.

        Args:
            next_offset: the first offset that no committed transaction accounts for.
            log_end: the end of the readable log.
        """
        accounted = max(next_offset, self.end) if next_offset >= self.before_end else next_offset
        return max(0, log_end - accounted)
