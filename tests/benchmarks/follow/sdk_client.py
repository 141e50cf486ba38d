"""A program with the official SDK: a thread for each document, started at given instants. A process of its own.

``create_and_poll`` is ``create`` and ``poll_until_done``; they are called one after the other, because an exception of
``create_and_poll`` takes the run's id with it, and then a run that is paid for is followed by nobody.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from extend_ai import Extend
from extend_ai.core.api_error import ApiError
from extend_ai.types.extract_run import ExtractRun
from extend_ai.wrapper.polling import poll_until_done

from connector.core.run_types import is_terminal

THROTTLED = 429


class Documents:
    """What became of them.

    Attributes:
        delays: seconds from a run's end, on the API's clock, until its result was in hand.
        failures: what ended a thread instead.
    """

    def __init__(self, base_url: str) -> None:
        self.delays: list[float] = []
        self.failures: list[str] = []
        self._client = Extend(token="sk_benchmark", base_url=base_url, timeout=60)

    def carry(self, number: int) -> None:
        """Buy a run, and wait for its result."""
        try:
            run = self._client.extract_runs.create(
                file={"url": f"https://bucket.example.com/invoices/{number}.pdf"},
                extractor={"id": "ex_invoices"},
            )
            ended = poll_until_done(lambda: self._look(run.id), lambda look: look is not None)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to tell
            self.failures.append(repr(error))
            return
        if ended is not None:
            self.delays.append(time.time() - ended.updated_at.timestamp())

    def _look(self, run_id: str) -> ExtractRun | None:
        """The run once it has ended. After the SDK's own retries a refusal is no news."""
        try:
            run = self._client.extract_runs.retrieve(run_id)
        except ApiError as error:
            if error.status_code == THROTTLED:
                return None
            raise
        return run if is_terminal(run.status) else None


def _peak_memory() -> int:
    """Bytes. Not ``ru_maxrss``, which a child inherits from whoever started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(arguments: Sequence[str]) -> int:
    """Carry documents at the instants (seconds from now) of a file, and write what became of them to another.

    Args:
        arguments: the API's address, the file with instants, the file for the outcome; both are JSON.
    """
    base_url, instants, outcome = arguments
    documents = Documents(base_url)
    before = resource.getrusage(resource.RUSAGE_SELF)  # imports belong to no run
    threads = []
    begun = time.monotonic()
    for number, instant in enumerate(json.loads(Path(instants).read_text(encoding="utf-8"))):
        time.sleep(max(0.0, begun + instant - time.monotonic()))
        threads.append(threading.Thread(target=documents.carry, args=(number,), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "delays": documents.delays,
        "failures": documents.failures,
        "cpu": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "memory": _peak_memory(),
    }
    Path(outcome).write_text(json.dumps(told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
