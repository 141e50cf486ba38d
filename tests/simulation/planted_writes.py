"""Planted bugs about what is written and read: transactions, restoring, taking over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

from connector.core.commit import Plan as Committed
from connector.core.commit import Write, plan
from connector.core.entry import Entry
from connector.core.journal_record import WRITER_HEADER
from connector.core.positions import Cause, Position, start_position
from connector.core.record import OutRecord, Partition, Record
from connector.documents import Holding
from connector.journal import group_commit, restore, takeover
from connector.journal.group_commit import GroupCommit, Verdict
from connector.journal.journal import Journal, Written
from connector.journal.kafka_thread import KafkaThread
from tests.simulation import worker
from tests.simulation.planting import Patches, chain, unwatched
from tests.simulation.reader import SimReader

# ---- taking over ---------------------------------------------------------------------------------------------------


def fence_the_last_owner() -> Patches:
    def of_the_offset(journals: Any, *, fence: Callable[[str], None], tails: Any, **_: Any) -> list[str]:  # noqa: ANN401 - handed on
        broker = tails._world.broker
        writers = []
        for journal in journals:
            for record in list(broker.read(journal, 0, broker.logs[journal].end, committed=True))[-1:]:
                writers += [value.decode() for name, value in record.headers if name == WRITER_HEADER and value]
        for writer in writers:
            fence(writer)
        return writers

    return [(worker, "release_dead", of_the_offset)]


def members_first() -> Patches:
    def hasty(journals: Any, *, group: str, tails: Any, cluster: Any, fence: Any) -> list[str]:  # noqa: ANN401 - handed on
        known = cluster.members(group)
        tails._process.sleep(8.0)  # two answers may be as far apart

        class Listed:
            def each_log_end(self, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - handed on
                return cluster.each_log_end(*args, **named)

            def members(self, _group: str) -> Any:  # noqa: ANN401 - handed on
                return known

        return release(journals, group=group, tails=tails, cluster=Listed(), fence=fence)

    release = takeover.release_dead
    return [(worker, "release_dead", hasty)]


# ---- transactions --------------------------------------------------------------------------------------------------


def ownership_of_before() -> Patches:
    commit = GroupCommit.commit
    before: dict[int, dict[Partition, Any]] = {}

    def stale(self: GroupCommit, owned: Any, metadata: object) -> Verdict:  # noqa: ANN401 - handed on
        seen = before.setdefault(id(self), {})
        verdict = commit(self, {**seen, **owned}, metadata)
        seen.update({partition: copy(assignment) for partition, assignment in owned.items()})
        return verdict

    return [(GroupCommit, "commit", stale)]


def any_number() -> Patches:
    def lenient(writes: Any, owned: Mapping[Partition, Any]) -> Committed:  # noqa: ANN401 - handed on
        renumbered: list[Write] = []
        original: dict[int, Write] = {}
        for write in writes:
            assignment = owned.get(write.partition)
            number = write.assignment if assignment is None else assignment.number
            renumbered.append(Write(write.kind, write.partition, number, write.records, write.next_offset))
            original[id(renumbered[-1])] = write
        made = plan(renumbered, owned)
        return Committed(
            [original[id(write)] for write in made.writes],
            [original[id(write)] for write in made.dropped],
            made.offsets,
        )

    return [(group_commit, "plan", lenient)]


def keep_the_producer() -> Patches:
    unclear = GroupCommit._unclear

    def keep(self: GroupCommit, *args: Any) -> Verdict:  # noqa: ANN401 - handed on
        producer = self._producer
        close, self.close = self.close, lambda: None  # type: ignore[method-assign]  # for this call
        try:
            return unclear(self, *args)
        finally:
            self.close = close  # type: ignore[method-assign]  # as it was
            self._producer, self.ready = producer, True

    return [(GroupCommit, "_unclear", keep)]


def offset_first() -> Patches:
    intend = Journal.intend

    def later(journal: Journal, holding: Holding, intent: Entry, next_offset: int | None) -> Written:
        if next_offset is None:
            return intend(journal, holding, intent, None)
        loop = asyncio.get_running_loop()
        unwatched(journal._write("skip", holding, [], next_offset))
        done: Written = loop.create_future()
        loop.call_later(0.1, lambda: chain(intend(journal, holding, intent, None), done))
        return done

    return [(Journal, "intend", later)]


def dead_letter_later() -> Patches:
    def later(journal: Journal, holding: Holding, dead_letter: OutRecord, next_offset: int) -> Written:
        loop = asyncio.get_running_loop()
        unwatched(journal._write("skip", holding, [], next_offset))
        done: Written = loop.create_future()
        loop.call_later(0.1, lambda: chain(journal._write("reject", holding, [dead_letter]), done))
        return done

    return [(Journal, "reject", later)]


def result_alone() -> Patches:
    def split(journal: Journal, holding: Holding, entry: Entry, result: OutRecord) -> Written:
        loop = asyncio.get_running_loop()
        unwatched(journal._write("result", holding, [result]))
        done: Written = loop.create_future()
        loop.call_later(0.1, lambda: chain(journal._write("result", holding, [journal._tombstone(entry)]), done))
        return done

    return [(Journal, "finish", split)]


def no_tombstone() -> Patches:
    def open_for_ever(journal: Journal, holding: Holding, _entry: Entry, result: OutRecord) -> Written:
        return journal._write("result", holding, [result])

    return [(Journal, "finish", open_for_ever)]


def no_offsets() -> Patches:
    sent: dict[Partition, int] = {}

    def moved(writes: Any, owned: Mapping[Partition, Any]) -> Committed:  # noqa: ANN401 - handed on
        made = plan(writes, owned)
        offsets = {p: offset for p, offset in made.offsets.items() if sent.get(p) != offset}
        sent.update(offsets)
        return Committed(made.writes, made.dropped, offsets)

    return [(group_commit, "plan", moved)]


# ---- restoring -----------------------------------------------------------------------------------------------------


def restore_to_stable() -> Patches:
    fold = restore.Restorer._fold

    def stable(self: Any, journal: Partition, end: int) -> dict[bytes, bytes]:  # noqa: ANN401 - any restorer
        return fold(self, journal, min(end, self._reader._world.broker.logs[journal].stable))

    return [(restore.Restorer, "_fold", stable)]


def restore_uncommitted() -> Patches:
    def everything(self: SimReader, ends: Mapping[Partition, int], _patience: float) -> Iterator[Record]:
        for partition, end in ends.items():
            yield from self._world.broker.read(partition, 0, end, committed=False)

    return [(SimReader, "read", everything)]


def obey_the_offset() -> Patches:

    def obedient(committed: int | None, mark: Any, topic_id: str) -> Position:  # noqa: ANN401 - handed on
        if committed is not None and mark is not None and mark.topic_id == topic_id:
            return Position(committed, Cause.COMMITTED)
        return start_position(committed, mark, topic_id)

    return [(restore, "start_position", obedient)]


def recover_with_the_next_record() -> Patches:
    def lazy(self: KafkaThread) -> None:
        if self._commit.ready or self._commit._pending.writes or not self._owned:
            open_commit(self)

    open_commit = KafkaThread._open_commit
    return [(KafkaThread, "_open_commit", lazy)]
