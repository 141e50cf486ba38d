"""An API that is down, slow, or refuses: how many starts become unclear, and that everything else goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from connector import worker as worker_module
from connector.config.sections import Start
from connector.core.breaker import UNCLEAR_IN_A_ROW
from connector.core.record import Partition
from connector.core.route_guard import REFUSED_IN_A_ROW
from connector.simulator.rules import Kind, Rule, Stage
from tests.chaos.history import History
from tests.guarantees.running import Running
from tests.guarantees.scene import HOUR, OPEN, Scene, assert_once, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

MOST_OPEN = 4
BOUND = UNCLEAR_IN_A_ROW + MOST_OPEN
"""Unclear starts of one outage: three in a row, and the POSTs that were open then."""
SHORT = Start(deadline=1.0, settle=6.0, max_open=MOST_OPEN)
CLEAR_SECONDS = 60.0
"""The settle window, two looks after it, and a busy machine."""


def _settled_but_parked(count: int) -> Callable[[History], bool]:
    """So many documents in all, and each has its result or is parked."""

    def holds(history: History) -> bool:
        parked = sum(entry.state == "parked" for entry in history.open_entries)
        return parked == len(history.open_entries) and len(history.results) + parked == count

    return holds


def _check_outage(scene: Scene, history: History, names: list[str], *, created: bool, most: int) -> None:
    """What was bought is found and adopted, what was not is parked within the bound, and nothing was bought twice."""
    parked = {str(entry.tag) for entry in history.open_entries}
    tags = [run["tag"] for run in scene.runs]
    assert len(parked) == 0 if created else 1 <= len(parked) <= most
    assert len(set(tags)) == len(tags)
    assert len(history.results) == len({result.document_id for result in history.results}) == len(names) - len(parked)
    assert len(tags) == len(names) - len(parked)
    assert {str(result.document_id) for result in history.results} <= set(names)
    assert history.committed == history.marks
    assert sum(history.committed.values()) == len(names)


@pytest.mark.parametrize(
    ("kind", "stage"),
    [("error", "before"), ("error", "after"), ("html", "before")],
)
async def test_an_outage_leaves_a_few_unclear_and_all_others_resume(scene: Scene, kind: Kind, stage: Stage) -> None:
    names = [f"doc-{number}" for number in range(30)]
    rule = Rule(kind=kind, stage=stage, action="create", status=503 if kind in {"error", "html"} else None)
    scene.faults(rule)
    await scene.write(*names)
    async with scene.worker(scene.config(start=SHORT)) as worker:
        await worker.until("starts_stopped", 1, reason="breaker")
        await worker.until("api_requests_total", 2, operation="probe")
        during = await scene.history()
        assert worker.metric("starts_stopped", reason="breaker") == 1
        scene.heal()
        history = await scene.until(_settled_but_parked(30), within=CLEAR_SECONDS)

        await worker.until_is("parked_documents", len(history.open_entries))
        await worker.until_is("starts_stopped", 0, reason="breaker")

    # What was created is found by its tag while creates still fail; nothing else has come out.
    unclear = sum(entry.state in ("intent", "parked") for entry in during.open_entries)
    assert len(during.results) + unclear <= BOUND
    assert stage == "after" or during.results == ()
    _check_outage(scene, history, names, created=stage == "after", most=BOUND)


@pytest.mark.parametrize(
    ("kind", "stage"),
    [("error", "before"), ("hang", "before"), ("hang", "after")],
)
async def test_an_api_that_answers_probes_only_leaves_one_document_a_probe_unclear(
    scene: Scene, kind: Kind, stage: Stage
) -> None:
    names = [f"doc-{number}" for number in range(30)]
    scene.faults(Rule(kind=kind, stage=stage, status=503, action="create", contains="bucket.example.com"))
    await scene.write(*names)
    async with scene.worker(scene.config(start=SHORT)) as worker:
        await worker.until("starts_stopped", 1, reason="breaker")
        await worker.until("api_requests_total", 2, operation="probe", code="400")
        scene.heal()
        history = await scene.until(_settled_but_parked(30), within=CLEAR_SECONDS)
        probes = int(worker.metric("api_requests_total", operation="probe", code="400"))

    _check_outage(scene, history, names, created=stage == "after", most=BOUND + probes)


async def test_answers_that_come_after_the_deadline_are_adopted(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(6)]
    scene.faults(Rule(kind="delay", action="create", seconds=2, count=2))
    await scene.write(*names)
    async with scene.worker(scene.config(start=SHORT)) as worker:
        history = await scene.until_results(6)
        assert worker.metric("unclear_starts_total", end="parked") == 0
        await worker.until_is("unclear_starts_total", 2, end="adopted")

    assert_once(history, names)


@pytest.mark.parametrize("kind", ["error", "reset"])
async def test_looks_that_fail_lose_no_run(scene: Scene, kind: Kind) -> None:
    names = [f"doc-{number}" for number in range(10)]
    status = 503 if kind == "error" else None
    scene.faults(
        Rule(kind=kind, action="get", share=0.6, duration=2.0, status=status),
        Rule(kind=kind, action="list", share=0.6, duration=2.0, status=status),
    )
    await scene.write(*names)
    async with scene.worker():
        history = await scene.until_results(10)

    assert_once(history, names)


async def test_a_storm_of_429_delays_and_parks_nothing(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(20)]
    scene.faults(
        Rule(kind="throttle", action="create", count=12, retry_after="0"),
        Rule(kind="throttle", action="create", count=2, retry_after="soon"),
        Rule(kind="throttle", action="get", count=5, retry_after="0"),
    )
    await scene.write(*names)
    async with scene.worker() as worker:
        history = await scene.until_results(20)
        assert worker.metric("starts_refused_total", reason="THROTTLED") == 14
        assert worker.metric("unclear_starts_total") == 0

    assert history.dead_letters == ()
    assert_once(history, names)


async def test_a_refused_key_stops_starts_and_nothing_else_until_the_file_has_a_good_one(
    kafka: Kafka, unique_name: UniqueName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "KEY_CHECK_SECONDS", 0.1)
    key = "sk_test"
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        await scene.write("open-0", "open-1")
        async with scene.worker(read_key=lambda: key) as worker:
            await worker.until("runs_started_total", 2)
            scene.faults(Rule(kind="error", status=401, action="create"))
            names = [f"doc-{number}" for number in range(60)]
            await scene.write(*names)
            await worker.until("starts_stopped", 1, reason="forbidden")
            scene.api_time.forward(HOUR)
            during = await scene.until(lambda h: len(h.results) >= 2)
            assert len(scene.runs) == 2

            scene.heal()
            key = "sk_mended"
            await worker.until("runs_started_total", 62)
            scene.api_time.forward(HOUR)
            history = await scene.until_results(62)
            await worker.until_is("starts_stopped", 0, reason="forbidden")
            assert worker.metric("unclear_starts_total") == 0

    assert {entry.state for entry in during.open_entries} == {"ready"}
    assert len(during.open_entries) <= 32, "the input stays in its topic"
    assert history.dead_letters == ()
    assert_once(history, ["open-0", "open-1", *names])


async def test_a_wrong_processor_costs_twenty_dead_letters_and_no_topic(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(300)]
    scene.faults(Rule(kind="error", status=400, action="create"))
    await asyncio.gather(*(scene.write(*names[start::10], partition=start % 2) for start in range(10)))
    async with scene.worker() as worker:
        await worker.until("starts_stopped", 1, reason="refusals")
        await worker.until("api_requests_total", 24, operation="create")  # trials go on
        during = await scene.until(lambda h: len(h.dead_letters) == REFUSED_IN_A_ROW)
        assert _waiting(worker) <= 100 + MOST_STARTS
        scene.heal()
        history = await scene.until_results(280)
        await worker.until_is("starts_stopped", 0, reason="refusals")

    assert during.results == ()
    assert sum(during.committed.values()) < 300, "the topic was drained"
    assert len(history.dead_letters) == REFUSED_IN_A_ROW
    assert {letter.reason for letter in history.dead_letters} == {"REFUSED_BY_API"}
    assert len(history.runs) == len({run.tag for run in history.runs}) == 280
    assert history.committed == {Partition(scene.topic, 0): 150, Partition(scene.topic, 1): 150}


MOST_STARTS = 32


def _waiting(worker: Running) -> float:
    return worker.metric("ready_documents")
