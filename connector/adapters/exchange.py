"""One request that is under way, and who hears of its end. It goes on whatever its caller does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connector.core.answer import Answer, error_of
from connector.core.errors import ApiError, ApiUnavailable, NotSent

Outcome = Answer | ApiError
"""A 2xx answer, or the error that everything else means."""

Late = Callable[[Outcome], None]
"""Gets the end of a request whose caller had gone, or had been told that it is unclear."""


class TakenBack(Exception):  # noqa: N818 - it names what happened, and never reaches a caller
    """Raised before the first byte of a request that must not be written any more."""


class Exchange:
    """One request: whether it was written, what came back, and whom to tell.

    Attributes:
        asked: method and path, for messages.
        written: whether writing has begun. Until then it can be taken back, and then it was certainly not
            sent.
        head: status and headers of the answer, once they are there.
        outcome: what the caller is told.
    """

    def __init__(
        self, asked: str, wall: Callable[[], float], may_write: Callable[[], bool] | None, late: Late | None
    ) -> None:
        self.asked = asked
        self.written = False
        self.head: Answer | None = None
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._wall = wall
        self._may_write = may_write
        self._late = late
        self._deserted = False
        self._abandoned = False

    @property
    def settled(self) -> bool:
        """Whether the caller has been told."""
        return self.outcome.done()

    async def wait(self) -> Outcome:
        """The outcome. A cancelled caller leaves the request running, and its end to ``late``."""
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self._deserted = True
            if self.outcome.done() and not self._abandoned:
                self._report(self.outcome.result())
            raise

    def desert(self) -> None:
        """The caller was cancelled before anything was handed over."""
        self._deserted = True
        self.fail("its caller was cancelled")

    def write(self) -> None:
        """Writing begins now. Looked at, decided and marked without an await: nobody can take it back after.

        ``may_write`` is asked here and nowhere else: whoever is asked knows that what it allows is done.

        Raises:
            TakenBack: the caller has been told that it was not sent, or it may not be sent any more.
        """
        self.check()
        if self._may_write is not None and not self._may_write():
            raise TakenBack
        self.written = True

    def check(self) -> None:
        """Whether somebody still waits for it.

        Raises:
            TakenBack: the caller has been told that it was not sent.
        """
        if self.settled:
            raise TakenBack

    def settle(self, outcome: Outcome) -> None:
        """The request has ended."""
        if not self.settled:
            self.outcome.set_result(outcome)
            if self._deserted:
                self._report(outcome)
        elif self._abandoned:
            self._report(outcome)

    def fail(self, why: str) -> None:
        """The request ended without an answer."""
        self.settle(self._unanswered(why))

    def abandon(self, why: str) -> None:
        """Tell the caller now. The request goes on if it was written; otherwise it never will be."""
        if self.settled:
            return
        if self.head is not None and not self.head.ok:
            self.settle(self.error_of(self.head))  # its status says enough; its body may never end
        elif self.written:
            self._abandoned = True
            self.outcome.set_result(self._unanswered(why))
        else:
            self.fail(why)

    def close(self) -> None:
        """The client is being closed: tell the caller, and nobody afterwards."""
        self._late = None
        if not self.settled:
            self.outcome.set_result(self._unanswered("the client was closed"))

    def error_of(self, answer: Answer) -> ApiError:
        """The error that an answer other than 2xx means."""
        error = error_of(answer, self.asked, self._wall())
        if error is None:
            raise AssertionError(f"{self.asked}: a {answer.status} is no error.")
        return error

    def _unanswered(self, why: str) -> ApiError:
        if self.written:
            return ApiUnavailable(f"{self.asked}: sent, but {why}.", retryable=True)
        return NotSent(f"{self.asked}: not sent: {why}.", retryable=True)

    def _report(self, outcome: Outcome) -> None:
        late, self._late = self._late, None
        if late is not None:
            late(outcome)
