"""Step 2, start: one POST for one intent, and what it led to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.breaker import StartGate
from connector.core.budgets.budget import StartBudget
from connector.core.entry import Entry
from connector.core.errors import ApiError
from connector.core.outcome import (
    NEVER_SENT,
    Refused,
    RefusedForGood,
    Started,
    StartOutcome,
    Systemic,
    Unclear,
    outcome_of,
)
from connector.core.route_guard import RouteGuards
from connector.core.run import Run
from connector.facts import Facts
from connector.logs import about
from connector.stop_points import StopPoint

LEASE_SECONDS = 5.0
"""A POST is sent within this of the begin of its intent's transaction, or not at all. It bounds lateness; it proves
nothing, because a process may sleep after the check."""

_MEND_THE_KEY = (
    "Correct the key in extend.api_key_file, which is read again every 10 s (with EXTEND_API_KEY: restart), or the "
    "account's rights and credits. Nothing is lost; one start is tried now and then."
)

Late = Callable[[Entry, Run], None]
"""Told when the answer to a POST comes after its deadline: the run exists after all."""


class CreateClient(Protocol):
    """The part of the API client that a start needs; see ``connector.client``."""

    async def create(
        self,
        run_type: str,
        body: bytes,
        deadline: float | None = None,
        *,
        may_write: Callable[[], bool] | None = None,
        late: Callable[[Run | ApiError], None] | None = None,
    ) -> Run:
        """One POST, never repeated."""

    async def probe(self, run_type: str) -> bool:
        """A create that can create nothing; whether the API itself refused it."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Whose trial a start is: its end must be told to them, and to nobody else.

    Attributes:
        of_gate: it is the one real start that the stopped gate allows.
        of_route: it is the one that its stopped route allows.
    """

    of_gate: bool = False
    of_route: bool = False


class Starter:
    """Sends POSTs and tells the gate and the routes' guards what they led to."""

    def __init__(
        self,
        *,
        client: CreateClient,
        gate: StartGate,
        guards: RouteGuards,
        budget: StartBudget,
        deadline: float,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
        stop_point: StopPoint,
        late: Late,
    ) -> None:
        """Build the step.

        Args:
            client: the API.
            gate: what stops all starts.
            guards: what stops a route.
            budget: what starts may cost; a 429 slows it down.
            deadline: seconds that a POST may take in all.
            clock: the time.
            random: a number in [0, 1).
            metrics: where to count.
            stop_point: test hook.
            late: told of runs whose answer came after the deadline.
        """
        self._client = client
        self._gate = gate
        self._guards = guards
        self._budget = budget
        self._deadline = deadline
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._stop_point = stop_point
        self._late = late
        self.facts = Facts()

    async def post(self, intent: Entry, begun: float, may_send: Callable[[], bool], trials: Trials) -> StartOutcome:
        """The POST of an intent that is committed.

        Args:
            intent: the intent; its nonce names this POST.
            begun: when its transaction began, on the monotonic clock.
            may_send: whether the partition is still ours under the same assignment; asked, with the lease, in the
                step in which the body begins to be written.
            trials: whose trial it is.

        Returns:
            What it led to. The refusal of a route that is stopped is no refusal for good: the route is at fault, and
            the document waits.
        """
        called_off = False

        def may_write() -> bool:
            nonlocal called_off
            called_off = self._clock.monotonic() - begun > LEASE_SECONDS or not may_send()
            if not called_off:
                self._stop_point("before_post_write")
            return not called_off

        outcome = await self._create(intent, may_write)
        if called_off:
            outcome = NEVER_SENT
        return self._settle(intent, outcome, trials)

    def call_off(self, intent: Entry, trials: Trials) -> StartOutcome:
        """Nothing was sent for this intent, whose own transaction did not end well."""
        return self._settle(intent, NEVER_SENT, trials)

    async def probe(self, run_type: str) -> None:
        """Ask with an empty body whether the API is alive."""
        self._gate.begin_probe()
        alive = False
        try:
            alive = await self._client.probe(run_type)
        finally:
            self._gate.probed(self._clock.monotonic(), alive=alive)

    async def _create(self, intent: Entry, may_write: Callable[[], bool]) -> StartOutcome:
        request = intent.request

        def came_late(end: Run | ApiError) -> None:
            if isinstance(end, Run):
                self.facts.correct(intent, Started(end))
                self._late(intent, end)

        try:
            run = await self._client.create(
                request.run_type,
                request.body,
                self._deadline,
                may_write=may_write,
                late=came_late,
            )
        except ApiError as error:
            return outcome_of(error)
        self._stop_point("after_created")
        return Started(run)

    def _settle(self, intent: Entry, outcome: StartOutcome, trials: Trials) -> StartOutcome:
        """Tell the gate and the route's guard, then the fact to whoever waits for it."""
        self._tell_gate(intent, outcome, trial=trials.of_gate)
        now = self._clock.monotonic()
        guard = self._guards.of(intent.request.route)
        if isinstance(outcome, Started):
            guard.started(trial=trials.of_route)
        elif not isinstance(outcome, RefusedForGood):
            guard.undecided(now, trial=trials.of_route)
        elif not guard.refused(outcome.code, now, trial=trials.of_route):
            outcome = Refused(outcome.code)
        fact = self.facts.about(intent)
        if fact is not None and not fact.done():
            fact.set_result(outcome)
        return outcome

    def _tell_gate(self, intent: Entry, outcome: StartOutcome, *, trial: bool) -> None:
        now = self._clock.monotonic()
        log = about(intent)
        match outcome:
            case Started() | RefusedForGood():
                self._gate.answered(trial=trial)
            case Refused(reason, retry_after):
                self._metrics.starts_refused.labels(reason=reason).inc()
                if outcome is NEVER_SENT:
                    self._gate.never_sent(trial=trial)
                    return
                if reason == "THROTTLED":
                    self._gate.throttled(trial=trial)
                    held = self._budget.throttled(now, retry_after)
                    self._metrics.api_throttled_seconds.labels(source="retry_after").inc(held)
                else:
                    self._gate.not_sent(now, self._random(), trial=trial)
                log.warning("start_refused", reason=reason, retry_after=retry_after)
            case Systemic(code):
                self._gate.forbidden(now, trial=trial)
                self._metrics.starts_refused.labels(reason=code).inc()
                log.error("starts_forbidden", code=code, way_out=_MEND_THE_KEY)
            case Unclear(reason):
                self._gate.unclear(now, trial=trial)
                log.warning("start_unclear", reason=reason)
