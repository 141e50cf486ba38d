"""A finder on virtual time, with an API that shows what a test puts there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connector.adapters.metrics import Metrics
from connector.core.budgets.budget import TokenBucket
from connector.core.entry import Entry, Request, State
from connector.core.record import Partition
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.core.tag import Tag, tagged_file_name
from connector.documents import Holding
from connector.find import Finder
from tests.fakes.api import FakeApi
from tests.fakes.virtual_time import clock

SETTLE = 600.0


def entry(number: int = 1, run_type: str = "extract", state: State = State.INTENT, *, named: bool = True) -> Entry:
    tag = Tag(
        "invoices", Partition("documents", 3), number, f"{'a' * 20}{chr(97 + number // 26)}{chr(97 + number % 26)}"
    )
    name = tagged_file_name("invoice.pdf", tag) if named else "invoice.pdf"
    return Entry(
        tag=tag,
        state=state,
        request=Request(run_type, "documents", f'{{"file":{{"name":"{name}"}}}}'.encode(), "pr_1"),
        key=None,
        headers=(),
        value=b"{}",
        source_timestamp=None,
        accepted_ms=clock().wall_ms(),
        nonce=f"nonce-{number}",
        attempts=1,
        run_id="run_known" if state is State.STARTED else None,
        repeats=1 if state is State.STARTED else 0,
    )


@dataclass
class Search:
    """A finder, what it asks of the API, and what it told."""

    api: FakeApi
    finder: Finder
    holding: Holding
    metrics: Metrics
    began: float
    found: list[tuple[str, str]] = field(default_factory=list)
    absent: list[tuple[str, str, float]] = field(default_factory=list)
    deaf: bool = False

    def want(self, wanted: Entry) -> Entry:
        self.holding.put(wanted)
        self.finder.look_for(self.holding, wanted)
        return wanted

    def create(self, wanted: Entry, run_id: str = "run_1", *, after: float = 0.0, status: str = "PROCESSING") -> None:
        """A run of a document is made, and lists show it as they show runs of its type."""
        carries = RUN_TYPES[wanted.request.run_type].rows_carry_metadata
        self.api.show_in_lists(
            run_id,
            wanted.request.run_type,
            str(wanted.tag) if carries else None,
            after=after,
            processor_id=wanted.request.processor_id,
            file_name=tagged_file_name("invoice.pdf", wanted.tag),
        )
        self.api.always_shows = (status,)

    @property
    def asked(self) -> list[float]:
        """When pages were asked for, in seconds from the beginning."""
        return [round(each.at - self.began, 1) for each in self.api.lists]

    @property
    def second_runs(self) -> float:
        return self.metrics.registry.get_sample_value("extend_connector_second_runs_total") or 0.0

    def cancelled(self) -> list[str]:
        return [run_id for kind, run_id in self.api.events if kind == "cancel"]


@asynccontextmanager
async def searching(rate: float | None = None, settle: float = SETTLE) -> AsyncIterator[Search]:
    api, metrics = FakeApi(always_shows=("PROCESSING",)), Metrics()

    def was_found(where: Holding, wanted: Entry, run: Run) -> bool:
        assert where is holding
        if search.deaf:
            return False
        search.found.append((str(wanted.tag), run.id))
        return True

    def was_absent(where: Holding, wanted: Entry, reason: str) -> None:
        assert where is holding
        search.absent.append((str(wanted.tag), reason, asyncio.get_running_loop().time() - search.began))

    finder = Finder(
        client=api,
        budget=TokenBucket(rate),
        cancel=api.cancel,
        settle=settle,
        found=was_found,
        absent=was_absent,
        clock=clock(),
        random=lambda: 0.5,
        metrics=metrics,
    )
    holding = Holding(Partition("documents", 3), 1, "topic-id")
    search = Search(api, finder, holding, metrics, asyncio.get_running_loop().time())
    task = asyncio.create_task(finder.run())
    try:
        yield search
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
