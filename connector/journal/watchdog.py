"""The watchdog: librdkafka's timeouts are not bounds, so somebody must notice a call that does not come back."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

from connector.logs import logger


def watch(last_beat: Callable[[], float], limit: float, *, end: Callable[[int], None] = os._exit) -> threading.Event:
    """End the process with exit 1 when the Kafka thread has not been heard of for too long.

    The stacks of all threads are written first. A fresh process restores everything from the journal; a stuck one
    would hold its partitions for as long as its heartbeats go on.

    Args:
        last_beat: when the thread was last heard of, on the monotonic clock.
        limit: seconds.
        end: ends the process.

    Returns:
        Set it to end the watch.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            silent = time.monotonic() - last_beat()
            if silent > limit:
                logger.critical("kafka_thread_stuck", seconds=round(silent, 1))
                faulthandler.dump_traceback(file=sys.stderr)
                end(1)
                return

    threading.Thread(target=look, name="watchdog", daemon=True).start()
    return over
