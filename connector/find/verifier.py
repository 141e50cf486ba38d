"""Runs that somebody named: the API's own GET says whose they are. Second runs are reported and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.entry import Entry
from connector.core.errors import ApiError, ApiForbidden, ApiNotFound, ApiRefused, ApiThrottled, ApiUnavailable
from connector.core.follow.schedule import Schedule
from connector.core.lookup import proves
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES, is_terminal
from connector.documents import DocumentKey, Holding
from connector.find.asking import ListClient, Pace, pause
from connector.logs import about

VERIFY_SECONDS = 600.0
"""How long a run that was named is asked about while the API does not know it or does not answer."""


@dataclass(slots=True, eq=False)
class Check:
    """Runs that may be a document's and are to be asked about, the oldest first but for those that nobody knows yet.

    Attributes:
        holding: the assignment.
        entry: the document when the first of them was named.
        run_ids: the runs.
        since: when the newest of them was named, on the monotonic clock.
        place: its place in the schedule; 0 while it is asked about.
        failures: GETs in a row that said nothing.
    """

    holding: Holding
    entry: Entry
    run_ids: list[str]
    since: float
    place: int = 0
    failures: int = 0

    @property
    def key(self) -> DocumentKey:
        """Whose runs they may be."""
        return self.holding, str(self.entry.tag)


class Verifier:
    """Asks about named runs, one at a time."""

    def __init__(
        self,
        *,
        client: ListClient,
        pace: Pace,
        cancel: Callable[[str, str], Awaitable[Run]],
        run_of: Callable[[Check], str | None],
        adopt: Callable[[Check, Run], bool],
        refuted: Callable[[Check, str], None],
        settled: Callable[[Check], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Build it; ``run`` asks.

        Args:
            client: the API.
            pace: how often it may be asked.
            cancel: asks the API to end a run, of a type and by its id, within the budget.
            run_of: the run that the document has already; every other one is a second.
            adopt: told of the run of a document that has none yet; False when it is to be told again.
            refuted: told of a run that shows another tag.
            settled: told when nothing is left to ask about a document.
            clock: the time.
            metrics: where to count.
        """
        self._client = client
        self._pace = pace
        self._cancel = cancel
        self._run_of = run_of
        self._adopt = adopt
        self._refuted = refuted
        self._settled = settled
        self._clock = clock
        self._metrics = metrics
        self._checks: dict[DocumentKey, Check] = {}
        self._due: Schedule[Check] = Schedule()
        self._reported: dict[Holding, set[str]] = {}
        self._wake = asyncio.Event()

    def add(self, holding: Holding, entry: Entry, run_ids: Sequence[str]) -> None:
        """Ask about these runs, the oldest first."""
        if holding.over:
            return
        now = self._clock.monotonic()
        check = self._checks.setdefault((holding, str(entry.tag)), Check(holding, entry, [], now))
        new = [run_id for run_id in run_ids if run_id not in check.run_ids]
        if new:
            check.entry, check.since, check.failures = entry, now, 0
            check.run_ids.extend(new)
            self._due.put(check, now)
            self._wake.set()

    def is_busy(self, key: DocumentKey) -> bool:
        """Whether runs of this document are still to be asked about."""
        return key in self._checks

    def is_reported(self, holding: Holding, run_id: str) -> bool:
        """Whether it is a second run that was reported."""
        return run_id in self._reported.get(holding, ())

    def drop(self, key: DocumentKey) -> None:
        """Ask nothing more about this document."""
        check = self._checks.pop(key, None)
        if check is not None:
            self._due.remove(check)

    def forget(self, holding: Holding) -> None:
        """The assignment is over."""
        for key in [key for key in self._checks if key[0] is holding]:
            self.drop(key)
        self._reported.pop(holding, None)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            check = self._due.pop_due(now)
            if check is None:
                due = self._due.next_due()
                await pause(self._wake, None if due is None else due - now)
                continue
            await self._ask(check)
            if self._checks.get(check.key) is not check:
                continue  # forgotten meanwhile
            if not check.run_ids:
                self.drop(check.key)
                self._settled(check)
            elif not check.place:
                wait = self._pace.backoff(check.failures) if check.failures else 0.0
                self._due.put(check, self._clock.monotonic() + wait)

    async def _ask(self, check: Check) -> None:
        """Ask about the first run of a check, and take it from the list unless it has to be asked about again."""
        run_id = check.run_ids[0]
        await self._pace.turn()
        try:
            run = await self._client.get(check.entry.request.run_type, run_id)
        except ApiError as error:
            again = self._may_know_later(check, run_id, error)
            unknown = isinstance(error, ApiNotFound)
        else:
            again = await self._answered(check, run)
            unknown = False
        if again:
            check.failures += 1
            if unknown:  # whoever named it may be mistaken: the others must not wait for it
                check.run_ids.remove(run_id)
                check.run_ids.append(run_id)
        else:
            check.run_ids.remove(run_id)
            check.failures = 0

    def _may_know_later(self, check: Check, run_id: str, error: ApiError) -> bool:
        self._pace.wait_after(error, check.failures + 1)
        hopeless = isinstance(error, ApiRefused) and not isinstance(error, ApiForbidden | ApiNotFound)
        if not hopeless and self._clock.monotonic() - check.since < VERIFY_SECONDS:
            return True
        about(check.entry, run_id=run_id).warning("run_not_verified", status=error.status)
        return False

    async def _answered(self, check: Check, run: Run) -> bool:
        """What the run is to the document; whether to ask about it again."""
        if check.holding.over or self._checks.get(check.key) is not check:
            return False
        if not proves(run, check.entry.tag):
            about(check.entry, run_id=run.id).warning("other_tag")
            self._refuted(check, run.id)
            return False
        run_id = self._run_of(check)
        if run_id is None:
            return not self._adopt(check, run) and self._clock.monotonic() - check.since < VERIFY_SECONDS
        return run_id != run.id and await self._second(check, run_id, run)

    async def _second(self, check: Check, run_id: str, second: Run) -> bool:
        """Report a second run once, and end it while that is possible; whether to ask about it again."""
        log = about(check.entry, run_id=run_id)
        reported = self._reported.setdefault(check.holding, set())
        if second.id not in reported:
            reported.add(second.id)
            self._metrics.second_runs.inc()
            log.error("second_run", second_run_id=second.id, status=second.status)
        row = RUN_TYPES[second.run_type]
        if is_terminal(second.status) or not row.cancellable:
            return False
        in_time = self._clock.monotonic() - check.since < VERIFY_SECONDS
        if second.status not in row.cancellable:
            return in_time  # it has not begun yet, or is being cancelled
        try:
            await self._cancel(second.run_type, second.id)
        except ApiError as error:
            log.warning("cancel_refused", second_run_id=second.id, status=error.status, code=error.code)
            return in_time and isinstance(error, ApiThrottled | ApiUnavailable)
        log.warning("second_run_cancelled", second_run_id=second.id)
        return False
