"""The watchdog: librdkafka's timeouts are not bounds, so somebody must notice a call that does not come back."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from connector.logs import logger

LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Silence:
    """For how long a thread was not heard of while this process ran.

    A process that was frozen (SIGSTOP, a paused machine) was silent as a whole: that time does not count, because the
    thread had none of it either. So the silence grows with each look by no more than a look on time takes.

    Attributes:
        beat: the beat that was seen last.
        at: when it was looked at last, on the monotonic clock.
        seconds: the silence.
    """

    beat: float
    at: float
    seconds: float = 0.0

    def look(self, beat: float, now: float) -> float:
        """Look again; returns the silence in seconds."""
        passed, self.at = now - self.at, now
        if beat != self.beat:
            self.beat, self.seconds = beat, 0.0
        elif passed <= 2 * LOOK_SECONDS:
            self.seconds += passed
        return self.seconds


def watch(
    last_beat: Callable[[], float],
    limit: float,
    *,
    farewell: Callable[[], None],
    end: Callable[[int], None] = os._exit,
) -> threading.Event:
    """End the process with exit 1 when the Kafka thread has not been heard of for too long.

    The stacks of all threads are written first. A fresh process restores everything from the journal; a stuck one
    would hold its partitions for as long as its heartbeats go on.

    Args:
        last_beat: when the thread was last heard of, on the monotonic clock.
        limit: seconds.
        farewell: says what only this process knows, within a few seconds; called on the watchdog's thread.
        end: ends the process.

    Returns:
        Set it to end the watch.
    """
    over = threading.Event()
    silence = Silence(last_beat(), time.monotonic())

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            silent = silence.look(last_beat(), time.monotonic())
            if silent > limit:
                logger.critical("kafka_thread_stuck", seconds=round(silent, 1))
                faulthandler.dump_traceback(file=sys.stderr)
                try:
                    farewell()
                except Exception as error:  # noqa: BLE001 - whatever it is, the process must end
                    logger.critical("farewell_failed", reason=type(error).__name__)
                end(1)
                return

    threading.Thread(target=look, name="watchdog", daemon=True).start()
    return over
