"""Unclear starts between real processes: looked up, told by former owners, decided by a person; never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from connector.adapters.http import HttpApi
from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.conversation import Conversation
from connector.adapters.kafka.properties import client_properties, producer_properties, reader_properties
from connector.client import ExtendClient
from connector.config.sections import Start
from connector.core.entry import Entry, State
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec
from connector.core.signals.signal import Action, Command, Reply, SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.tag import METADATA_KEY
from connector.core.topics import signals_topic
from connector.schema_files import load_schema
from connector.simulator.rules import Rule
from tests.chaos.processes import Fleet
from tests.guarantees.processes import start
from tests.guarantees.running import Lines
from tests.guarantees.scene import HOUR, OPEN, Scene, assert_once, eventually, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

CLEAR_SECONDS = 90.0
"""The session, the settle window, two looks after it, and a busy machine."""
LOST = Start(deadline=1.0, settle=6.0)


async def test_the_run_of_a_worker_that_died_before_it_knew_is_found_and_adopted(scene: Scene, fleet: Fleet) -> None:
    await scene.write("a", partition=0)
    dies = start(fleet, scene, "dies", "after_created:kill")
    await asyncio.to_thread(fleet.await_kill, dies, 30)
    await scene.write("b", partition=0)

    async with scene.worker() as heir:
        history = await scene.until_results(2, within=CLEAR_SECONDS)
        assert heir.metric("unclear_starts_total", end="adopted") == 1
        assert heir.metric("unclear_starts_total", end="parked") == 0

    assert_once(history, ["a", "b"])


async def test_a_post_that_a_sleeper_sends_late_is_told_to_the_new_owner(
    kafka: Kafka, unique_name: UniqueName, fleet: Fleet, lines: Lines
) -> None:
    # One partition: it stays with its new owner. Of two the sleeper would get one back, and need not be told.
    async with open_scene(kafka, unique_name("g"), partitions=1) as scene:
        await scene.write("a")
        sleeps = start(fleet, scene, "sleeps", "before_post_write:stop")
        await asyncio.to_thread(sleeps.process.wait_stopped, 30)

        async with scene.worker() as heir:
            # The intent is looked up and not found: nothing was bought while its owner sleeps. Then it wakes and buys.
            await scene.until(lambda h: [entry.state for entry in h.open_entries] == ["parked"], within=CLEAR_SECONDS)
            sleeps.process.resume()
            history = await scene.until_results(1, within=CLEAR_SECONDS)
            assert heir.metric("signals_total", kind="fact", result="used") == 1
            assert heir.metric("unclear_starts_total", end="adopted") == 1
            assert await asyncio.to_thread(sleeps.process.terminate, 25) == 0

    assert lines.of("start_parked")
    assert_once(history, ["a"])


async def test_a_worker_that_leaves_while_posts_are_open_leaves_nothing_unclear(scene: Scene, fleet: Fleet) -> None:
    names = [f"doc-{number}" for number in range(12)]
    scene.faults(Rule(kind="delay", action="create", seconds=2))
    await scene.write(*names)
    first = start(fleet, scene, "first")
    await scene.runs_at_least(4)
    async with scene.worker() as second:  # joins, and takes a partition whose POSTs are open
        await second.until("assigned_partitions", 1, within=60)
        assert await asyncio.to_thread(first.process.terminate, 25) == 0
        scene.heal()
        history = await scene.until_results(12, within=CLEAR_SECONDS)
        assert second.metric("unclear_starts_total") == 0

    assert_once(history, names)


async def test_with_retry_what_was_never_created_is_started_again(scene: Scene) -> None:
    names = [f"doc-{number}" for number in range(4)]
    scene.faults(Rule(kind="error", status=503, action="create", count=2))
    await scene.write(*names)
    async with scene.worker(
        scene.config(start=Start(deadline=1.0, settle=6.0, on_unclear="retry")),
    ) as worker:
        history = await scene.until_results(4, within=CLEAR_SECONDS)
        await worker.until_is("unclear_starts_total", 2, end="retried")

    assert_once(history, names)


async def test_with_retry_a_second_run_is_reported_cancelled_and_never_published(
    kafka: Kafka, unique_name: UniqueName, lines: Lines
) -> None:
    async with open_scene(kafka, unique_name("g"), settings=OPEN) as scene:
        scene.faults(Rule(kind="error", status=503, action="create", count=1))
        await scene.write("a", partition=0)
        async with scene.worker(
            scene.config(start=Start(deadline=1.0, settle=6.0, on_unclear="retry")),
        ) as worker:
            await worker.until("unclear_starts_total", 1, end="retried", within=CLEAR_SECONDS)
            await worker.until("runs_started_total", 1)
            late = await _bought_for(scene, scene.runs[0]["tag"])  # what the first POST led to after all
            await worker.until("second_runs_total", 1, within=CLEAR_SECONDS)
            await eventually(lambda: _status(scene, late) == "CANCELLED", "the second run is cancelled")
            scene.api_time.forward(HOUR)
            history = await scene.until_results(1)

    assert [run["run_id"] for run in scene.runs] == [history.results[0].run_id, late]
    assert [line["second_run_id"] for line in lines.of("second_run")] == [late]


async def _bought_for(scene: Scene, tag: str) -> str:
    http = HttpApi(scene.simulator.base_url, "sk_test")
    client = ExtendClient(http)
    try:
        body = {"file": {"url": "https://bucket.example.com/a.pdf"}, "metadata": {METADATA_KEY: {"tag": tag}}}
        return (await client.create("parse", body, 10.0)).id
    finally:
        await client.aclose()


def _status(scene: Scene, run_id: str) -> str:
    return scene.simulator.engine.find("parse", run_id).status


# ---- a person decides ------------------------------------------------------------------------------------------------


async def _parked(scene: Scene) -> Entry:
    """The one document that is parked, from the journal."""
    await scene.until(lambda h: [entry.state for entry in h.open_entries] == ["parked"], within=CLEAR_SECONDS)
    codec = JournalCodec(Codec(load_schema("journal_entry")), scene.name)
    folded = {raw.key: raw.value for raw in await scene.read(scene.journal) if raw.key is not None}
    restored = codec.restore({key: value for key, value in folded.items() if value}, [scene.partition(0)])
    entries = getattr(restored[scene.partition(0)], "entries", ())
    (entry,) = [each for each in entries if each.state is State.PARKED]
    assert isinstance(entry, Entry)
    return entry


async def _ask(scene: Scene, command: Command) -> list[Reply]:
    return await asyncio.to_thread(lambda: list(_replies(scene, command)))


def _replies(scene: Scene, command: Command) -> Iterator[Reply]:
    kafka = scene.config().kafka
    topic = SignalsTopic(signals_topic(scene.name), scene.partitions, SignalCodec(Codec(load_schema("signal"))))
    with Cluster(client_properties(kafka, "operator")) as cluster:
        conversation = Conversation(
            topic=topic,
            cluster=cluster,
            reading=reader_properties(kafka, "operator", "operator"),
            writing=producer_properties(kafka, "operator", None, 1_000_000),
        )
        yield from conversation.ask(command, 30.0, 60.0)


@pytest.fixture
async def parked(scene: Scene) -> Entry:
    """A document that is parked: its POST was answered with 503, and nothing was created."""
    scene.faults(Rule(kind="error", status=503, action="create", count=1))
    await scene.write("a", partition=0)
    async with scene.worker(scene.config(start=LOST)):
        return await _parked(scene)


async def test_a_person_starts_a_parked_document(scene: Scene, parked: Entry) -> None:
    command = Command("c-1", parked.tag, parked.nonce or "", Action.START)
    async with scene.worker(scene.config(start=LOST)):
        replies = await _ask(scene, command)
        history = await scene.until_results(1, within=CLEAR_SECONDS)
        again = await _ask(scene, replace(command, id="c-2"))

    assert [reply.outcome.value for reply in replies] == ["accepted", "done"], replies
    assert [reply.outcome.value for reply in again] == ["refused"], again
    assert_once(history, ["a"])


async def test_a_person_drops_a_parked_document(scene: Scene, parked: Entry) -> None:
    async with scene.worker(scene.config(start=LOST)):
        replies = await _ask(scene, Command("c-1", parked.tag, parked.nonce or "", Action.DROP))
        history = await scene.until(lambda h: not h.open_entries)

    assert [reply.outcome.value for reply in replies] == ["accepted", "done"], replies
    assert [letter.reason for letter in history.dead_letters] == ["DROPPED"]
    assert history.runs == ()


async def test_a_person_cannot_give_a_document_the_run_of_another(scene: Scene, parked: Entry) -> None:
    await scene.write("b", partition=0)
    async with scene.worker(scene.config(start=LOST)):
        history = await scene.until(lambda h: len(h.results) == 1)
        other = history.results[0].run_id
        replies = await _ask(scene, Command("c-1", parked.tag, parked.nonce or "", Action.ADOPT, other))
        after = await scene.history()

    assert [reply.outcome.value for reply in replies] == ["accepted", "refused"], replies
    assert [entry.state for entry in after.open_entries] == ["parked"]
