"""The unclear starts of this process, and the decisions about them. Lives on the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.clarify.commands import Commands, GetClient, Scans
from connector.core.entry import Entry, State
from connector.core.errors import OwnershipLost, RecordRejected
from connector.core.lookup import NOT_SEARCHABLE
from connector.core.outcome import Started, StartOutcome, Unclear
from connector.core.record import OutRecord
from connector.core.run import Run
from connector.core.signals.signal import Command, Fact, Reply, Signal, fact_of, kind_of
from connector.core.tag import Tag
from connector.documents import DocumentKey, Holding, Holdings
from connector.facts import Facts
from connector.journal.crossing import RecordTooLarge
from connector.journal.journal import Journal
from connector.logs import about

UNCLEAR = (State.INTENT, State.PARKED)
"""States in which nobody knows yet whether a run exists."""
MOST_EARLY = 1_000
"""Doorbells that may wait for the answer to their own start; there are at most ``start.max_open`` of these."""


class Finds(Scans, Protocol):
    """Looks runs up at the API; see ``connector.find``."""

    def look_for(self, holding: Holding, entry: Entry) -> None:
        """Look an unclear start up by its tag."""

    def watch(self, holding: Holding, entry: Entry) -> None:
        """Look for a second run of a document that was started again."""

    def hint(self, holding: Holding, entry: Entry, run_id: str) -> None:
        """Somebody says that this is its run: verify it."""


class Bought(Protocol):
    """Writes down that a run exists."""

    def __call__(
        self, holding: Holding, entry: Entry, run: Run, *, adopted: bool, reply: Reply | None = None
    ) -> Awaitable[None]:
        """Journal it and follow it."""


class Waits(Protocol):
    """Writes down that a document waits for its next start."""

    def __call__(self, holding: Holding, entry: Entry, reply: Reply | None = None) -> Awaitable[None]:
        """Journal it and let it have its turn."""


class Clarifier:
    """The unclear starts of the partitions that are ours, and the commands about them."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        journal: Journal,
        facts: Facts,
        finder: Finds,
        client: GetClient,
        dead_letter_of: Callable[[Entry, RecordRejected], OutRecord],
        tell: Callable[[Signal], None],
        bought: Bought,
        waits: Waits,
        most_repeats: int,
        patience: float,
        spawn: Callable[[Coroutine[object, object, None]], None],
        wake: Callable[[], None],
        ring: Callable[[str], bool],
        metrics: Metrics,
    ) -> None:
        """Build it.

        Args:
            holdings: the open documents.
            journal: what is durable.
            facts: what this process knows of its own POSTs.
            finder: looks runs up.
            client: the API, for the run that an operator names.
            dead_letter_of: builds the dead letter of an open document.
            tell: sends a signal to whoever owns the document now.
            bought: writes down that a run exists.
            waits: writes down that a document waits for its next start.
            most_repeats: how often a start that was not found is repeated before it is parked; 0 with
                ``start.on_unclear: park``.
            patience: seconds that a start which a person asked for waits for its scan.
            spawn: runs a coroutine in the pipeline's task group.
            wake: tells the pipeline that there may be room, or a document to start.
            ring: makes a run that is followed due now, by its id; whether it is one.
            metrics: where to count.
        """
        self._holdings = holdings
        self._journal = journal
        self._facts = facts
        self._finder = finder
        self._tell = tell
        self._bought = bought
        self._waits = waits
        self._most_repeats = most_repeats
        self._spawn = spawn
        self._wake = wake
        self._ring = ring
        self._metrics = metrics
        self._deciding: set[DocumentKey] = set()
        self._meanwhile: dict[DocumentKey, Fact] = {}
        self._early: dict[DocumentKey, str] = {}
        self._commands = Commands(
            holdings=holdings,
            journal=journal,
            finder=finder,
            client=client,
            decisions=self,
            dead_letter_of=dead_letter_of,
            patience=patience,
            spawn=spawn,
            metrics=metrics,
        )

    # ---- what is unclear -------------------------------------------------------------------------------------

    def unclear(self, holding: Holding, entry: Entry) -> None:
        """Find out about this start. Also for what was parked: its run may still turn up."""
        if not self._use_late_answer(entry):
            self._finder.look_for(holding, entry)
            self._hear_early(holding, entry)

    def forget(self, holding: Holding) -> None:
        """The assignment is over."""
        self._commands.forget(holding)
        self._early = {key: run_id for key, run_id in self._early.items() if key[0] is not holding}

    def started(self, holding: Holding, entry: Entry) -> None:
        """A document has its run. If it was started more than once, another one may turn up."""
        self._hear_early(holding, entry)
        if entry.repeats:
            self._finder.watch(holding, entry)

    def came_late(self, intent: Entry, run: Run) -> None:
        """The answer to a POST came after its deadline: the run exists after all."""
        if not self._use_late_answer(intent) and self._holdings.of(intent.partition) is None:
            self.tell(intent, Started(run))

    def tell(self, intent: Entry, outcome: StartOutcome) -> None:
        """Let the document's owner, whoever it is now, know what became of a POST of ours."""
        fact = fact_of(intent.tag, intent.nonce or "", outcome)
        if fact is not None:
            self._tell(fact)

    def tell_everything(self) -> None:
        """The process ends and cannot write down what it knows. May be called from any thread."""
        for text, nonce, outcome in self._facts.settled():
            tag = Tag.parse(text)
            fact = fact_of(tag, nonce, outcome) if tag is not None else None
            if fact is not None:
                self._tell(fact)

    # ---- what the API's lists say ----------------------------------------------------------------------------

    def found(self, holding: Holding, entry: Entry, run: Run) -> bool:
        """The API has a run with the document's tag; whether that is acted upon, and need not be told again."""
        if self.unclear_now(entry.tag, entry.nonce) is None:
            return False
        reply = self._commands.reply_to_start(holding, entry, f"Its run {run.id} was found, and is followed instead.")
        return self.decide(holding, entry, lambda: self.adopt(holding, entry, run, reply))

    def absent(self, holding: Holding, entry: Entry, reason: str) -> None:
        """The API shows no run with the document's tag, although it should by now if there were one."""
        known = self.unclear_now(entry.tag, entry.nonce)
        if known is None:
            return
        entry = known[1]
        reply = self._commands.reply_to_start(holding, entry, "No run was found; it is started again.")
        if reply is not None:
            self.decide(holding, entry, lambda: self._repeat(holding, entry, "STARTED_BY_OPERATOR", reply))
        elif entry.state is State.PARKED:
            return
        elif reason != NOT_SEARCHABLE and entry.repeats < self._most_repeats:
            self.decide(holding, entry, lambda: self._repeat(holding, entry, reason))
        else:
            self.decide(holding, entry, lambda: self._park(holding, entry, reason))

    # ---- what others say -------------------------------------------------------------------------------------

    def heard(self, signals: Sequence[Signal]) -> None:
        """Signals about documents of ours came in."""
        for signal in signals:
            if isinstance(signal, Reply):  # all of them first: they stand behind the commands that they answer
                self._commands.answered(signal)
        for signal in signals:
            match signal:
                case Fact():
                    used = self._heard_fact(signal)
                case Command():
                    used = self._commands.heard(signal)
                case Reply():
                    continue
                case _:
                    used = self._heard_doorbell(signal.tag, signal.run_id)
            self._metrics.signals.labels(kind=kind_of(signal), result="used" if used else "stale").inc()

    def _heard_fact(self, fact: Fact) -> bool:
        known = self.unclear_now(fact.tag, fact.nonce)
        if known is None:
            return False
        holding, entry = known
        key = (holding, str(entry.tag))
        if key in self._deciding:
            self._meanwhile[key] = fact
        elif fact.run_id is not None:
            self._finder.hint(holding, entry, fact.run_id)
        else:
            reply = self._commands.reply_to_start(
                holding, entry, "Its first start certainly made no run; it is started again."
            )
            self.decide(holding, entry, lambda: self._wait_again(holding, entry, fact.outcome.upper(), reply))
        return True

    def _heard_doorbell(self, tag: Tag, run_id: str) -> bool:
        if self._ring(run_id):
            return True  # it is followed
        holding = self._holdings.of(tag.partition)
        entry = holding.get(str(tag)) if holding is not None else None
        if holding is None or entry is None or entry.state not in UNCLEAR:
            return False
        key = (holding, str(tag))
        if key in self._deciding or self.unclear_now(tag, entry.nonce) is None:
            # Its run was faster than the answer to its own start: it is known in a moment, one way or another.
            self._early[key] = run_id
            while len(self._early) > MOST_EARLY:
                del self._early[next(iter(self._early))]
        else:
            self._finder.hint(holding, entry, run_id)
        return True

    def _hear_early(self, holding: Holding, entry: Entry) -> None:
        """A doorbell that came too early is heard now."""
        run_id = self._early.pop((holding, str(entry.tag)), None)
        if run_id is not None:
            self._heard_doorbell(entry.tag, run_id)

    # ---- decisions -------------------------------------------------------------------------------------------

    def unclear_now(self, tag: Tag, nonce: str | None) -> tuple[Holding, Entry] | None:
        """The document as it is, if this very POST of it is unclear and this process does not know better."""
        holding = self._holdings.of(tag.partition)
        entry = holding.get(str(tag)) if holding is not None else None
        if holding is None or entry is None or entry.state not in UNCLEAR or entry.nonce != nonce:
            return None
        own = self._facts.about(entry)
        if own is not None and not (own.done() and isinstance(own.result(), Unclear)):
            return None  # its POST is open, or its outcome is being written
        return holding, entry

    def decide(self, holding: Holding, entry: Entry, decision: Callable[[], Awaitable[None]]) -> bool:
        """Carry a decision out, unless another one about the document is under way."""
        key = (holding, str(entry.tag))
        if key in self._deciding:
            return False
        self._deciding.add(key)
        self._spawn(self._carry_out(key, entry, decision))
        return True

    def is_deciding(self, key: DocumentKey) -> bool:
        """Whether a decision about the document is being carried out."""
        return key in self._deciding

    async def _carry_out(self, key: DocumentKey, entry: Entry, decision: Callable[[], Awaitable[None]]) -> None:
        try:
            await decision()
        except OwnershipLost:
            # Its new owner, or we again, find it as the journal has it. What our own POST was answered is told.
            own = self._facts.about(entry)
            if own is not None and own.done():
                self.tell(entry, own.result())
        except RecordTooLarge as error:
            about(entry).error("start_not_written", reason=str(error))
            self._commands.give_up_start(key, "What came of it could not be written down: the worker's log says why.")
        finally:
            self._deciding.discard(key)
            fact = self._meanwhile.pop(key, None)
            self._hear_early(key[0], entry)
            self._wake()
        if not self._use_late_answer(entry) and fact is not None:
            self._heard_fact(fact)

    def _use_late_answer(self, intent: Entry) -> bool:
        """Whether our own POST was answered after all, and the document still waits for that."""
        fact = self._facts.about(intent)
        outcome = fact.result() if fact is not None and fact.done() else None
        holding = self._holdings.of(intent.partition)
        entry = holding.get(str(intent.tag)) if holding is not None else None
        if holding is None or entry is None or not isinstance(outcome, Started):
            return False
        if entry.state not in UNCLEAR or entry.nonce != intent.nonce:
            return False
        reply = self._commands.reply_to_start(
            holding, entry, f"Its first start was answered late: run {outcome.run.id} is followed."
        )
        return self.decide(holding, entry, lambda: self.adopt(holding, entry, outcome.run, reply))

    async def adopt(self, holding: Holding, entry: Entry, run: Run, reply: Reply | None = None) -> None:
        """Its run is this one; to be awaited inside of a decision."""
        await self._bought(holding, entry, run, adopted=True, reply=reply)
        self.settled(holding, entry, "adopted")

    async def _wait_again(self, holding: Holding, entry: Entry, reason: str, reply: Reply | None) -> None:
        await self._waits(holding, entry.wait(reason), reply)
        self._finder.forget_entry(holding, entry)
        self.settled(holding, entry, "ready")

    async def _repeat(self, holding: Holding, entry: Entry, reason: str, reply: Reply | None = None) -> None:
        about(entry).warning("start_repeated", reason=reason, repeats=entry.repeats + 1)
        await self._waits(holding, entry.repeat(reason), reply)
        self._finder.forget_entry(holding, entry)
        self.settled(holding, entry, "retried")

    async def _park(self, holding: Holding, entry: Entry, reason: str) -> None:
        parked = entry.park(reason)
        await self._journal.parked(holding, parked)
        holding.put(parked)
        self._metrics.unclear_starts.labels(end="parked").inc()
        about(parked).error("start_parked", reason=reason)
        self._finder.look_for(holding, parked)

    def settled(self, holding: Holding, entry: Entry, end: str | None) -> None:
        """Nothing about a document's start is unclear any more.

        Args:
            holding: the assignment.
            entry: the document.
            end: what became of it, where that is counted here.
        """
        self._facts.forget(entry)
        self._commands.settled((holding, str(entry.tag)))
        if end is not None:
            self._metrics.unclear_starts.labels(end=end).inc()
