"""A document whose start is unclear, or parked, in a world whose lists say nothing by themselves."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from connector.core.entry import Entry, State
from connector.core.errors import ApiUnavailable
from connector.core.run import Run
from connector.documents import Holding
from tests.fakes.api import UNCLEAR, Answer
from tests.steps.world import P0, Options, World, world

LOST = Answer(ApiUnavailable("no answer"))
"""Nobody answered, and nothing was bought."""


def silent(_entry: Entry) -> None:
    """The lists have not said anything yet."""


def found(entry: Entry) -> Run:
    return Run(id="run_1", run_type=entry.request.run_type, status="PROCESSING", tag=str(entry.tag))


def quiet(options: Options | None = None, kafka: World | None = None) -> AbstractAsyncContextManager[World]:
    """A world whose lists say nothing until a test lets them."""

    def before(w: World) -> None:
        w.finder.answer = silent

    if kafka is None:
        return world(options, before=before)
    return world(options, kafka=kafka.kafka, api=kafka.api, before=before)


def here(w: World) -> Holding:
    holding = w.holdings.of(P0)
    assert holding is not None
    return holding


async def unclear(w: World, answer: Answer = UNCLEAR) -> Entry:
    """One document whose start is unclear."""
    w.api.script.append(answer)
    w.send()
    await w.until(lambda: ("look_for", str(w.open()[0].tag)) in w.finder.asked if w.open() else False)
    (entry,) = w.open()
    return entry


async def parked(w: World, answer: Answer = UNCLEAR) -> Entry:
    """One document that is parked."""
    w.finder.answer = lambda _entry: "NOT_FOUND"
    entry = await unclear(w, answer)
    await w.until(lambda: w.open(State.PARKED))
    w.finder.answer = silent
    return entry
