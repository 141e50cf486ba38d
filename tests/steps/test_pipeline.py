"""One document's way, on fakes and on virtual time."""

from __future__ import annotations

import asyncio
import inspect
from typing import NoReturn

import pytest

from connector.core.entry import State
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, Options, World, world


def fail(*_: object) -> NoReturn:
    raise ZeroDivisionError


@virtually
async def test_a_document_becomes_one_result_and_leaves_nothing_open() -> None:
    async with world() as w:
        (record,) = w.send()
        await w.until(w.results)
        (result,) = w.results("PROCESSED")
        assert (result["status"], result["revision"], result["output"]) == ("PROCESSED", 1, '{"total":1.50}')
        assert result["run_id"] == "run_1"
        assert w.kafka.topics["documents.processed"][0].key == record.key
        assert w.kafka.topics["documents.processed"][0].headers == record.headers
        assert w.open() == []
        assert w.kafka.offsets[P0] == 1
        assert w.kinds() == ["intent", "started", "result"]


@virtually
async def test_an_error_nobody_foresaw_is_told_and_leaves_open_posts_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        w.api.answer = lambda _post: Answer(after=5.0)
        w.send(2)
        await w.until(lambda: w.api.open_posts == 2)

        async def bug() -> None:
            raise ZeroDivisionError

        w.pipeline.spawn(bug())
        await asyncio.sleep(0)
        monkeypatch.setattr(w.acceptor, "clear_head", fail)  # a bug in the choice of the next document
        w.send()
        await w.until(lambda: len(w.fatal) == 2)
        assert {type(error) for error in w.fatal} == {ZeroDivisionError}
        await w.until(lambda: len(w.open(State.STARTED)) == 2 or len(w.results()) == 2)
        assert w.pipeline.open_starts == 0
        w.fatal.clear()


@virtually
async def test_a_bug_in_a_start_leaves_no_start_open() -> None:
    async with world() as w:
        w.api.answer = lambda _post: fail()
        w.send()
        await w.until(lambda: w.fatal)
        assert w.pipeline.open_starts == 0
        w.fatal.clear()


@virtually
async def test_what_comes_while_the_pipeline_ends_or_after_it_is_closed_and_raises_nothing() -> None:
    w = World(Options())
    pipeline = asyncio.create_task(w.pipeline.run())
    await asyncio.sleep(0)
    pipeline.cancel()
    during, after = asyncio.sleep(1.0), asyncio.sleep(1.0)
    w.pipeline.spawn(during)
    await asyncio.gather(pipeline, return_exceptions=True)
    w.pipeline.spawn(after)
    await asyncio.sleep(0)
    assert [inspect.getcoroutinestate(each) for each in (during, after)] == [inspect.CORO_CLOSED] * 2
