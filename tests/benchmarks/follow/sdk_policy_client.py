"""The official SDK's policy for thousands of runs at once, over HTTP. A process of its own.

It is the SDK's delays and retries without its threads: 5,000 of those need more of the machine than everything else
together. Everybody asks when the SDK would, and nobody knows of a budget.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
from extend_ai.core.http_client import _retry_timeout

from connector.core.run_types import is_terminal
from tests.benchmarks.follow.policy import SDK_RETRIES, sdk_delay

CONNECTIONS = 64
CREATES = 16
HEADERS = {"Authorization": "Bearer sk_benchmark", "x-extend-api-version": "2026-02-09"}
THROTTLED = 429


@dataclass(slots=True, order=True)
class Look:
    """One that is due."""

    due: float
    run_id: str = field(compare=False)
    began: float = field(compare=False)
    retries: int = field(default=0, compare=False)


class Poller:
    """Follows runs as the SDK does.

    Attributes:
        delays: seconds from a run's end, on the API's clock, until it was known.
    """

    def __init__(self, base_url: str, count: int) -> None:
        self.delays: list[float] = []
        self._base_url = base_url
        self._count = count
        self._due: list[Look] = []
        self._woken = asyncio.Event()
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Buy the runs, and follow them to their ends."""
        numbers = iter(range(self._count))
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(self._ask()) for _ in range(CONNECTIONS)]
            for _ in range(CREATES):
                tasks.create_task(self._create(numbers))
            await self._done.wait()
            for each in asking:
                each.cancel()

    def _client(self) -> httpx.AsyncClient:
        # A client for each connection: a pool that is asked for more than it has costs more than all else.
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(base_url=self._base_url, headers=HEADERS, limits=limits, timeout=60.0, trust_env=False)

    async def _create(self, numbers: Iterator[int]) -> None:
        async with self._client() as client:
            for number in numbers:
                body = {
                    "file": {"url": f"https://bucket.example.com/invoices/{number}.pdf"},
                    "extractor": {"id": "ex_invoices"},
                }
                run = (await client.post("/extract_runs", json=body)).raise_for_status().json()
                self._put(Look(time.monotonic(), run["id"], time.monotonic()))

    async def _ask(self) -> None:
        async with self._client() as client:
            while True:
                look = await self._next()
                answer = await client.get(f"/extract_runs/{look.run_id}")
                now = time.monotonic()
                if answer.status_code == THROTTLED and look.retries < SDK_RETRIES:
                    wait = _retry_timeout(answer, look.retries)
                    self._put(Look(now + wait, look.run_id, look.began, look.retries + 1))
                    continue
                if answer.status_code != THROTTLED:
                    run = answer.raise_for_status().json()
                    if is_terminal(run["status"]):
                        self._ended(datetime.fromisoformat(run["updatedAt"]))
                        continue
                self._put(Look(now + sdk_delay(now - look.began), look.run_id, look.began))

    async def _next(self) -> Look:
        while True:
            now = time.monotonic()
            if self._due and self._due[0].due <= now:
                return heapq.heappop(self._due)
            self._woken.clear()
            try:
                async with asyncio.timeout(self._due[0].due - now if self._due else None):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _put(self, look: Look) -> None:
        heapq.heappush(self._due, look)
        if self._due[0] is look:
            self._woken.set()

    def _ended(self, at: datetime) -> None:
        self.delays.append(time.time() - at.timestamp())
        if len(self.delays) == self._count:
            self._done.set()


def main(arguments: Sequence[str]) -> int:
    """Follow runs.

    Args:
        arguments: the API's address, how many runs, the file for the delays (JSON).
    """
    base_url, count, outcome = arguments
    poller = Poller(base_url, int(count))
    asyncio.run(poller.run())
    Path(outcome).write_text(json.dumps(poller.delays), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
