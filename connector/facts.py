"""What this process knows of its own POSTs, by tag and nonce.

Facts outlive the ownership of the partition and a replaced producer: when the journal shows an intent again, its fact
says what became of it, so nothing is looked up or parked that this process knows better.
"""

from __future__ import annotations

import asyncio

from connector.core.entry import Entry
from connector.core.outcome import StartOutcome

MOST_FACTS = 10_000
"""Settled facts about intents that were never seen again; the oldest go first."""


class Facts:
    """What became of POSTs, by tag and nonce; a future while one is open."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], asyncio.Future[StartOutcome]] = {}

    def open(self, intent: Entry) -> asyncio.Future[StartOutcome]:
        """A POST may follow for this intent."""
        self._prune()
        fact: asyncio.Future[StartOutcome] = asyncio.get_running_loop().create_future()
        self._known[_name(intent)] = fact
        return fact

    def about(self, intent: Entry) -> asyncio.Future[StartOutcome] | None:
        """What is known of the POST of this very intent; None when another process wrote it."""
        return self._known.get(_name(intent))

    def open_tags(self) -> set[str]:
        """The documents whose POST is open."""
        return {tag for (tag, _), fact in self._known.items() if not fact.done()}

    def settled(self) -> list[tuple[str, str, StartOutcome]]:
        """What is known and not written down yet: tag, nonce, outcome. May be called from any thread."""
        return [(tag, nonce, fact.result()) for (tag, nonce), fact in list(self._known.items()) if fact.done()]

    def correct(self, intent: Entry, outcome: StartOutcome) -> None:
        """More is known than before: the answer came late."""
        known = self._known.get(_name(intent))
        # Not settled yet where both come in one turn of the loop, as after a pause of the process. Whoever restored the
        # intent waits for this very future; beside another one it would wait for ever.
        if known is None or known.done():
            known = self._known[_name(intent)] = asyncio.get_running_loop().create_future()
        known.set_result(outcome)

    def forget(self, intent: Entry) -> None:
        """The journal knows it now."""
        self._known.pop(_name(intent), None)

    def _prune(self) -> None:
        if len(self._known) < MOST_FACTS:
            return
        for name in [name for name, fact in self._known.items() if fact.done()][: MOST_FACTS // 10]:
            del self._known[name]


def _name(intent: Entry) -> tuple[str, str]:
    return str(intent.tag), intent.nonce or ""
