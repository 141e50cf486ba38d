"""One document's way: accept, start, follow, emit. Lives on the event loop.

``_begin`` is a document's way to its run and ``_end`` its way out; in between it costs a place in the poller's heap
and no task. After a restart or a rebalance ``restored`` enters the same way in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from connector.accept import Acceptor
from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.breaker import Permit, StartGate
from connector.core.budget import StartBudget
from connector.core.ending import Ending
from connector.core.entry import Entry, State
from connector.core.errors import OwnershipLost, RecordRejected
from connector.core.outcome import Refused, RefusedForGood, Started, StartOutcome, Systemic, Unclear
from connector.core.reasons import Reason
from connector.core.record import Partition, Record
from connector.core.route_guard import RouteGuards
from connector.core.run import Run
from connector.documents import Holding, Holdings
from connector.emit import Emitter
from connector.follow import Follower
from connector.journal.crossing import RecordTooLarge, Settled
from connector.journal.journal import Journal, Written
from connector.logs import about
from connector.start import Starter, Trials


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A document that may be started next; with an offset it is a new record's."""

    holding: Holding
    entry: Entry
    next_offset: int | None = None


class Pipeline:
    """The steps, wired. Every method runs on the event loop."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        journal: Journal,
        acceptor: Acceptor,
        starter: Starter,
        follower: Follower,
        emitter: Emitter,
        gate: StartGate,
        guards: RouteGuards,
        budget: StartBudget,
        most_starts: int,
        ordered: bool,
        drained: Callable[[Partition, int], None],
        fatal: Callable[[BaseException], None],
        nonce: Callable[[], str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Wire the steps; ``run`` starts documents.

        Args:
            holdings: the open documents.
            journal: what is durable.
            acceptor: step 1.
            starter: step 2.
            follower: step 3.
            emitter: step 4.
            gate: what stops all starts.
            guards: what stops a route.
            budget: what starts may cost.
            most_starts: starts under way at once.
            ordered: documents with one key go one after the other.
            drained: tells that nothing of an assignment is being started any more.
            fatal: told when the Kafka thread ended with an error, and of errors nobody foresaw.
            nonce: makes the name of a POST.
            clock: the time.
            metrics: where to count.
        """
        self._holdings = holdings
        self._journal = journal
        self._acceptor = acceptor
        self._starter = starter
        self._follower = follower
        self._emitter = emitter
        self._gate = gate
        self._guards = guards
        self._budget = budget
        self._most_starts = most_starts
        self._ordered = ordered
        self._drained = drained
        self._fatal = fatal
        self._nonce = nonce
        self._clock = clock
        self._metrics = metrics
        self._stopping = False
        self._turn = 0
        self._wake = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    # ---- what the Kafka thread says --------------------------------------------------------------------------

    def restored(self, partition: Partition, assignment: int, topic_id: str, entries: Sequence[Entry]) -> None:
        """A partition is ours: enter every open document's way where the journal says it is."""
        holding = Holding(partition, assignment, topic_id, ordered=self._ordered, settling=self._stopping)
        self._holdings.add(holding)
        for entry in entries:
            holding.put(entry)
        for entry in entries:
            if entry.state is State.INTENT:
                holding.starts += 1
                self.spawn(self._resolve(holding, entry))
            elif entry.state in (State.STARTED, State.REVIEW):
                self._follower.add(holding, entry, restored=True)
            elif entry.state is State.PARKED:
                self._unpark(entry)
        self._wake.set()

    def delivered(self, records: Sequence[tuple[int, Record]]) -> None:
        """Input records came in."""
        for assignment, record in records:
            holding = self._holdings.get(record.partition, assignment)
            if holding is not None:
                self._acceptor.deliver(holding, record)
        self._wake.set()

    def revoking(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """Start nothing more for these."""
        for partition, assignment in partitions:
            holding = self._holdings.get(partition, assignment)
            if holding is None:
                self._drained(partition, assignment)
            else:
                holding.settling = True
                self._say_drained(holding)

    def released(self, partitions: Sequence[tuple[Partition, int]]) -> None:
        """These assignments are over. POSTs that are still open become facts."""
        for partition, assignment in partitions:
            holding = self._holdings.get(partition, assignment)
            if holding is not None:
                holding.settling = holding.over = True
                self._follower.forget(holding)
                self._holdings.remove(holding)
        self._wake.set()

    def settled(self, writes: Sequence[Settled]) -> None:
        """Writes are committed, or will not be."""
        self._journal.settled(writes)

    def kafka_ended(self, error: BaseException | None) -> None:
        """The Kafka thread is over."""
        if error is not None:
            self._fatal(error)

    # ---- which document is next ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start documents, in the order of offsets and fairly between partitions, until cancelled."""
        async with self._tasks:
            await self._guarded(self._start_documents())
            await asyncio.Event().wait()  # after an error: what is under way ends in order, in this task group

    async def _start_documents(self) -> None:
        while True:
            self._wake.clear()
            wait = self._start_what_may(self._clock.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Do it. An error ends the process, but in order: the task group would cancel every open POST."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must hear of it
            self._fatal(error)

    def settle(self) -> None:
        """Start nothing any more; the process is on its way out."""
        self._stopping = True
        for holding in self._holdings:
            holding.settling = True

    def key_changed(self) -> None:
        """There is a new API key: a halt for the old one ends now."""
        self._gate.key_changed()
        self._follower.key_changed()
        self._wake.set()

    @property
    def open_starts(self) -> int:
        """Starts under way, from the intent's write to the outcome's."""
        return sum(holding.starts for holding in self._holdings)

    def starting(self) -> list[str]:
        """The tags of the documents whose start is under way."""
        return [str(entry.tag) for holding in self._holdings for entry in holding if entry.state is State.INTENT]

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine in the pipeline's task group."""
        self._tasks.create_task(self._guarded(work))

    def _start_what_may(self, now: float) -> float | None:
        """Start what gates, budgets and limits allow now; returns the seconds until they may allow more."""
        for holding in self._holdings:
            self._acceptor.clear_head(holding)
        while not self._stopping and self.open_starts < self._most_starts:
            decision = self._gate.decide(now)
            if decision.permit is Permit.WAIT:
                return decision.until - now if decision.until < inf else None
            wait = self._budget.wait(now)
            if wait > 0:
                return wait
            trial = decision.permit is Permit.TRIAL
            candidate = self._next_candidate(now, trial=trial)
            if candidate is None:
                return self._next_trial(now)
            if decision.permit is Permit.PROBE:
                self.spawn(self._probe(candidate.entry.request.run_type))
                return None
            self._launch(candidate, now, trial=trial)
        return None

    def _next_trial(self, now: float) -> float | None:
        # A trial that is due and finds no document needs no timer: the document that comes wakes us.
        trials = [guard.next_trial() for guard in self._guards]
        return min((at - now for at in trials if at is not None and at > now), default=None)

    def _next_candidate(self, now: float, *, trial: bool) -> _Candidate | None:
        """Accepted documents first, then new records; partitions in turn. For a trial the least tried one."""
        holdings = [holding for holding in self._holdings if not holding.settling]
        if not holdings:
            return None
        self._turn += 1
        turn = self._turn % len(holdings)
        in_turn = holdings[turn:] + holdings[:turn]

        candidates = self._candidates(in_turn, now, trial=trial)
        if trial:
            return min(candidates, key=lambda candidate: candidate.entry.attempts, default=None)
        return next(candidates, None)

    def _candidates(self, holdings: Sequence[Holding], now: float, *, trial: bool) -> Iterator[_Candidate]:
        def may_start(entry: Entry) -> bool:
            return self._guards.of(entry.request.route).may_start(now)

        def on_trial(entry: Entry) -> bool:
            return trial or self._guards.of(entry.request.route).stopped

        for holding in holdings:
            entry = holding.next_ready(may_start, on_trial)
            if entry is not None:
                yield _Candidate(holding, entry)
        if not self._acceptor.room():
            return
        for holding in holdings:
            head = holding.head
            if head is not None and may_start(head) and not holding.key_busy(head):
                yield _Candidate(holding, head, holding.inbox[0].next_offset)

    def _launch(self, candidate: _Candidate, now: float, *, trial: bool) -> None:
        holding = candidate.holding
        intent = candidate.entry.intend(self._nonce())
        self._budget.take(now)
        trials = Trials(of_gate=trial, of_route=self._guards.of(intent.request.route).begin())
        if trial:
            self._gate.begin_trial()
        self._starter.facts.open(intent)
        holding.starts += 1
        holding.put(intent)
        # Written now and not by the task: a later record of the partition must not overtake this one's offset.
        written = self._journal.intend(holding, intent, candidate.next_offset)
        if candidate.next_offset is not None:
            self._acceptor.take_head(holding)
            self._acceptor.clear_head(holding)
        self.spawn(self._begin(holding, intent, written, trials))

    async def _probe(self, run_type: str) -> None:
        await self._starter.probe(run_type)
        self._wake.set()

    # ---- the way to a run ------------------------------------------------------------------------------------

    async def _begin(self, holding: Holding, intent: Entry, written: Written, trials: Trials) -> None:
        """Intent committed, one POST, the outcome committed."""
        try:
            begun = await written
            outcome = await self._starter.post(intent, begun, lambda: not holding.settling, trials)
            await self._conclude(holding, intent, outcome)
        except (OwnershipLost, RecordTooLarge):  # of the latter the Kafka thread has made an alarm
            self._starter.call_off(intent, trials)
        finally:
            self._start_is_over(holding)

    async def _resolve(self, holding: Holding, intent: Entry) -> None:
        """An intent from the journal: this process may know what became of its POST."""
        fact = self._starter.facts.about(intent)
        try:
            outcome: StartOutcome = Unclear("RESTORED") if fact is None else await asyncio.shield(fact)
            await self._conclude(holding, intent, outcome)
        finally:
            self._start_is_over(holding)

    async def _conclude(self, holding: Holding, intent: Entry, outcome: StartOutcome) -> None:
        """Write down what a start led to."""
        try:
            match outcome:
                case Started(run):
                    await self._bought(holding, intent, run)
                case RefusedForGood():
                    await self._refused(holding, intent, outcome)
                case Refused(reason) | Systemic(reason):
                    await self._wait_again(holding, intent, reason)
                case Unclear(reason):
                    await self._park(holding, intent, reason)
        except OwnershipLost:
            return  # the fact stays: whoever restores this intent in this process will ask for it
        except RecordTooLarge as error:
            about(intent).error("start_not_written", reason=str(error))  # the fact stays here too
            return
        if not isinstance(outcome, Unclear):
            self._starter.facts.forget(intent)

    async def _bought(self, holding: Holding, intent: Entry, run: Run, *, adopted: bool = False) -> None:
        entry = intent.start(run.id, self._clock.wall_ms(), adopted=adopted)
        await self._journal.started(holding, entry)
        holding.put(entry)
        self._metrics.runs_started.labels(route=entry.request.route).inc()
        about(entry).info("run_started", run_type=entry.request.run_type)
        self._follower.add(holding, entry)

    async def _refused(self, holding: Holding, intent: Entry, outcome: RefusedForGood) -> None:
        error = RecordRejected(
            Reason.REFUSED_BY_API,
            outcome.message,
            stage="start",
            api_code=outcome.code,
            request_id=outcome.request_id,
        )
        await self._journal.finish(holding, intent, self._emitter.dead_letter_of(intent, error))
        holding.close(intent)
        self._metrics.dead_letters.labels(reason=error.reason).inc()
        about(intent).warning("dead_letter", reason=error.reason, api_code=outcome.code)

    async def _wait_again(self, holding: Holding, intent: Entry, reason: str) -> None:
        entry = intent.wait(reason)
        await self._journal.ready(holding, entry)
        holding.put(entry)

    async def _park(self, holding: Holding, intent: Entry, reason: str) -> None:
        entry = intent.park(reason)
        await self._journal.parked(holding, entry)
        holding.put(entry)
        self._metrics.unclear_starts.labels(end="parked").inc()
        about(entry).error("start_parked", reason=reason)
        self._unpark(intent)

    def _unpark(self, entry: Entry) -> None:
        """Use a late answer that came while the parking was written, or while the partition was not ours."""
        fact = self._starter.facts.about(entry)
        known = fact.result() if fact is not None and fact.done() else None
        if isinstance(known, Started):
            self.came_late(entry, known.run)

    def came_late(self, intent: Entry, run: Run) -> None:
        """The answer to a POST came after its deadline: the run exists after all, so the document is not parked."""
        holding = self._holdings.of(intent.partition)
        entry = holding.get(str(intent.tag)) if holding is not None else None
        if holding is not None and entry is not None and entry.state is State.PARKED and entry.nonce == intent.nonce:
            self.spawn(self._adopt(holding, entry, run))

    async def _adopt(self, holding: Holding, parked: Entry, run: Run) -> None:
        try:
            await self._bought(holding, parked, run, adopted=True)
        except OwnershipLost:
            return
        except RecordTooLarge as error:
            about(parked).error("start_not_written", reason=str(error))  # the fact stays
            return
        self._starter.facts.forget(parked)
        self._metrics.unclear_starts.labels(end="adopted").inc()

    def _start_is_over(self, holding: Holding) -> None:
        holding.starts -= 1
        if holding.settling:
            self._say_drained(holding)
        self._wake.set()

    def _say_drained(self, holding: Holding) -> None:
        if holding.starts == 0:
            self._drained(holding.partition, holding.assignment)

    # ---- the way out -----------------------------------------------------------------------------------------

    async def ended(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int) -> None:
        """The run ended: its result and its tombstone, or its NEEDS_REVIEW and the wait for a person."""
        try:
            in_review = await self._emitter.emit(holding, entry, ending, observed_ms)
        except OwnershipLost:
            return  # its new owner follows the run
        except RecordTooLarge:
            self._metrics.produce_errors.labels(error="MSG_SIZE_TOO_LARGE").inc()
            self._follower.add(holding, entry, restored=True)  # nothing is lost: it is tried again
            return
        if in_review is not None:
            self._follower.add(holding, in_review)
        self._wake.set()

    def report(self) -> None:
        """Set the figures that are read off; called about once a second."""
        metrics, holdings = self._metrics, self._holdings
        metrics.runs_in_flight.set(holdings.in_flight)
        metrics.ready_documents.set(holdings.count(State.READY))
        metrics.parked_documents.set(holdings.count(State.PARKED))
        metrics.review_documents.set(holdings.count(State.REVIEW))
        oldest_ms = holdings.oldest_started_ms()
        metrics.oldest_run_started_timestamp_seconds.set(float("nan") if oldest_ms is None else oldest_ms / 1000)
        for route, guard in self._guards.configured():
            metrics.starts_stopped.labels(route=route, reason="refusals").set(guard.stopped)
            metrics.starts_stopped.labels(route=route, reason="breaker").set(self._gate.reason == "unclear")
            metrics.starts_stopped.labels(route=route, reason="forbidden").set(self._gate.reason == "forbidden")
        self._follower.report()
