"""What people decide about parked documents, and what they are answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from connector.core.entry import Entry, State
from connector.core.errors import ApiThrottled, ApiUnavailable
from connector.core.signals.signal import Action, Command, Fact, FactOutcome, Reply, ReplyOutcome
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.unclear import LOST, found, here, parked, quiet
from tests.steps.world import NAME, P0, Options, World, signal_codec


def replies(w: World) -> list[Reply]:
    decoded = [signal_codec.decode(record.value or b"") for record in w.kafka.topics[f"{NAME}.signals"]]
    return [reply for reply in decoded if isinstance(reply, Reply)]


def outcomes(w: World) -> list[str]:
    return [reply.outcome.value for reply in replies(w)]


def said_to(w: World, command_id: str) -> list[str]:
    return [reply.outcome.value for reply in replies(w) if reply.command_id == command_id]


def command(entry: Entry, action: Action, run_id: str | None = None) -> Command:
    return Command("c-1", entry.tag, entry.nonce or "", action, run_id)


@virtually
async def test_start_looks_once_more_and_then_starts_it() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.finder.answer = lambda _entry: "NOT_FOUND"
        w.pipeline.heard([command(entry, Action.START)])
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]
        assert ("scan_now", str(entry.tag)) in w.finder.asked
        told = next(write for write in w.kafka.committed if write.kind == "ready")
        assert any(record.topic == f"{NAME}.signals" for record in told.records), "told in the effect's transaction"
    assert len(w.api.posts) == 2


@virtually
async def test_start_follows_the_run_that_the_last_look_finds() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.finder.answer = found
        w.pipeline.heard([command(entry, Action.START)])
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]
        assert "run_1" in replies(w)[-1].message
    assert len(w.api.posts) == 1


@virtually
async def test_start_is_answered_when_a_fact_settles_it_before_the_last_look_ends() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START), Fact(entry.tag, entry.nonce or "", FactOutcome.REFUSED)])
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]
    assert len(w.api.posts) == 2


@virtually
async def test_start_is_answered_when_a_late_answer_settles_it_before_the_last_look_ends() -> None:
    async with quiet() as w:
        entry = await parked(w, Answer(ApiUnavailable("no answer"), late=5.0))
        w.pipeline.heard([command(entry, Action.START)])
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]
        assert "run_1" in replies(w)[-1].message
    assert len(w.api.posts) == 1


@virtually
async def test_drop_makes_a_dead_letter_of_the_original_record() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.pipeline.heard([command(entry, Action.DROP)])
        await w.until(w.dead_letters)
        assert outcomes(w) == ["accepted", "done"]
        (letter,) = w.dead_letters()
        assert letter.value == entry.value
        assert dict(letter.headers)["extend.reason"] == b"DROPPED"
        assert w.open() == []


@virtually
async def test_adopt_follows_the_run_whose_own_tag_is_equal() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.api.tag_of["run_9"] = str(entry.tag)
        w.pipeline.heard([command(entry, Action.ADOPT, "run_9")])
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]
        assert w.results()[0]["run_id"] == "run_9"


@virtually
async def test_adopt_waits_for_its_token_and_a_429_holds_up_all_reads() -> None:
    async with quiet(Options(gets_per_second=0.1)) as w:
        entry = await parked(w)
        now = asyncio.get_running_loop().time
        w.budgets.reads.take(now())
        w.api.always_shows = (ApiThrottled("slow down", retry_after=50.0),)
        asked = now()
        w.pipeline.heard([command(entry, Action.ADOPT, "run_9")])
        await w.until(lambda: len(replies(w)) == 2)
        assert outcomes(w) == ["accepted", "refused"]
        assert [round(at - asked) for at, _ in w.api.gets] == [10]
        assert w.budgets.reads.wait(now()) > 45.0


@virtually
async def test_adopt_refuses_another_documents_run_and_changes_nothing() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.api.tag_of["run_9"] = str(entry.tag).replace("/0#", "/7#")
        w.pipeline.heard([command(entry, Action.ADOPT, "run_9")])
        await w.until(lambda: len(replies(w)) == 2)
        assert outcomes(w) == ["accepted", "refused"]
        assert w.open(State.PARKED)


@virtually
async def test_adopt_says_when_the_api_does_not_answer() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.api.always_shows = (ApiUnavailable("no answer"),)
        w.pipeline.heard([command(entry, Action.ADOPT, "run_9")])
        await w.until(lambda: len(replies(w)) == 2)
        assert outcomes(w) == ["accepted", "refused"]
        assert "again" in replies(w)[-1].message
        assert w.open(State.PARKED)


@virtually
async def test_adopt_says_when_something_else_has_settled_it_during_the_look() -> None:
    async with quiet() as w:
        entry = await parked(w, Answer(ApiUnavailable("no answer"), late=5.0))
        w.api.tag_of["run_9"] = str(entry.tag)
        w.api.get_seconds = 10.0  # our own POST is answered meanwhile
        w.pipeline.heard([command(entry, Action.ADOPT, "run_9")])
        await w.until(lambda: len(replies(w)) == 2)
        assert outcomes(w) == ["accepted", "refused"]
        await w.until(w.results)
        assert w.results()[0]["run_id"] == "run_1"


@pytest.mark.parametrize("action", Action)
def test_a_command_that_comes_twice_is_done_once(action: Action) -> None:
    @virtually
    async def scenario() -> None:
        async with quiet() as w:
            entry = await parked(w, LOST)
            w.finder.answer = lambda _entry: "NOT_FOUND"
            w.api.tag_of["run_9"] = str(entry.tag)
            said = command(entry, action, "run_9" if action is Action.ADOPT else None)
            w.pipeline.heard([said, said])
            await w.until(lambda: w.results() or w.dead_letters())
            await asyncio.sleep(10.0)
            assert len(w.results()) + len(w.dead_letters()) == 1
            assert outcomes(w) == ["accepted", "done"], "a refusal would end the wait of the one who sent it"
            w.pipeline.heard([said])  # and late, as whenever the topic is read again
            await asyncio.sleep(10.0)
            assert outcomes(w) == ["accepted", "done"], "who still listens must not hear the opposite"
            w.pipeline.heard([replace(said, id="c-2")])  # somebody asks again
            await w.until(lambda: len(replies(w)) == 3)
            assert said_to(w, "c-2") == ["refused"]
        assert len(w.api.posts) == (2 if action is Action.START else 1)

    scenario()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("outcome", [ReplyOutcome.DONE, ReplyOutcome.REFUSED])
def test_what_an_earlier_owner_has_answered_is_neither_done_nor_answered_again(
    action: Action, outcome: ReplyOutcome
) -> None:
    @virtually
    async def scenario() -> None:
        async with quiet() as w:
            entry = await parked(w, LOST)
            said = command(entry, action, "run_9")
            written = len(w.kafka.committed)
            w.pipeline.heard([said, Reply(said.id, said.tag, outcome, "")])
            await asyncio.sleep(3600.0)
            assert len(w.kafka.committed) == written
            assert w.open(State.PARKED)
        assert len(w.api.posts) == 1

    scenario()


@virtually
async def test_what_an_earlier_owner_has_only_accepted_is_done() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        said = command(entry, Action.DROP)
        w.pipeline.heard([said, Reply(said.id, said.tag, ReplyOutcome.ACCEPTED, "")])
        await w.until(w.dead_letters)
        assert outcomes(w) == ["accepted", "done"]


@pytest.mark.parametrize("action", Action)
def test_another_command_is_refused_while_one_is_being_carried_out(action: Action) -> None:
    @virtually
    async def scenario() -> None:
        async with quiet() as w:
            entry = await parked(w, LOST)
            w.kafka.hold()
            w.pipeline.heard([command(entry, Action.DROP)])
            await asyncio.sleep(1.0)
            w.pipeline.heard([replace(command(entry, action, "run_9"), id="c-2")])
            w.kafka.release()
            await w.until(lambda: len(replies(w)) == 3)
            assert said_to(w, "c-1") == ["accepted", "done"]
            assert said_to(w, "c-2") == ["refused"]

    scenario()


@virtually
async def test_a_start_that_waits_is_not_asked_for_twice() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START), replace(command(entry, Action.START), id="c-2")])
        await w.until(lambda: len(replies(w)) == 2)
        assert said_to(w, "c-2") == ["refused"]
        w.finder.answer = lambda _entry: "NOT_FOUND"
        w.finder.say(here(w), entry)
        await w.until(w.results)
        assert said_to(w, "c-1") == ["accepted", "done"]
    assert len(w.api.posts) == 2


@virtually
async def test_a_start_whose_look_never_ends_is_refused_and_can_be_sent_again() -> None:
    async with quiet(Options(patience=60.0)) as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START)])
        await asyncio.sleep(59.0)
        assert outcomes(w) == ["accepted"]
        await w.until(lambda: len(replies(w)) == 2, within=5.0)
        assert outcomes(w) == ["accepted", "refused"]
        assert "60 s" in replies(w)[-1].message
        w.clarifier.absent(here(w), entry, "NOT_FOUND")  # the look ends after all
        await asyncio.sleep(60.0)
        assert w.open(State.PARKED)
        assert len(w.api.posts) == 1
        w.finder.answer = lambda _entry: "NOT_FOUND"
        w.pipeline.heard([replace(command(entry, Action.START), id="c-2")])
        await w.until(w.results)
        assert said_to(w, "c-2") == ["accepted", "done"]
    assert len(w.api.posts) == 2


@virtually
async def test_the_end_of_the_wait_does_not_contradict_what_is_being_written() -> None:
    async with quiet(Options(patience=60.0)) as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START)])
        await asyncio.sleep(1.0)
        w.kafka.hold()
        w.clarifier.absent(here(w), entry, "NOT_FOUND")
        await asyncio.sleep(120.0)
        w.kafka.release()
        await w.until(w.results)
        assert outcomes(w) == ["accepted", "done"]


@virtually
async def test_a_start_that_cannot_be_written_down_is_refused() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.kafka.too_large = lambda record: record.topic == w.kafka.journal_topic
        w.finder.answer = lambda _entry: "NOT_FOUND"
        w.pipeline.heard([command(entry, Action.START)])
        await w.until(lambda: len(replies(w)) == 2)
        assert outcomes(w) == ["accepted", "refused"]
    assert len(w.api.posts) == 1


@virtually
async def test_a_drop_goes_before_a_start_that_waits() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START), replace(command(entry, Action.DROP), id="c-2")])
        w.clarifier.absent(here(w), entry, "NOT_FOUND")  # the look ends while the dead letter is written
        await w.until(w.dead_letters)
        await asyncio.sleep(3600.0)
        assert said_to(w, "c-1") == ["accepted", "refused"]
        assert said_to(w, "c-2") == ["accepted", "done"]
        assert w.open() == []
    assert len(w.api.posts) == 1


@pytest.mark.parametrize("right", [True, False])
def test_an_adoption_goes_before_a_start_that_waits(right: bool) -> None:  # noqa: FBT001 - the two cases
    @virtually
    async def scenario() -> None:
        async with quiet() as w:
            entry = await parked(w)
            w.api.tag_of["run_9"] = str(entry.tag) if right else "another"
            w.pipeline.heard([command(entry, Action.START)])
            w.pipeline.heard([replace(command(entry, Action.ADOPT, "run_9"), id="c-2")])
            await asyncio.sleep(0)
            w.clarifier.absent(here(w), entry, "NOT_FOUND")  # the look ends while the run is looked at
            await asyncio.sleep(3600.0)
            assert said_to(w, "c-1") == ["accepted", "refused"]
            assert said_to(w, "c-2") == ["accepted", "done" if right else "refused"]
            assert len(w.results()) == (1 if right else 0)
            assert len(w.open(State.PARKED)) == (0 if right else 1)
        assert len(w.api.posts) == 1

    scenario()


@virtually
async def test_a_command_about_another_start_than_the_parked_one_is_refused() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.pipeline.heard([Command("c-1", entry.tag, "an-earlier-nonce", Action.START)])
        await w.until(lambda: replies(w))
        assert outcomes(w) == ["refused"]
        await asyncio.sleep(60.0)
        assert w.open(State.PARKED)
    assert len(w.api.posts) == 1


@virtually
async def test_a_command_that_was_under_way_when_the_partition_went_can_be_sent_again() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START)])  # the scan has not ended yet
        await asyncio.sleep(1.0)
        w.kafka.lose(P0)
        w.kafka.assign(P0)
        w.finder.answer = lambda _entry: "NOT_FOUND"
        w.pipeline.heard([command(entry, Action.START)])
        await w.until(w.results)
    assert len(w.api.posts) == 2
