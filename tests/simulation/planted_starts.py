"""Planted bugs about starts: intents, POSTs, facts, look-ups and tags."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from connector import accept as accept_step
from connector import start as start_step
from connector.clarify import Clarifier
from connector.clock import Clock
from connector.core.entry import Entry
from connector.core.errors import ApiError, ApiUnavailable, NotSent
from connector.core.outcome import NEVER_SENT
from connector.core.record import Record
from connector.core.run import Run
from connector.core.signals.signal import Fact
from connector.core.tag import HASH_CHARS, Tag, tag_of
from connector.documents import Holding
from connector.find import Finder
from connector.journal.group_commit import GroupCommit, Verdict
from connector.journal.journal import Journal, Written
from connector.pipeline import Pipeline
from connector.start import Starter
from tests.simulation.group import NOBODY
from tests.simulation.planting import Patches, unwatched
from tests.simulation.scheduler import Process
from tests.simulation.world import NAME

# ---- the intent and the POST ---------------------------------------------------------------------------------------


def post_first() -> Patches:
    """The POST does not wait for the commit of its intent."""
    intend = Journal.intend

    def at_once(journal: Journal, holding: Holding, intent: Entry, next_offset: int | None) -> Written:
        unwatched(intend(journal, holding, intent, next_offset))
        done: Written = asyncio.get_running_loop().create_future()
        done.set_result(asyncio.get_running_loop().time())
        return done

    return [(Journal, "intend", at_once)]


def intents_as_nobody() -> Patches:
    """Intents are committed with the metadata of a consumer that never joined."""
    commit = GroupCommit.commit

    def unfenced(self: GroupCommit, owned: Any, metadata: object) -> Verdict:  # noqa: ANN401 - handed on
        alone = all(write.kind == "intent" for write in self._pending.writes)
        return commit(self, owned, ("", NOBODY) if alone else metadata)

    return [(GroupCommit, "commit", unfenced)]


def repeat(when: Callable[[ApiError], bool]) -> Patches:
    create = start_step.Starter._create

    async def again(self: Starter, intent: Entry, may_write: Callable[[], bool]) -> Any:  # noqa: ANN401 - handed on
        client = self._client

        class Repeating:
            async def create(self, *args: Any, **named: Any) -> Run:  # noqa: ANN401 - handed on
                try:
                    return await client.create(*args, **named)
                except ApiError as error:
                    if not when(error):
                        raise
                    return await client.create(*args, **named)

        self._client = Repeating()  # type: ignore[assignment]  # what is used of it
        try:
            return await create(self, intent, may_write)
        finally:
            self._client = client

    return [(start_step.Starter, "_create", again)]


def sent_on_5xx(error: ApiError) -> bool:
    return error.status is not None and error.status >= 500


def sent_in_vain(error: ApiError) -> bool:
    return isinstance(error, ApiUnavailable) and error.status is None and not isinstance(error, NotSent)


def no_deadline() -> Patches:
    post = Starter.post

    async def patient(self: Starter, *args: Any) -> Any:  # noqa: ANN401 - handed on
        self._deadline = 1e6  # every read has its own time: together there is no end
        return await post(self, *args)

    return [(Starter, "post", patient)]


def never_sent_while_it_waits() -> Patches:
    post = Starter.post

    async def hasty(
        self: Starter,
        intent: Entry,
        begun: float,
        may_send: Callable[[], bool],
        trials: Any,  # noqa: ANN401 - handed on
    ) -> Any:  # noqa: ANN401 - handed on
        sent = asyncio.ensure_future(post(self, intent, begun, lambda: True, trials))
        while not sent.done():
            await asyncio.wait([sent], timeout=0.1)
            if not may_send() and not sent.done():
                return NEVER_SENT
        return sent.result()

    return [(Starter, "post", hasty)]


# ---- facts ---------------------------------------------------------------------------------------------------------


def facts_dropped() -> Patches:
    released = Pipeline.released

    def forgetful(self: Pipeline, partitions: Any) -> None:  # noqa: ANN401 - handed on
        released(self, partitions)
        self._starter.facts._known.clear()

    return [(Pipeline, "released", forgetful), (Clarifier, "tell", lambda *_: None)]


def no_nonce() -> Patches:
    def by_tag(self: Clarifier, fact: Fact) -> bool:
        holding = self._holdings.of(fact.tag.partition)
        entry = holding.get(str(fact.tag)) if holding is not None else None
        return heard(self, fact if entry is None else replace(fact, nonce=entry.nonce or ""))

    heard = Clarifier._heard_fact
    return [(Clarifier, "_heard_fact", by_tag)]


def wall_clock() -> Patches:
    def one_clock(self: Process) -> Clock:
        clock = right(self)
        return Clock(clock.wall, clock.wall)

    right = vars(Process)["clock"].fget
    return [(Process, "clock", property(one_clock))]


# ---- looking up ----------------------------------------------------------------------------------------------------


def no_window() -> Patches:
    want = Finder._want

    def at_once(self: Finder, *args: Any) -> Any:  # noqa: ANN401 - handed on
        self._settle = 0.0
        return want(self, *args)

    return [(Finder, "_want", at_once)]


def first_page() -> Patches:
    async def one(self: Finder, group: Any, search: Any, seen: Any) -> int:  # noqa: ANN401 - handed on
        pages = self._client.list(
            group.run_type, processor_id=group.processor_id, file_name_contains=search.file_name_contains
        )
        async for page in pages:
            seen.take(page.rows)
            return page.unreadable
        return 0

    return [(Finder, "_read_pages", one)]


# ---- tags ----------------------------------------------------------------------------------------------------------


def no_hash() -> Patches:
    def position(name: str, _topic_id: str, record: Record) -> Tag:
        return Tag(name, record.partition, record.offset, "a" * HASH_CHARS)

    return [(accept_step, "tag_of", position)]


def no_name() -> Patches:
    def nameless(_name: str, topic_id: str, record: Record) -> Tag:
        return tag_of(NAME, topic_id, record)  # whichever connector it is

    return [(accept_step, "tag_of", nameless)]
