"""Finding runs over real HTTP, in the lists of the simulated API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from connector.adapters.http import HttpApi
from connector.adapters.metrics import Metrics
from connector.client import ExtendClient
from connector.clock import Clock
from connector.core.accept.request import resolve
from connector.core.budgets.budget import TokenBucket
from connector.core.entry import Entry, accept
from connector.core.errors import ApiUnavailable
from connector.core.lookup import NOT_FOUND, NOT_SEARCHABLE
from connector.core.record import Partition
from connector.core.route import Route
from connector.core.run import Run
from connector.core.run_types import RUN_TYPES
from connector.documents import Holding
from connector.find import Finder
from connector.simulator.rules import Rule
from connector.simulator.server import SimulatorServer
from connector.simulator.settings import Lifetimes, Settings
from tests.factories.records import TOPIC, decoder, record_of, tag_for

PROCESSORS = {"extract": "ex_1", "classify": "cl_1", "split": "spl_1", "workflow": "workflow_1"}
URL = b'{"url":"https://files.example.com/invoice.pdf"}'
PLENTY = 30.0
"""Seconds after which something that should happen at once has not."""


def intent(run_type: str, offset: int = 1, reference: bytes = URL) -> Entry:
    """A document whose POST may be on its way, resolved as the worker does it."""
    record = record_of(reference, offset=offset)
    tag = tag_for(record)
    route = Route("inv", TOPIC, run=run_type, processor=PROCESSORS.get(run_type))
    return accept(tag, resolve(record, [route], tag, decoder), record, Clock().wall_ms()).intend(f"nonce-{offset}")


@dataclass
class Scene:
    """A finder and the API it asks."""

    client: ExtendClient
    finder: Finder
    holding: Holding
    metrics: Metrics
    found: dict[str, Run] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    async def post(self, entry: Entry) -> Run:
        return await self.client.create(entry.request.run_type, entry.request.body, deadline=5.0)

    def look_for(self, entry: Entry) -> None:
        self.holding.put(entry)
        self.finder.look_for(self.holding, entry)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PLENTY):
            while not true():  # noqa: ASYNC110 - it waits for several things of several parts
                await asyncio.sleep(0.02)

    async def until_cancelled(self, run: Run) -> None:
        async with asyncio.timeout(PLENTY):
            status = ""
            while status not in {"CANCELLING", "CANCELLED"}:
                status = (await self.client.get(run.run_type, run.id)).status


@asynccontextmanager
async def scene(*rules: Rule, settle: float = 60.0, lifetime: float = 600.0) -> AsyncIterator[Scene]:
    settings = Settings(lifetimes=Lifetimes(median=lifetime, spread=0), rules=rules)
    async with SimulatorServer(settings=settings) as simulator:
        client = ExtendClient(HttpApi(simulator.base_url, "sk_test"))
        made: Scene

        def found(_holding: Holding, entry: Entry, run: Run) -> bool:
            assert str(entry.tag) not in made.found, "found twice"
            made.found[str(entry.tag)] = run
            return True

        def absent(_holding: Holding, entry: Entry, reason: str) -> None:
            made.absent[str(entry.tag)] = reason

        metrics = Metrics()
        finder = Finder(
            client=client,
            budget=TokenBucket(100),
            cancel=client.cancel,
            settle=settle,
            found=found,
            absent=absent,
            clock=Clock(),
            random=lambda: 0.5,
            metrics=metrics,
        )
        made = Scene(client, finder, Holding(Partition(TOPIC, 3), 1, "topic-id"), metrics)
        task = asyncio.create_task(finder.run())
        try:
            yield made
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.aclose()


async def test_a_run_of_every_type_whose_answer_was_lost_is_found() -> None:
    async with scene(Rule(kind="reset", stage="after", action="create")) as s:
        entries = [intent(run_type, offset) for offset, run_type in enumerate(RUN_TYPES)]
        for entry in entries:
            with pytest.raises(ApiUnavailable):
                await s.post(entry)
            s.look_for(entry)
        await s.until(lambda: len(s.found) == len(entries))
        for entry in entries:
            run = s.found[str(entry.tag)]
            assert run.run_type == entry.request.run_type
            mark = entry.tag.hash in (run.file_name or "")
            assert run.tag == str(entry.tag) or (run.run_type == "edit" and mark)
        assert s.absent == {}


async def test_a_run_that_is_created_after_its_create_was_given_up_is_found() -> None:
    async with scene(Rule(kind="late", seconds=3.5, action="create"), settle=5.0) as s:
        entry = intent("extract")
        with pytest.raises(ApiUnavailable):
            await s.post(entry)
        s.look_for(entry)
        await s.until(lambda: s.found or s.absent)
        assert list(s.found) == [str(entry.tag)], "it was created after the early scan, before the settle window ended"


@pytest.mark.parametrize("run_type", RUN_TYPES)
async def test_of_two_runs_for_one_tag_the_younger_is_cancelled(run_type: str) -> None:
    async with scene() as s:
        entry = intent(run_type)
        older, younger = await s.post(entry), await s.post(entry)
        s.holding.put(entry)
        s.finder.hint(s.holding, entry, older.id)
        await s.until(lambda: s.found)
        s.finder.hint(s.holding, replace(entry, nonce="of a former owner"), younger.id)
        second = "extend_connector_second_runs_total"
        await s.until(lambda: s.metrics.registry.get_sample_value(second))
        assert s.found[str(entry.tag)].id == older.id
        if RUN_TYPES[run_type].cancellable:
            await s.until_cancelled(younger)
        assert (await s.client.get(run_type, older.id)).status in {"PENDING", "PROCESSING"}


async def test_a_scan_tells_the_older_of_two_runs() -> None:
    async with scene() as s:
        entry = intent("extract")
        older = await s.post(entry)
        await asyncio.sleep(0.01)  # the API's times are in milliseconds
        younger = await s.post(entry)
        s.look_for(entry)
        await s.until(lambda: s.found)
        assert s.found[str(entry.tag)].id == older.id
        await s.until_cancelled(younger)


async def test_what_was_never_created_is_absent_and_other_documents_are_no_proof() -> None:
    async with scene(settle=0.1) as s:
        for offset in range(3):
            await s.post(intent("parse", offset + 10))
        entry = intent("parse")
        s.look_for(entry)
        s.finder.scan_now(s.holding, entry)
        await s.until(lambda: s.absent)
        assert s.absent == {str(entry.tag): NOT_FOUND}
        assert s.found == {}


async def test_an_edit_run_of_a_file_that_the_api_keeps_cannot_be_looked_up() -> None:
    async with scene() as s:
        entry = intent("edit", reference=b'{"file_id":"file_1"}')
        s.look_for(entry)
        await s.until(lambda: s.absent)
        assert s.absent == {str(entry.tag): NOT_SEARCHABLE}
