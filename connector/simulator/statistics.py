"""What was asked, how it was answered, and how fast it came."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from connector.simulator.limits import Category

_SECOND = 1.0


class Statistics:
    """Counters since the start."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str, str]] = Counter()
        self._recent: dict[Category, deque[float]] = {"GET": deque(), "WRITE": deque(), "RUN": deque()}
        self._peaks: dict[Category, int] = {"GET": 0, "WRITE": 0, "RUN": 0}

    def arrived(self, category: Category, now: float) -> None:
        """A request came in, whatever becomes of it (429 counts: it was asked)."""
        recent = self._recent[category]
        recent.append(now)
        while recent[0] <= now - _SECOND:
            recent.popleft()
        self._peaks[category] = max(self._peaks[category], len(recent))

    def answered(self, category: Category, operation: str, code: str) -> None:
        """A request ended.

        Args:
            category: its category.
            operation: e.g. ``extract.create``.
            code: the HTTP status, or the kind of the fault that it ran into (``reset``).
        """
        self._answers[category, operation, code] += 1

    def report(self) -> dict[str, Any]:
        """Counts by category and code, by operation and code, and the most requests in any one second."""
        by_category: dict[str, Counter[str]] = {category: Counter() for category in self._peaks}
        by_operation: dict[str, Counter[str]] = {}
        for (category, operation, code), count in self._answers.items():
            by_category[category][code] += count
            by_operation.setdefault(operation, Counter())[code] += count
        return {
            "requests": by_category,
            "operations": dict(sorted(by_operation.items())),
            "peak_per_second": self._peaks,
        }
