"""The voice of people: what operators decide about parked documents, and what they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from connector.adapters.metrics import Metrics
from connector.core.decision import objection
from connector.core.entry import Entry
from connector.core.errors import ApiError, ApiNotFound, RecordRejected
from connector.core.lookup import proves
from connector.core.reasons import Reason
from connector.core.record import OutRecord
from connector.core.run import Run
from connector.core.signals.signal import Action, Command, Reply, ReplyOutcome
from connector.core.tag import Tag
from connector.documents import DocumentKey, Holding, Holdings
from connector.journal.journal import Journal
from connector.logs import about


class GetClient(Protocol):
    """The part of the API client that commands need."""

    async def get(self, run_type: str, run_id: str) -> Run:
        """One GET."""


class Scans(Protocol):
    """Looks runs up; see ``connector.find``."""

    def scan_now(self, holding: Holding, entry: Entry) -> None:
        """One complete scan as soon as the budget allows."""

    def forget_entry(self, holding: Holding, entry: Entry) -> None:
        """This start is nobody's business any more."""


class Decides(Protocol):
    """Carries one decision about a document out at a time; see ``connector.clarify.clarifier``."""

    def is_deciding(self, key: DocumentKey) -> bool:
        """Whether a decision about it is being carried out."""

    def decide(self, holding: Holding, entry: Entry, decision: Callable[[], Awaitable[None]]) -> bool:
        """Carry this one out, unless another one is."""

    def unclear_now(self, tag: Tag, nonce: str | None) -> tuple[Holding, Entry] | None:
        """The document as it is, if this very POST of it is unclear."""

    async def adopt(self, holding: Holding, entry: Entry, run: Run, reply: Reply | None = None) -> None:
        """Its run is this one."""

    def settled(self, holding: Holding, entry: Entry, end: str | None) -> None:
        """Nothing about its start is unclear any more."""


class Commands:
    """The commands about the documents of the partitions that are ours."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        journal: Journal,
        finder: Scans,
        client: GetClient,
        decisions: Decides,
        dead_letter_of: Callable[[Entry, RecordRejected], OutRecord],
        patience: float,
        spawn: Callable[[Coroutine[object, object, None]], None],
        metrics: Metrics,
    ) -> None:
        """Build it.

        Args:
            holdings: the open documents.
            journal: what is durable, replies too.
            finder: looks a run up before its document is started again.
            client: the API, for the run that an operator names.
            decisions: carries decisions out.
            dead_letter_of: builds the dead letter of an open document.
            patience: seconds that a start waits for its scan.
            spawn: runs a coroutine in the pipeline's task group.
            metrics: where to count.
        """
        self._holdings = holdings
        self._journal = journal
        self._finder = finder
        self._client = client
        self._decisions = decisions
        self._dead_letter_of = dead_letter_of
        self._patience = patience
        self._spawn = spawn
        self._metrics = metrics
        self._starts: dict[DocumentKey, Command] = {}
        self._known: dict[Holding, set[str]] = {}

    def answered(self, reply: Reply) -> None:
        """An owner, this one or an earlier one, has said how a command ended: that is its end, whoever hears it again.

        It may have been in a transaction that was never committed. Then the one who sent it was told nothing, and asks
        again: better than two answers of which one is wrong.
        """
        holding = self._holdings.of(reply.tag.partition)
        if holding is not None and reply.outcome is not ReplyOutcome.ACCEPTED:
            self._known.setdefault(holding, set()).add(reply.command_id)

    def heard(self, command: Command) -> bool:
        """A command came in; whether something is done."""
        holding = self._holdings.of(command.tag.partition)
        if holding is None:
            return False
        known = self._known.setdefault(holding, set())
        if command.id in known:
            return False  # heard again, as whenever another partition begins to be listened to: its own end answers it
        known.add(command.id)
        entry = holding.get(str(command.tag))
        key = (holding, str(command.tag))
        refusal = objection(command, entry, busy=self._decisions.is_deciding(key), waits=key in self._starts)
        if entry is None or refusal is not None:
            self._refuse(holding, command, refusal or "")
            return False
        self.give_up_start(key, "Another command about it came meanwhile, and is carried out instead: look again.")
        self._answer(holding, Reply(command.id, command.tag, ReplyOutcome.ACCEPTED, "Its owner has the command."))
        match command.action:
            case Action.START:
                self._starts[key] = command
                self._finder.scan_now(holding, entry)
                self._spawn(self._end_wait(key, command))
            case Action.ADOPT:
                self._decisions.decide(holding, entry, lambda: self._adopt_named(holding, entry, command))
            case Action.DROP:
                self._decisions.decide(holding, entry, lambda: self._drop(holding, entry, command))
        return True

    async def _end_wait(self, key: DocumentKey, command: Command) -> None:
        """A scan may never end, while the API fails say; the one who waits for it must hear something all the same."""
        await asyncio.sleep(self._patience)
        # What is being decided now answers it, whatever it is.
        if self._starts.get(key) is command and not self._decisions.is_deciding(key):
            self.give_up_start(
                key,
                f"No look for its run came to an end within {self._patience:.0f} s, so it was not started: send the "
                "command again later.",
            )

    def give_up_start(self, key: DocumentKey, message: str) -> None:
        """Refuse the start that waits for its scan, if one does."""
        start = self._starts.pop(key, None)
        if start is not None:
            self._refuse(key[0], start, message)

    def reply_to_start(self, holding: Holding, entry: Entry, message: str) -> Reply | None:
        """The answer to whoever wants the document started, if somebody does: it is settled, by whatever voice."""
        command = self._starts.get((holding, str(entry.tag)))
        if command is None or command.nonce != entry.nonce:
            return None
        return Reply(command.id, command.tag, ReplyOutcome.DONE, message)

    def settled(self, key: DocumentKey) -> None:
        """Nothing about the document is unclear any more."""
        self._starts.pop(key, None)

    def forget(self, holding: Holding) -> None:
        """The assignment is over. Who waits for an answer asks again, and the new owner answers."""
        for key in [key for key in self._starts if key[0] is holding]:
            del self._starts[key]
        self._known.pop(holding, None)

    # ---- what is done ----------------------------------------------------------------------------------------

    async def _drop(self, holding: Holding, entry: Entry, command: Command) -> None:
        error = RecordRejected(Reason.DROPPED, "A person gave up this document; its start was unclear.", stage="start")
        reply = Reply(command.id, command.tag, ReplyOutcome.DONE, "It is a dead letter now.")
        await self._journal.bury(holding, entry, self._dead_letter_of(entry, error), reply)
        holding.close(entry)
        self._finder.forget_entry(holding, entry)
        self._decisions.settled(holding, entry, None)
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
            elif self._decisions.unclear_now(entry.tag, entry.nonce) is None:
                await self._say_no(holding, command, "It was decided otherwise meanwhile: look again.")
            else:
                reply = Reply(command.id, command.tag, ReplyOutcome.DONE, f"Run {run_id} is followed now.")
                await self._decisions.adopt(holding, entry, run, reply)

    # ---- replies ---------------------------------------------------------------------------------------------

    def _refuse(self, holding: Holding, command: Command, message: str) -> None:
        self._answer(holding, Reply(command.id, command.tag, ReplyOutcome.REFUSED, message))

    async def _say_no(self, holding: Holding, command: Command, message: str) -> None:
        await self._journal.answer(holding, Reply(command.id, command.tag, ReplyOutcome.REFUSED, message))

    def _answer(self, holding: Holding, reply: Reply) -> None:
        """Nobody waits for this: when the partition goes away the operator hears nothing, and asks again."""
        written = self._journal.answer(holding, reply)
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
