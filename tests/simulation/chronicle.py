"""What the harness sees of the topics: it reads each transaction as it is decided, with readers of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable

from connector.core.record import Partition
from connector.core.run_types import dead_letter_topic
from tests.chaos.history import CreatedRun, Fault, History, Input
from tests.chaos.readers import Raw, avro_reader, dead_letters_in, journal_in, results_in
from tests.chaos.trace import Advanced, Emitted, Journaled, Post, Trace
from tests.simulation.api import SETTLE_SECONDS, Api, SimRun, output_of
from tests.simulation.broker import Broker, Stored, Transaction
from tests.simulation.scheduler import EPOCH_SECONDS, Scheduler

_WRITER = "extend.writer"
_MARK = b"mark:"
_journal = avro_reader("journal_entry")


class Chronicle:
    """Follows what is committed."""

    def __init__(self, scheduler: Scheduler, broker: Broker, journal: str, prefix: str) -> None:
        self._scheduler = scheduler
        self._broker = broker
        self._journal_topic = journal
        self._prefix = prefix
        self._journaled: list[Journaled] = []
        self._emitted: list[Emitted] = []
        self.advanced: list[Advanced] = []
        self._tags: dict[tuple[Partition, int], str] = {}
        self._keys: dict[str, tuple[Partition, bytes | None]] = {}
        self._states: dict[str, Journaled] = {}
        self._intended_by: dict[str, str] = {}
        self._intended_at: dict[str, int] = {}
        self.unfinished: dict[str, None] = {}
        self.excused: set[str] = set()
        self.fenced_alive: list[str] = []
        broker.decided = self._decided

    def given(self, given: Input) -> None:
        """An input was acknowledged."""
        tag = str(given.tag)
        self._tags[given.tag.partition, given.tag.offset] = tag
        self._keys[tag] = (given.tag.partition, given.key)
        self.unfinished[tag] = None

    def set_by_hand(self, partition: Partition, offset: int) -> None:
        """Somebody moved the group's offset."""
        self.advanced.append(Advanced(self._scheduler.wall_ms(), None, partition, offset))

    def drained(self, *, ordered: bool) -> bool:
        """Whether everything has come to its end, or waits for a person."""
        if not ordered or not self.unfinished:
            return not self.unfinished
        parked = {self._keys.get(tag) for tag, line in self._states.items() if line.state == "parked"}
        return all(self._keys[tag] in parked for tag in self.unfinished)

    def excuse(self, writer: str) -> None:
        """A process is gone: what only it knew of its intents is gone with it."""
        for tag, line in self._states.items():
            if line.state in {"intent", "parked"} and self._intended_by.get(tag) == writer:
                self.excused.add(tag)
        for transaction in self._broker.transactions:
            if transaction.owner == writer and not transaction.over:
                self.excused.update(
                    line.tag for line in map(self._line, *_of(transaction, self._journal_topic)) if line is not None
                )

    def _decided(self, transaction: Transaction) -> None:
        if not transaction.committed:
            return
        now = self._scheduler.wall_ms()
        for partition, offset in transaction.offsets.items():
            self.advanced.append(Advanced(now, transaction.number, partition, offset))
        for partition, stored in transaction.records:
            if partition.topic == self._journal_topic:
                line = self._line(transaction, stored)
                if line is not None:
                    self._journaled.append(line)
                    self._note(line.tag, line)
            elif partition.topic.startswith(f"{self._prefix}."):
                self._emit(transaction, partition, stored)

    def _line(self, transaction: Transaction, stored: Stored) -> Journaled | None:
        key = stored.key or b""
        if key.startswith(_MARK):
            return None
        value = _journal.read(stored.value) if stored.value is not None else {}
        writer = (dict(stored.headers).get(_WRITER) or b"").decode()
        now = self._scheduler.wall_ms()
        return Journaled(now, transaction.number, key.decode(), value.get("state"), writer, value.get("nonce"))

    def _note(self, tag: str, line: Journaled) -> None:
        self._states[tag] = line
        if line.state == "intent":
            self._intended_by[tag] = line.writer
            self._intended_at[tag] = line.at_ms
        if line.state in {None, "parked"}:
            self.unfinished.pop(tag, None)
        elif tag in self._tags.values():
            self.unfinished[tag] = None

    def _emit(self, transaction: Transaction, partition: Partition, stored: Stored) -> None:
        now = self._scheduler.wall_ms()
        raw = _raw(partition, stored)
        if partition.topic == dead_letter_topic(self._prefix):
            letter = dead_letters_in([raw])[0]
            tag = self._tags.get((letter.source, letter.source_offset), "")
            self.unfinished.pop(tag, None)
            source = letter.source
        else:
            result = results_in([raw])[0]
            tag, source = result.tag, result.source
        self._emitted.append(Emitted(now, transaction.number, partition.topic, tag, source))

    def _not_to_be_found(self, api: Api) -> set[str]:
        """Documents with a POST whose answer was not heard, and that bought nothing that shows in time."""
        lost: set[str] = set()
        for posted in api.posts:
            run = api.runs.get(posted.run_id or "")
            too_late = self._intended_at.get(posted.tag, 0) + int(SETTLE_SECONDS * 1000)
            if not posted.heard and (run is None or _ms(run.created_at + run.list_lag) > too_late):
                lost.add(posted.tag)
        return lost

    # ---- the end ---------------------------------------------------------------------------------------------------

    def history(self, inputs: Iterable[Input], faults: Iterable[Fault], api: Api, *, ordered: bool) -> History:
        """All that is known."""
        raws = [
            _raw(partition, stored)
            for partition, log in self._broker.logs.items()
            for stored in log.records[: log.stable]
            if not stored.marks and (stored.transaction is None or stored.transaction.committed)
        ]
        letters = dead_letter_topic(self._prefix)
        results = [r for r in raws if r.partition.topic.startswith(f"{self._prefix}.") and r.partition.topic != letters]
        entries, marks = journal_in(raw for raw in raws if raw.partition.topic == self._journal_topic)
        return History(
            inputs=tuple(inputs),
            results=results_in(results),
            dead_letters=dead_letters_in(raw for raw in raws if raw.partition.topic == letters),
            runs=tuple(_run(run) for run in api.runs.values() if not run.foreign),
            open_entries=entries,
            committed=dict(self._broker.committed),
            marks=marks,
            faults=tuple(faults),
            trace=Trace(
                journaled=tuple(self._journaled),
                emitted=tuple(self._emitted),
                advanced=tuple(self.advanced),
                posts=tuple(Post(_ms(p.written_at), p.tag, p.sender, p.outcome, p.heard, p.run_id) for p in api.posts),
                outputs={
                    (run.id, end): json.dumps(output_of(run.id, end))
                    for run in api.runs.values()
                    for end in run.ends
                    if not run.foreign
                },
                excused=tuple(sorted(self.excused | self._not_to_be_found(api))),
                hanging=tuple(self._broker.hanging()),
                fenced_alive=tuple(self.fenced_alive),
                too_early=tuple(api.too_early),
                ordered=ordered,
            ),
        )


def _of(transaction: Transaction, topic: str) -> tuple[list[Transaction], list[Stored]]:
    records = [stored for partition, stored in transaction.records if partition.topic == topic]
    return [transaction] * len(records), records


def _run(run: SimRun) -> CreatedRun:
    return CreatedRun(run.id, run.row.name, run.tag, _ms(run.created_at))


def _ms(now: float) -> int:
    return int((EPOCH_SECONDS + now) * 1000)


def _raw(partition: Partition, stored: Stored) -> Raw:
    return Raw(partition, stored.offset, stored.key, stored.value, stored.headers, stored.at_ms)
