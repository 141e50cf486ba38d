"""Clarify: what becomes of a start that left it unclear whether a run exists. Lives on the event loop.

Four voices can settle it, whichever comes first: the API's lists, where the run is looked up by its tag; a fact, what a
former owner knows of its POST; an answer that came after its deadline; and a person, by a command. Until one does,
the document stays an ``intent``, and from the end of the settle window on it is ``parked``. Every voice names the POST
that it means by its nonce, and one decision about a document is carried out at a time, so none can buy a second run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.core.entry import Entry, State
from connector.core.errors import ApiError, ApiNotFound, OwnershipLost, RecordRejected
from connector.core.lookup import NOT_SEARCHABLE, proves
from connector.core.outcome import Started, StartOutcome, Unclear
from connector.core.reasons import Reason
from connector.core.record import OutRecord
from connector.core.run import Run
from connector.core.signal import Action, Command, Fact, Reply, ReplyOutcome, Signal, fact_of, kind_of
from connector.core.tag import Tag
from connector.documents import DocumentKey, Holding, Holdings
from connector.facts import Facts
from connector.journal.crossing import RecordTooLarge
from connector.journal.journal import Journal
from connector.logs import about

UNCLEAR = (State.INTENT, State.PARKED)
"""States in which nobody knows yet whether a run exists."""


class Finds(Protocol):
    """Looks runs up at the API; see ``connector.find``."""

    def look_for(self, holding: Holding, entry: Entry) -> None:
        """Look an unclear start up by its tag."""

    def watch(self, holding: Holding, entry: Entry) -> None:
        """Look for a second run of a document that was started again."""

    def hint(self, holding: Holding, entry: Entry, run_id: str) -> None:
        """Somebody says that this is its run: verify it."""

    def scan_now(self, holding: Holding, entry: Entry) -> None:
        """One complete scan as soon as the budget allows."""

    def forget_entry(self, holding: Holding, entry: Entry) -> None:
        """This start is nobody's business any more; of one that was adopted a second run may still turn up."""


class GetClient(Protocol):
    """The part of the API client that clarifying needs."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""


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
        spawn: Callable[[Coroutine[object, object, None]], None],
        wake: Callable[[], None],
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
            spawn: runs a coroutine in the pipeline's task group.
            wake: tells the pipeline that there may be room, or a document to start.
            metrics: where to count.
        """
        self._holdings = holdings
        self._journal = journal
        self._facts = facts
        self._finder = finder
        self._client = client
        self._dead_letter_of = dead_letter_of
        self._tell = tell
        self._bought = bought
        self._waits = waits
        self._most_repeats = most_repeats
        self._spawn = spawn
        self._wake = wake
        self._metrics = metrics
        self._deciding: set[DocumentKey] = set()
        self._meanwhile: dict[DocumentKey, Fact] = {}
        self._starts: dict[str, Command] = {}
        self._under_way: dict[DocumentKey, str] = {}

    # ---- what is unclear -------------------------------------------------------------------------------------

    def unclear(self, holding: Holding, entry: Entry) -> None:
        """Find out about this start. Also for what was parked: its run may still turn up."""
        if not self._use_late_answer(entry):
            self._finder.look_for(holding, entry)

    def forget(self, holding: Holding) -> None:
        """The assignment is over. Who waits for an answer asks again, and the new owner answers."""
        for tag in [tag for tag, command in self._starts.items() if command.tag.partition == holding.partition]:
            del self._starts[tag]

    def started(self, holding: Holding, entry: Entry) -> None:
        """A document has its run. If it was started more than once, another one may turn up."""
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
        if self._now(entry.tag, entry.nonce) is None:
            return False
        reply = self._reply_to_start(entry, f"Its run {run.id} was found, and is followed instead.")
        return self._decide(holding, entry, lambda: self._adopt(holding, entry, run, reply))

    def absent(self, holding: Holding, entry: Entry, reason: str) -> None:
        """The API shows no run with the document's tag, although it should by now if there were one."""
        known = self._now(entry.tag, entry.nonce)
        if known is None:
            return
        entry = known[1]
        reply = self._reply_to_start(entry, "No run was found; it is started again.")
        if reply is not None:
            self._decide(holding, entry, lambda: self._repeat(holding, entry, "STARTED_BY_OPERATOR", reply))
        elif entry.state is State.PARKED:
            return
        elif reason != NOT_SEARCHABLE and entry.repeats < self._most_repeats:
            self._decide(holding, entry, lambda: self._repeat(holding, entry, reason))
        else:
            self._decide(holding, entry, lambda: self._park(holding, entry, reason))

    # ---- what others say -------------------------------------------------------------------------------------

    def heard(self, signal: Signal) -> None:
        """A signal about a document of ours came in."""
        match signal:
            case Fact():
                used = self._heard_fact(signal)
            case Command():
                used = self._heard_command(signal)
            case Reply():
                return  # for operators
            case _:
                used = self._heard_doorbell(signal.tag, signal.run_id)
        self._metrics.signals.labels(kind=kind_of(signal), result="used" if used else "stale").inc()

    def _heard_fact(self, fact: Fact) -> bool:
        known = self._now(fact.tag, fact.nonce)
        if known is None:
            return False
        holding, entry = known
        key = (holding, str(entry.tag))
        if key in self._deciding:
            self._meanwhile[key] = fact
        elif fact.run_id is not None:
            self._finder.hint(holding, entry, fact.run_id)
        else:
            reply = self._reply_to_start(entry, "Its first start certainly made no run; it is started again.")
            self._decide(holding, entry, lambda: self._wait_again(holding, entry, fact.outcome.upper(), reply))
        return True

    def _heard_doorbell(self, tag: Tag, run_id: str) -> bool:
        holding = self._holdings.of(tag.partition)
        entry = holding.get(str(tag)) if holding is not None else None
        if holding is None or entry is None or self._now(tag, entry.nonce) is None:
            return False
        self._finder.hint(holding, entry, run_id)
        return True

    def _heard_command(self, command: Command) -> bool:
        holding = self._holdings.of(command.tag.partition)
        if holding is None:
            return False
        entry = holding.get(str(command.tag))
        if entry is None:
            return self._refuse(holding, command, "It is not open any more: it has its result or its dead letter.")
        key = (holding, str(entry.tag))
        start = self._starts.get(str(entry.tag))
        if command.id in (self._under_way.get(key), start.id if start is not None else None):
            return False  # heard again, as whenever another partition begins to be listened to: its own end answers it
        if entry.state is not State.PARKED or entry.nonce != command.nonce:
            return self._refuse(holding, command, f"It is not parked as it was: it is {entry.state.value} now.")
        if key in self._deciding or start is not None:
            return self._refuse(holding, command, "Something else is being done with it: look again in a moment.")
        self._answer(holding, Reply(command.id, command.tag, ReplyOutcome.ACCEPTED, "Its owner has the command."))
        match command.action:
            case Action.START:
                self._starts[str(entry.tag)] = command
                self._finder.scan_now(holding, entry)
            case Action.ADOPT:
                self._under_way[key] = command.id
                self._decide(holding, entry, lambda: self._adopt_named(holding, entry, command))
            case Action.DROP:
                self._under_way[key] = command.id
                self._decide(holding, entry, lambda: self._drop(holding, entry, command))
        return True

    # ---- decisions -------------------------------------------------------------------------------------------

    def _now(self, tag: Tag, nonce: str | None) -> tuple[Holding, Entry] | None:
        """The document as it is, if this very POST of it is unclear and this process does not know better."""
        holding = self._holdings.of(tag.partition)
        entry = holding.get(str(tag)) if holding is not None else None
        if holding is None or entry is None or entry.state not in UNCLEAR or entry.nonce != nonce:
            return None
        own = self._facts.about(entry)
        if own is not None and not (own.done() and isinstance(own.result(), Unclear)):
            return None  # its POST is open, or its outcome is being written
        return holding, entry

    def _decide(self, holding: Holding, entry: Entry, decision: Callable[[], Awaitable[None]]) -> bool:
        """Carry a decision out, unless another one about the document is under way."""
        key = (holding, str(entry.tag))
        if key in self._deciding:
            return False
        self._deciding.add(key)
        self._spawn(self._carry_out(key, entry, decision))
        return True

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
        finally:
            self._deciding.discard(key)
            self._under_way.pop(key, None)
            fact = self._meanwhile.pop(key, None)
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
        reply = self._reply_to_start(entry, f"Its first start was answered late: run {outcome.run.id} is followed.")
        return self._decide(holding, entry, lambda: self._adopt(holding, entry, outcome.run, reply))

    async def _adopt(self, holding: Holding, entry: Entry, run: Run, reply: Reply | None = None) -> None:
        await self._bought(holding, entry, run, adopted=True, reply=reply)
        self._settled(entry, "adopted")

    async def _wait_again(self, holding: Holding, entry: Entry, reason: str, reply: Reply | None) -> None:
        await self._waits(holding, entry.wait(reason), reply)
        self._finder.forget_entry(holding, entry)
        self._settled(entry, "ready")

    async def _repeat(self, holding: Holding, entry: Entry, reason: str, reply: Reply | None = None) -> None:
        about(entry).warning("start_repeated", reason=reason, repeats=entry.repeats + 1)
        await self._waits(holding, entry.repeat(reason), reply)
        self._finder.forget_entry(holding, entry)
        self._settled(entry, "retried")

    async def _park(self, holding: Holding, entry: Entry, reason: str) -> None:
        parked = entry.park(reason)
        await self._journal.parked(holding, parked)
        holding.put(parked)
        self._metrics.unclear_starts.labels(end="parked").inc()
        about(parked).error("start_parked", reason=reason)
        self._finder.look_for(holding, parked)

    async def _drop(self, holding: Holding, entry: Entry, command: Command) -> None:
        error = RecordRejected(Reason.DROPPED, "A person gave up this document; its start was unclear.", stage="start")
        reply = Reply(command.id, command.tag, ReplyOutcome.DONE, "It is a dead letter now.")
        await self._journal.bury(holding, entry, self._dead_letter_of(entry, error), reply)
        holding.close(entry)
        self._finder.forget_entry(holding, entry)
        self._settled(entry, None)
        self._metrics.dead_letters.labels(reason=error.reason).inc()
        about(entry).warning("dead_letter", reason=error.reason)

    async def _adopt_named(self, holding: Holding, entry: Entry, command: Command) -> None:
        run_id = command.run_id or ""
        try:
            run = await self._client.get(entry.request.run_type, run_id)
        except ApiNotFound:
            await self._say_no(holding, command, f"The API knows no {entry.request.run_type} run {run_id}.")
        except ApiError as error:
            said = "no answer" if error.status is None else f"HTTP {error.status}"
            await self._say_no(holding, command, f"The API did not show run {run_id} ({said}): send the command again.")
        else:
            if not proves(run, entry.tag):
                await self._say_no(holding, command, f"Run {run_id} is another document's: it does not carry the tag.")
            elif self._now(entry.tag, entry.nonce) is None:
                await self._say_no(holding, command, "It was decided otherwise meanwhile: look again.")
            else:
                reply = Reply(command.id, command.tag, ReplyOutcome.DONE, f"Run {run_id} is followed now.")
                await self._adopt(holding, entry, run, reply)

    def _settled(self, entry: Entry, end: str | None) -> None:
        self._facts.forget(entry)
        self._starts.pop(str(entry.tag), None)
        if end is not None:
            self._metrics.unclear_starts.labels(end=end).inc()

    # ---- replies ---------------------------------------------------------------------------------------------

    def _reply_to_start(self, entry: Entry, message: str) -> Reply | None:
        command = self._starts.get(str(entry.tag))
        if command is None or command.nonce != entry.nonce:
            return None
        return Reply(command.id, command.tag, ReplyOutcome.DONE, message)

    def _refuse(self, holding: Holding, command: Command, message: str) -> bool:
        self._answer(holding, Reply(command.id, command.tag, ReplyOutcome.REFUSED, message))
        return False

    async def _say_no(self, holding: Holding, command: Command, message: str) -> None:
        await self._journal.answer(holding, Reply(command.id, command.tag, ReplyOutcome.REFUSED, message))

    def _answer(self, holding: Holding, reply: Reply) -> None:
        """Nobody waits for this: when the partition goes away the operator hears nothing, and asks again."""
        written = self._journal.answer(holding, reply)
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
