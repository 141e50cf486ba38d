"""Looks up unclear starts by their tag: what is looked for, and the scans for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.budgets.budget import TokenBucket
from connector.core.entry import Entry, State
from connector.core.errors import ApiError
from connector.core.lookup import (
    NOT_FOUND,
    NOT_SEARCHABLE,
    Group,
    Moment,
    Purpose,
    Quest,
    Reading,
    Search,
    Sightings,
    Verdict,
    covers,
    group_of,
    is_same_start,
    is_searchable,
    names_in,
    searches,
    slow_wait,
)
from connector.core.run import Row, Run
from connector.documents import DocumentKey, Holding
from connector.find.asking import ListClient, Pace, pause
from connector.find.verifier import Check, Verifier
from connector.logs import logger

Found = Callable[[Holding, Entry, Run], bool]
"""Told of a run that carries the tag of a start that is still unclear; whether that is acted upon."""

Absent = Callable[[Holding, Entry, str], None]
"""Told of a start whose run does not show, with the reason."""


@dataclass(slots=True, eq=False)
class Wanted:
    """One document that is looked for."""

    holding: Holding
    entry: Entry
    quest: Quest

    @property
    def is_over(self) -> bool:
        """Whether nobody wants to know any more: the assignment ended, or the journal knows better."""
        if self.holding.over or self.quest.run_id is not None:
            return self.holding.over  # a document that is done by now may have a second run all the same
        known = self.holding.get(str(self.entry.tag))
        return known is None or known.state is not self.entry.state or not is_same_start(known, self.entry)


class Finder:
    """Looks up unclear starts by their tag."""

    def __init__(
        self,
        *,
        client: ListClient,
        budget: TokenBucket,
        cancel: Callable[[str, str], Awaitable[Run]],
        settle: float,
        found: Found,
        absent: Absent,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """Build the step; ``run`` looks.

        Args:
            client: the API.
            budget: our share of the GET category, shared with whoever follows runs; at most half of it is used here.
            cancel: asks the API to end a run, of a type and by its id, within the budget.
            settle: seconds after which a run that does not show counts as absent.
            found: told of a run whose own GET showed the tag of a start that is still unclear; again after a while
                when it says that nothing comes of it now.
            absent: told of a start whose run does not show, with ``NOT_FOUND`` or ``NOT_SEARCHABLE``. It is not looked
                for any more then, unless it was parked before.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
        """
        self._client = client
        self._settle = settle
        self._found = found
        self._absent = absent
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._pace = Pace(budget, clock, random, metrics)
        self._verifier = Verifier(
            client=client,
            pace=self._pace,
            cancel=cancel,
            run_of=self._run_of,
            adopt=self._adopt,
            refuted=self._refuted,
            settled=lambda _check: self._wake.set(),
            clock=clock,
            metrics=metrics,
        )
        self._wanted: dict[DocumentKey, Wanted] = {}
        self._unsearchable: list[Wanted] = []
        self._scanning: set[Group] = set()
        self._failures: dict[Group, int] = {}
        self._rests_until: dict[Group, float] = {}
        self._wake = asyncio.Event()

    # ---- what is looked for ----------------------------------------------------------------------------------

    def look_for(self, holding: Holding, entry: Entry) -> None:
        """Look for the run of an unclear start: ``intent``, or ``parked``, slowly and without an end."""
        parked = entry.state is State.PARKED
        wanted = self._want(holding, entry, Purpose.PARKED if parked else Purpose.UNCLEAR)
        if is_searchable(entry.request, entry.tag):
            if parked:
                wanted.quest.due = wanted.quest.since + slow_wait(self._random()) * self._random()
            self._wanted[holding, str(entry.tag)] = wanted
        elif not parked:
            self._unsearchable.append(wanted)
        self._wake.set()

    def watch(self, holding: Holding, entry: Entry) -> None:
        """Look once, after the settle window, for a second run of a document whose run is known."""
        if is_searchable(entry.request, entry.tag):
            self._wanted[holding, str(entry.tag)] = self._want(holding, entry, Purpose.WATCHED)
            self._wake.set()

    def hint(self, holding: Holding, entry: Entry, run_id: str) -> None:
        """Somebody names the run: ask the API about it now."""
        self._verifier.add(holding, entry, [run_id])

    def saw(self, run_type: str, rows: Sequence[Row]) -> None:
        """Rows of a list that somebody read anyway: a run that is looked for may be among them."""
        named = {name for row in rows for name in names_in(row)}
        if not named:
            return
        wanted = [
            each
            for each in self._wanted.values()
            if each.quest.name in named and each.quest.request.run_type == run_type
        ]
        seen = Sightings(each.quest for each in wanted)
        seen.take(rows)
        for each in wanted:
            self._judge(each, seen.of(each.quest), None)

    def scan_now(self, holding: Holding, entry: Entry) -> None:
        """One complete scan as soon as the budget allows; one that does not show the run is told to ``absent``."""
        key = (holding, str(entry.tag))
        wanted = self._wanted.get(key)
        if wanted is None or wanted.is_over:
            self.look_for(holding, entry)
            wanted = self._wanted.get(key)
        if is_searchable(entry.request, entry.tag) and wanted is not None:
            wanted.quest.ask(self._clock.monotonic())
            self._rests_until.pop(group_of(entry.request), None)
        elif entry.state is State.PARKED:
            self._unsearchable.append(self._want(holding, entry, Purpose.PARKED))
        self._wake.set()

    def forget(self, holding: Holding) -> None:
        """The assignment is over."""
        for key in [key for key in self._wanted if key[0] is holding]:
            del self._wanted[key]
        self._verifier.forget(holding)

    def forget_entry(self, holding: Holding, entry: Entry) -> None:
        """Nothing is looked for any more for this document, not even a second run."""
        key = (holding, str(entry.tag))
        self._wanted.pop(key, None)
        self._verifier.drop(key)

    def _want(self, holding: Holding, entry: Entry, purpose: Purpose) -> Wanted:
        quest = Quest(
            tag=entry.tag,
            request=entry.request,
            purpose=purpose,
            accepted_ms=entry.accepted_ms,
            since=self._clock.monotonic(),
            settle=self._settle,
            run_id=entry.run_id,
        )
        return Wanted(holding, entry, quest)

    # ---- scans -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._verifier.run())
            while True:
                self._wake.clear()
                self._tell_unsearchable()
                await pause(self._wake, self._start_scans(tasks))

    def _tell_unsearchable(self) -> None:
        unsearchable, self._unsearchable = self._unsearchable, []
        for wanted in unsearchable:
            if not wanted.is_over:
                self._absent(wanted.holding, wanted.entry, NOT_SEARCHABLE)

    def _start_scans(self, tasks: asyncio.TaskGroup) -> float | None:
        """Begin the scans that are due; the seconds until the next one is."""
        now = self._clock.monotonic()
        nearest: float | None = None
        due: set[Group] = set()
        for key, wanted in list(self._wanted.items()):
            quest = wanted.quest
            if wanted.is_over or (quest.is_passive and quest.due <= now):
                del self._wanted[key]
                continue
            group = group_of(quest.request)
            if group in self._scanning:
                continue  # its end wakes us
            instant = max(quest.due, self._rests_until.get(group, 0.0))
            if instant <= now:
                due.add(group)
            else:
                nearest = instant if nearest is None else min(nearest, instant)
        for group in due:
            self._scanning.add(group)
            tasks.create_task(self._scan(group))
        return None if nearest is None else nearest - now

    async def _scan(self, group: Group) -> None:
        """One scan for all that is wanted of a group."""
        try:
            now = Moment(self._clock.monotonic(), self._clock.wall_ms(), self._client.api_clock_offset * 1000)
            wanted = [each for each in self._wanted.values() if group_of(each.quest.request) == group]
            quests = [each.quest for each in wanted]
            due = [quest for quest in quests if quest.due <= now.monotonic and not quest.is_passive]
            if not due:
                return
            plan = searches(group, due, now)
            seen = Sightings(quests)
            complete = await self._read(group, plan, seen)
            for each in wanted:
                reached = complete and (each.quest in due or covers(plan, each.quest, now))
                self._judge(each, seen.of(each.quest), now if reached else None)
        finally:
            self._scanning.discard(group)
            self._wake.set()

    async def _read(self, group: Group, plan: Sequence[Search], seen: Sightings) -> bool:
        """Read what was planned; whether all of it could be."""
        log = logger.bind(run_type=group.run_type, processor_id=group.processor_id)
        failures = self._failures.get(group, 0) + 1
        try:
            unreadable = sum([await self._read_pages(group, search, seen) for search in plan])
        except ApiError as error:
            wait = self._pace.wait_after(error, failures)
            log.warning("scan_failed", reason=type(error).__name__, status=error.status, in_a_row=failures)
        else:
            if not unreadable:
                self._failures.pop(group, None)
                self._rests_until.pop(group, None)
                return True
            # One of these rows might be ours, and what cannot be read is not absent.
            wait = self._pace.backoff(failures)
            log.warning("scan_unreadable", rows=unreadable, in_a_row=failures)
        self._failures[group] = failures
        self._rests_until[group] = self._clock.monotonic() + wait
        return False

    async def _read_pages(self, group: Group, search: Search, seen: Sightings) -> int:
        """Read one list as far as it takes; how many rows could not be read."""
        pages = self._client.list(
            group.run_type, processor_id=group.processor_id, file_name_contains=search.file_name_contains
        )
        reading = Reading(search)
        unreadable = 0
        while True:
            await self._pace.turn()
            page = await anext(pages, None)
            if page is None:
                return unreadable
            seen.take(page.rows)
            unreadable += page.unreadable
            if reading.take(page.rows) or page.next_token is None:
                return unreadable

    def _judge(self, wanted: Wanted, run_ids: Sequence[str], begun: Moment | None) -> None:
        """What a scan means for one document; ``begun`` when the scan was complete as far as this one goes."""
        key = (wanted.holding, str(wanted.entry.tag))
        if self._wanted.get(key) is not wanted or wanted.is_over:
            return
        quest = wanted.quest
        others = [
            run_id
            for run_id in run_ids
            if run_id != quest.run_id and not self._verifier.is_reported(wanted.holding, run_id)
        ]
        if others:
            self._verifier.add(wanted.holding, wanted.entry, others)
        if begun is None:
            return
        seen = self._verifier.is_busy(key)
        verdict = quest.scanned(begun, self._clock.monotonic(), seen=seen, u=self._random())
        if verdict is not Verdict.GO_ON and quest.purpose is not Purpose.PARKED:
            del self._wanted[key]
        if verdict is Verdict.ABSENT:
            self._absent(wanted.holding, wanted.entry, NOT_FOUND)

    # ---- what the verifier asks and tells --------------------------------------------------------------------

    def _run_of(self, check: Check) -> str | None:
        """The run that a document has already, in the journal or since a moment ago."""
        known = check.holding.get(check.key[1])
        if known is not None and known.run_id:
            return known.run_id
        wanted = self._wanted.get(check.key)
        return check.entry.run_id if wanted is None else wanted.entry.run_id

    def _adopt(self, check: Check, run: Run) -> bool:
        """A run carries the tag of a document that has none: tell, if it is still the same start.

        Returns:
            False when something else is being done with the document, which may come to nothing.
        """
        known = check.holding.get(check.key[1])
        wanted = self._wanted.get(check.key)
        if known is None or not is_same_start(known, check.entry if wanted is None else wanted.entry):
            return True
        if not self._found(check.holding, known, run):
            return False
        watched = known.repeats > 0 and is_searchable(known.request, known.tag)
        purpose = Purpose.WATCHED if watched else Purpose.ADOPTED
        adopted = known.start(run.id, self._clock.wall_ms(), adopted=True)
        self._wanted[check.key] = self._want(check.holding, adopted, purpose)
        self._wake.set()
        return True

    def _refuted(self, check: Check, run_id: str) -> None:
        wanted = self._wanted.get(check.key)
        if wanted is not None:
            wanted.quest.refuted.add(run_id)
