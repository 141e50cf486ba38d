"""What was there a moment ago, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

_DIGEST_BYTES = 16


class Recent:
    """Remembers names for a while, and only so many: what is forgotten early is new again."""

    def __init__(self, seconds: float, most: int) -> None:
        """Remember nothing yet.

        Args:
            seconds: for how long.
            most: how many names; about 150 bytes each, however long they are.
        """
        self._seconds = seconds
        self._most = most
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, name: str, now: float) -> None:
        """Remember a name from now on.

        Args:
            name: the name.
            now: monotonic seconds.
        """
        key = _digest(name)
        self._ends[key] = now + self._seconds
        self._ends.move_to_end(key)
        while len(self._ends) > self._most or next(iter(self._ends.values())) <= now:
            self._ends.popitem(last=False)

    def has(self, name: str, now: float) -> bool:
        """Whether the name was there within the time."""
        return self._ends.get(_digest(name), now) > now


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()
