"""Calls into librdkafka that may not come back, made on a thread of their own, so that whoever waits can give up."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import ClassVar

MOST_LOST = 3
"""Calls that were given up and have not come back. Each holds a client and its threads: with so many, the next one is
waited for in silence, and the watchdog ends the process."""


class NoAnswerError(Exception):
    """A call was given up. It may still come back, and do then what it was to do."""


class CallThread:
    """Makes one call after the other. Once one was given up, nothing more may be asked of it."""

    _lost: ClassVar[list[Future[None]]] = []

    def __init__(self) -> None:
        """The thread begins with the first call."""
        self._calls: queue.SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, what: Callable[[], None], until: float, look: float, beat: Callable[[], None]) -> None:
        """Make a call and wait for its end; what it raises is raised here.

        Args:
            what: the call.
            until: when to give up, on the monotonic clock.
            look: seconds between two beats.
            beat: called now and again while there is hope.

        Raises:
            NoAnswerError: it has not come back.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kafka-call", daemon=True)
            self._thread.start()
        result: Future[None] = Future()
        self._calls.put((what, result))
        while not result.done():
            beat()
            try:
                return result.result(look)
            except TimeoutError:
                if time.monotonic() >= until and self._may_give_up(result):
                    raise NoAnswerError from None
        return result.result()

    def close(self) -> None:
        """End the thread, once its call has come back."""
        self._calls.put(None)

    @staticmethod
    def _may_give_up(result: Future[None]) -> bool:
        lost = CallThread._lost = [call for call in CallThread._lost if not call.done()]
        if len(lost) >= MOST_LOST:
            wait([result])
            return False
        lost.append(result)
        return True

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            what, result = call
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
                result.set_exception(error)
            else:
                result.set_result(None)
            del what, call  # a client that nobody else holds ends here
