"""What a metric's label may say: values of closed sets, so that no input can grow the series for ever."""

from __future__ import annotations

import re
from typing import Protocol

OTHER = "other"
"""What a value outside of its set is counted as."""

_CODE = re.compile(r"_?[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Label(Protocol):
    """The values that one label may have."""

    known: tuple[str, ...]

    def value(self, given: object) -> str:
        """The label's value for what was given: itself, or ``other``."""
        ...


class OneOf:
    """A label with a fixed set of values, all of which exist from the first scrape."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self._known = frozenset(known)

    def value(self, given: object) -> str:
        """The value itself when it belongs to the set, else ``other``."""
        text = str(given)
        return text if text in self._known else OTHER


class Configured:
    """A label whose values stand in the configuration or the cluster: routes, topics, partition numbers."""

    known: tuple[str, ...] = ()

    def value(self, given: object) -> str:
        """The value itself."""
        return str(given)


class Codes:
    """A label for short codes that others define: error classes, HTTP statuses, reason codes.

    Anything that does not look like a code is ``other``, and so is every code after the first ``limit`` ones.
    """

    def __init__(self, *known: str, limit: int = 64) -> None:
        self.known = known
        self._limit = limit
        self._seen = set(known)

    def value(self, given: object) -> str:
        """The code itself, or ``other``."""
        text = str(given)
        if text in self._seen:
            return text
        if len(self._seen) >= self._limit or _CODE.fullmatch(text) is None:
            return OTHER
        self._seen.add(text)
        return text
