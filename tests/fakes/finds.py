"""Lookups that end as a test says, at once; and signals that go nowhere but into a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connector.core.entry import Entry, State
from connector.core.record import Partition
from connector.core.run import Row, Run
from connector.core.signals.signal import Signal
from connector.documents import Holding

Found = Callable[[Holding, Entry, Run], bool]
Absent = Callable[[Holding, Entry, str], None]


@dataclass
class FakeFinds:
    """The API's lists never show anything, unless a test says otherwise.

    Attributes:
        answer: what the lists say of an unclear start: its run, why there is none, or None for no end yet.
        asked: what was asked for, in order.
        seen: rows of lists that belong to no run that is followed.
    """

    found: Found
    absent: Absent
    answer: Callable[[Entry], Run | str | None] = lambda _entry: "NOT_FOUND"
    asked: list[tuple[str, str]] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)

    def look_for(self, holding: Holding, entry: Entry) -> None:
        self.asked.append(("look_for", str(entry.tag)))
        if entry.state is State.INTENT:
            asyncio.get_running_loop().call_soon(self.say, holding, entry)

    def say(self, holding: Holding, entry: Entry) -> None:
        """What the lists say, now."""
        answer = self.answer(entry)
        if isinstance(answer, Run):
            self.found(holding, entry, answer)
        elif answer is not None:
            self.absent(holding, entry, answer)

    def saw(self, run_type: str, rows: Sequence[Row]) -> None:
        assert rows, run_type
        self.seen.extend(rows)

    def watch(self, holding: Holding, entry: Entry) -> None:
        assert not holding.over
        self.asked.append(("watch", str(entry.tag)))

    def hint(self, holding: Holding, entry: Entry, run_id: str) -> None:
        self.asked.append(("hint", run_id))
        run = Run(id=run_id, run_type=entry.request.run_type, status="PROCESSING", tag=str(entry.tag))
        asyncio.get_running_loop().call_soon(self.found, holding, entry, run)

    def scan_now(self, holding: Holding, entry: Entry) -> None:
        self.asked.append(("scan_now", str(entry.tag)))
        asyncio.get_running_loop().call_soon(self.say, holding, entry)

    def forget_entry(self, holding: Holding, entry: Entry) -> None:
        self.asked.append(("forget_entry", str(entry.tag)))
        assert holding.partition == entry.partition

    def forget(self, holding: Holding) -> None:
        self.asked.append(("forget", str(holding.partition)))


@dataclass
class FakeSignals:
    """Keeps what is sent, and hears nothing by itself.

    Attributes:
        sent: what was told to others.
        listening: since when each partition is listened to, in milliseconds.
    """

    sent: list[Signal] = field(default_factory=list)
    listening: dict[Partition, int] = field(default_factory=dict)

    def send(self, signal: Signal) -> None:
        self.sent.append(signal)

    def listen(self, partition: Partition, assignment: int, since_ms: int) -> None:
        assert assignment > 0
        self.listening[partition] = since_ms

    def forget(self, partition: Partition, assignment: int) -> None:
        assert assignment > 0
        del self.listening[partition]
