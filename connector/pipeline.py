"""One document's way: accept, start, follow, emit. Lives on the event loop.

``_begin`` is a document's way to its run and ``_end`` its way out; in between it costs a place in the poller's heap
and no task. After a restart or a rebalance ``restored`` enters the same way in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from math import inf
from typing import Protocol

from connector.accept import Acceptor
from connector.adapters.metrics import Metrics
from connector.choose import Candidate, Chooser
from connector.clarify import UNCLEAR, Clarifier
from connector.clock import Clock
from connector.core.breaker import Permit, StartGate
from connector.core.budgets.share import Budgets
from connector.core.entry import Entry, State
from connector.core.errors import OwnershipLost, RecordRejected
from connector.core.follow.ending import Ending
from connector.core.follow.open_run import Via
from connector.core.outcome import Refused, RefusedForGood, Started, StartOutcome, Systemic, Unclear
from connector.core.reasons import Reason
from connector.core.record import Partition, Record
from connector.core.route_guard import RouteGuards
from connector.core.run import Run
from connector.core.signals.signal import Reply, Signal
from connector.documents import Holding, Holdings
from connector.emit import Emitter
from connector.follow import Follower
from connector.journal.crossing import RecordTooLarge, Settled
from connector.journal.journal import Journal, Written
from connector.logs import about
from connector.start import Starter, Trials


class Finds(Protocol):
    """Looks runs up; see ``connector.find``."""

    def forget(self, holding: Holding) -> None:
        """This assignment is over."""


class Signals(Protocol):
    """Hears what others say about documents; see ``connector.signals``."""

    def listen(self, partition: Partition, assignment: int, since_ms: int) -> None:
        """Hear what is said about this partition, and what was said since then."""

    def forget(self, partition: Partition, assignment: int) -> None:
        """This assignment is over."""


class Pipeline:
    """The steps, wired. Every method runs on the event loop."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        journal: Journal,
        acceptor: Acceptor,
        starter: Starter,
        clarifier: Clarifier,
        finder: Finds,
        signals: Signals,
        follower: Follower,
        emitter: Emitter,
        gate: StartGate,
        guards: RouteGuards,
        budgets: Budgets,
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
            clarifier: what becomes of unclear starts.
            finder: looks their runs up.
            signals: hears what others know of them.
            follower: step 3.
            emitter: step 4.
            gate: what stops all starts.
            guards: what stops a route.
            budgets: what requests may cost; divided anew whenever partitions come or go.
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
        self._clarifier = clarifier
        self._finder = finder
        self._signals = signals
        self._follower = follower
        self._emitter = emitter
        self._gate = gate
        self._guards = guards
        self._chooser = Chooser(holdings, acceptor, guards)
        self._budgets = budgets
        self._budget = budgets.starts
        self._most_starts = most_starts
        self._ordered = ordered
        self._drained = drained
        self._fatal = fatal
        self._nonce = nonce
        self._clock = clock
        self._metrics = metrics
        self._paced = False  # a document waits for the budget
        self._stopping = False
        self._over = False
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
            if entry.state is State.INTENT and (fact := self._starter.facts.about(entry)) is not None:
                holding.starts += 1
                self.spawn(self._resolve(holding, entry, fact))
            elif entry.state in UNCLEAR:
                self._clarifier.unclear(holding, entry)
            elif entry.state in (State.STARTED, State.REVIEW):
                self._follower.add(holding, entry, restored=True)
                self._clarifier.started(holding, entry)
        unclear = (entry.accepted_ms for entry in entries if entry.state in UNCLEAR)
        self._signals.listen(partition, assignment, min(unclear, default=self._clock.wall_ms()))
        self._divide_budgets()
        self._wake.set()

    def heard(self, signals: Sequence[Signal]) -> None:
        """Signals about documents of our partitions came in."""
        self._clarifier.heard(signals)

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
                self._finder.forget(holding)
                self._clarifier.forget(holding)
                self._signals.forget(partition, assignment)
                self._holdings.remove(holding)
        self._divide_budgets()
        self._wake.set()

    def _divide_budgets(self) -> None:
        # By what is restored and not by what is assigned: only then is there anything to ask about, and until the
        # former owner has let go of a partition it is not ours in either sense.
        self._budgets.divide((holding.partition for holding in self._holdings), self._clock.monotonic())
        self._metrics.budget_share.set(self._budgets.share)

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
            try:
                await self._guarded(self._start_documents())
                await asyncio.Event().wait()  # after an error: what is under way ends in order, in this task group
            finally:
                self._over = True

    async def _start_documents(self) -> None:
        while True:
            self._wake.clear()
            self._paced = False
            now = self._clock.monotonic()
            wait = self._start_what_may(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            if self._paced:
                self._metrics.api_throttled_seconds.labels(source="budget").inc(self._clock.monotonic() - now)

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
        open_posts = self._starter.facts.open_tags()
        return [str(entry.tag) for holding in self._holdings for entry in holding if str(entry.tag) in open_posts]

    def wake(self) -> None:
        """Something may be started now."""
        self._wake.set()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine in the pipeline's task group; once that is over, nothing is left to be done."""
        if self._over:  # an answer came late, say
            work.close()
            return
        task = self._tasks.create_task(self._guarded(work))
        task.add_done_callback(lambda _done: work.close())  # one that was cancelled before it began is open still

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
                self._paced = any(each.head is not None or each.states[State.READY] for each in self._holdings)
                return wait
            trial = decision.permit is Permit.TRIAL
            candidate = self._chooser.next(now, trial=trial)
            if candidate is None:
                return self._chooser.next_trial(now)
            if decision.permit is Permit.PROBE:
                self.spawn(self._probe(candidate.entry.request.run_type))
                return None
            self._launch(candidate, now, trial=trial)
        return None

    def _launch(self, candidate: Candidate, now: float, *, trial: bool) -> None:
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
        except (OwnershipLost, RecordTooLarge) as error:  # of the latter the Kafka thread has made an alarm
            outcome = self._starter.call_off(intent, trials)
            if isinstance(error, OwnershipLost):
                self._clarifier.tell(intent, outcome)  # the intent may be committed all the same
        else:
            outcome = await self._starter.post(intent, begun, lambda: not holding.settling, trials)
            await self._conclude(holding, intent, outcome)
        finally:
            self._start_is_over(holding)

    async def _resolve(self, holding: Holding, intent: Entry, fact: asyncio.Future[StartOutcome]) -> None:
        """An intent from the journal whose POST is this process's own."""
        try:
            await self._conclude(holding, intent, await asyncio.shield(fact))
        finally:
            self._start_is_over(holding)

    async def _conclude(self, holding: Holding, intent: Entry, outcome: StartOutcome) -> None:
        """Write down what a start led to."""
        try:
            match outcome:
                case Started(run):
                    await self.bought(holding, intent, run)
                case RefusedForGood():
                    await self._refused(holding, intent, outcome)
                case Refused(reason) | Systemic(reason):
                    await self.wait_again(holding, intent.wait(reason))
                case Unclear():
                    self._clarifier.unclear(holding, intent)
                    return
        except OwnershipLost:
            # The fact stays: whoever restores this intent in this process will ask for it. Others are told.
            self._clarifier.tell(intent, outcome)
        except RecordTooLarge as error:
            about(intent).error("start_not_written", reason=str(error))  # the fact stays here too
        else:
            self._starter.facts.forget(intent)

    async def bought(
        self, holding: Holding, intent: Entry, run: Run, *, adopted: bool = False, reply: Reply | None = None
    ) -> None:
        """Write down that a document has its run, and follow it.

        Args:
            holding: the assignment that owns it.
            intent: the document, an intent or parked.
            run: the run.
            adopted: it was found, and not answered by our POST in time.
            reply: what an operator is told with it.

        Raises:
            OwnershipLost: its new owner finds it as it was.
            RecordTooLarge: the journal refuses the entry.
        """
        entry = intent.start(run.id, self._clock.wall_ms(), adopted=adopted)
        await self._journal.started(holding, entry, reply)
        holding.put(entry)
        self._metrics.runs_started.labels(route=entry.request.route).inc()
        about(entry).info("run_started", run_type=entry.request.run_type, adopted=adopted)
        self._follower.add(holding, entry)
        self._clarifier.started(holding, entry)

    async def _refused(self, holding: Holding, intent: Entry, outcome: RefusedForGood) -> None:
        error = RecordRejected(
            Reason.REFUSED_BY_API,
            outcome.message,
            stage="start",
            api_code=outcome.code,
            request_id=outcome.request_id,
        )
        await self._journal.bury(holding, intent, self._emitter.dead_letter_of(intent, error))
        holding.close(intent)
        self._metrics.dead_letters.labels(reason=error.reason).inc()
        about(intent).warning("dead_letter", reason=error.reason, api_code=outcome.code)

    async def wait_again(self, holding: Holding, entry: Entry, reply: Reply | None = None) -> None:
        """Write down that a document waits for its next start; as ``bought``."""
        await self._journal.ready(holding, entry, reply)
        holding.put(entry)
        self._wake.set()

    def _start_is_over(self, holding: Holding) -> None:
        holding.starts -= 1
        if holding.settling:
            self._say_drained(holding)
        self._wake.set()

    def _say_drained(self, holding: Holding) -> None:
        if holding.starts == 0:
            self._drained(holding.partition, holding.assignment)

    # ---- the way out -----------------------------------------------------------------------------------------

    async def ended(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int, via: Via) -> None:
        """The run ended: its result and its tombstone, or its NEEDS_REVIEW and the wait for a person."""
        try:
            in_review = await self._emitter.emit(holding, entry, ending, observed_ms, via)
        except OwnershipLost:
            return  # its new owner follows the run
        except RecordTooLarge:
            self._metrics.produce_errors.labels(error="MSG_SIZE_TOO_LARGE").inc()
            self._follower.add(holding, entry, again=True)  # nothing is lost: it is tried again
            return
        if in_review is not None:
            self._follower.add(holding, in_review)
        self._wake.set()

    def report(self) -> None:
        """Set the figures that are read off; called about once a second."""
        metrics, holdings = self._metrics, self._holdings
        metrics.runs_in_flight.set(holdings.in_flight)
        metrics.partitions_awaiting_schema.set(sum(bool(holding.awaits) for holding in holdings))
        metrics.ready_documents.set(holdings.count(State.READY))
        metrics.parked_documents.set(holdings.count(State.PARKED))
        metrics.unclear_documents.set(max(0, holdings.count(State.INTENT) - self.open_starts))
        metrics.review_documents.set(holdings.count(State.REVIEW))
        oldest_ms = holdings.oldest_started_ms()
        metrics.oldest_run_started_timestamp_seconds.set(float("nan") if oldest_ms is None else oldest_ms / 1000)
        for route, guard in self._guards.configured():
            metrics.starts_stopped.labels(route=route, reason="refusals").set(guard.stopped)
            metrics.starts_stopped.labels(route=route, reason="breaker").set(self._gate.reason == "unclear")
            metrics.starts_stopped.labels(route=route, reason="forbidden").set(self._gate.reason == "forbidden")
        self._follower.report()
