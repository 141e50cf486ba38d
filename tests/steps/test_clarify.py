"""What becomes of unclear starts: lists, facts, late answers and operators' commands, whichever speaks first."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from connector.core.entry import Entry, State
from connector.core.errors import ApiThrottled, ApiUnavailable
from connector.core.run import Run
from connector.core.signal import Action, Command, Doorbell, Fact, FactOutcome, Reply, ReplyOutcome
from connector.documents import Holding
from tests.fakes.api import UNCLEAR, Answer
from tests.fakes.virtual_time import virtually
from tests.steps.world import NAME, P0, Options, World, signal_codec, world

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


def replies(w: World) -> list[Reply]:
    decoded = [signal_codec.decode(record.value or b"") for record in w.kafka.topics[f"{NAME}.signals"]]
    return [reply for reply in decoded if isinstance(reply, Reply)]


def outcomes(w: World) -> list[str]:
    return [reply.outcome.value for reply in replies(w)]


def command(entry: Entry, action: Action, run_id: str | None = None) -> Command:
    return Command("c-1", entry.tag, entry.nonce or "", action, run_id)


async def restarted(before: World) -> None:
    """The intent is in the journal, its POST was written, and the process dies."""
    before.api.script.append(Answer(after=100.0))
    before.send()
    await before.until(lambda: before.api.open_posts)


# ---- the API's lists -------------------------------------------------------------------------------------------------


@virtually
async def test_an_unclear_start_stays_an_intent_while_it_is_looked_up() -> None:
    async with quiet() as w:
        await unclear(w)
        await asyncio.sleep(3600.0)
        assert w.open(State.INTENT)
        w.pipeline.report()
        assert w.sample("unclear_documents") == 1
        assert w.sample("parked_documents") == 0
        assert len(w.api.posts) == 1


@virtually
async def test_a_run_that_is_found_is_followed_to_its_result() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        w.clarifier.found(here(w), entry, found(entry))
        await w.until(w.results)
        assert w.results()[0]["observed_via"] == "adopted"
        assert w.sample("unclear_starts_total", end="adopted") == 1
        assert w.open() == []
    assert len(w.api.posts) == 1


@virtually
async def test_a_run_that_turns_up_after_parking_is_adopted() -> None:
    async with quiet() as w:
        entry = await parked(w)
        assert w.finder.asked[-1] == ("look_for", str(entry.tag)), "it goes on being looked for"
        w.clarifier.found(here(w), w.open()[0], found(entry))
        await w.until(w.results)
        assert w.open() == []
    assert len(w.api.posts) == 1


@virtually
async def test_absence_and_a_find_at_one_moment_are_one_decision() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        holding = here(w)
        w.clarifier.absent(holding, entry, "NOT_FOUND")
        w.clarifier.found(holding, entry, found(entry))
        await w.until(lambda: w.open(State.PARKED))
        await asyncio.sleep(1.0)
        assert [kind for kind in w.kinds() if kind in ("parked", "started")] == ["parked"]


@virtually
async def test_a_decision_of_an_assignment_that_is_over_does_not_keep_the_next_one_waiting() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        w.kafka.hold()  # nobody knows yet that the first parking is not written any more
        w.clarifier.absent(here(w), entry, "NOT_SEARCHABLE")
        w.kafka.lose(P0)
        w.kafka.assign(P0)
        w.clarifier.absent(here(w), entry, "NOT_SEARCHABLE")  # which is said once
        await asyncio.sleep(1.0)
        w.kafka.release()
        await w.until(lambda: w.open(State.PARKED))


@virtually
async def test_room_for_another_document_is_made_by_parking_one() -> None:
    async with world(Options(most_in_flight=1)) as w:
        w.api.script.append(UNCLEAR)
        w.send(2)
        await w.until(w.results)
        assert w.open(State.PARKED)


# ---- repeating -------------------------------------------------------------------------------------------------------


@virtually
async def test_with_retry_a_start_that_was_not_found_is_repeated_so_often_and_no_more() -> None:
    async with world(Options(most_repeats=2)) as w:
        w.api.script.extend([LOST, LOST, LOST, LOST])
        w.send()
        await w.until(lambda: w.open(State.PARKED))
        await asyncio.sleep(7200.0)
        assert w.sample("unclear_starts_total", end="retried") == 2
        assert w.sample("unclear_starts_total", end="parked") == 1
    assert len(w.api.posts) == 3


@virtually
async def test_a_repeated_start_is_watched_for_a_second_run() -> None:
    async with world(Options(most_repeats=1)) as w:
        w.api.script.append(LOST)
        (record,) = w.send()
        await w.until(w.results)
        (tag,) = {post.tag for post in w.api.posts}
        assert ("watch", tag) in w.finder.asked
        assert record.offset == 0
    assert len(w.results()) == 1


# ---- facts -----------------------------------------------------------------------------------------------------------


@virtually
async def test_a_fact_with_a_run_adopts_it() -> None:
    async with world() as before:
        await restarted(before)
    async with quiet(kafka=before) as w:
        await w.until(lambda: w.open(State.INTENT))
        (entry,) = w.open()
        w.pipeline.heard([Fact(entry.tag, entry.nonce or "", FactOutcome.ID, "run_1")])
        await w.until(w.results)
        assert ("hint", "run_1") in w.finder.asked
        assert w.sample("signals_total", kind="fact", result="used") == 1
    assert len(w.api.posts) == 1


@pytest.mark.parametrize("outcome", [FactOutcome.REFUSED, FactOutcome.NEVER_SENT])
def test_a_fact_that_nothing_was_created_starts_it(outcome: FactOutcome) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as before:
            before.api.connect_seconds = 100.0
            before.send()
            await before.until(lambda: before.open(State.INTENT))
        before.api.connect_seconds = 0.0
        async with quiet(kafka=before) as w:
            (entry,) = w.open(State.INTENT)
            w.pipeline.heard([Fact(entry.tag, entry.nonce or "", outcome)])
            await w.until(w.results)
            assert w.sample("unclear_starts_total", end="ready") == 1
        assert len(w.api.posts) == 1

    scenario()


@virtually
async def test_a_fact_about_a_parked_document_starts_it() -> None:
    async with quiet() as w:
        entry = await parked(w)
        w.pipeline.heard([Fact(entry.tag, entry.nonce or "", FactOutcome.REFUSED)])
        await w.until(w.results)


@virtually
async def test_a_fact_about_another_post_of_the_document_does_nothing() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        w.pipeline.heard([Fact(entry.tag, "an-earlier-nonce", FactOutcome.REFUSED)])
        await asyncio.sleep(60.0)
        assert w.open(State.INTENT)
        assert w.sample("signals_total", kind="fact", result="stale") == 1
    assert len(w.api.posts) == 1


@virtually
async def test_a_fact_does_not_speak_for_a_post_that_is_open_here() -> None:
    async with quiet() as w:
        w.api.script.append(Answer(after=10.0))
        w.send()
        await w.until(lambda: w.api.open_posts)
        (entry,) = w.open(State.INTENT)
        w.pipeline.heard([Fact(entry.tag, entry.nonce or "", FactOutcome.NEVER_SENT)])
        await w.until(w.results)
    assert len(w.api.posts) == 1


@virtually
async def test_a_fact_that_comes_while_the_parking_is_written_is_used_after_it() -> None:
    async with quiet() as w:
        entry = await unclear(w, LOST)
        w.kafka.hold()
        w.clarifier.absent(here(w), entry, "NOT_FOUND")
        await asyncio.sleep(0.1)
        w.pipeline.heard([Fact(entry.tag, entry.nonce or "", FactOutcome.REFUSED)])
        w.kafka.release()
        await w.until(w.results)
        assert [kind for kind in w.kinds() if kind in ("parked", "ready")] == ["parked", "ready"]


@virtually
async def test_what_cannot_be_written_down_any_more_is_told_to_the_next_owner() -> None:
    async with quiet() as w:
        w.api.script.extend([Answer(after=5.0), Answer(ApiThrottled("slow down", retry_after=None), after=5.0)])
        w.send(2)
        await w.until(lambda: w.api.open_posts == 2)
        entries = {entry.tag.offset: entry for entry in w.open(State.INTENT)}
        w.kafka.lose(P0)
        await asyncio.sleep(10.0)
        first, second = entries[0], entries[1]
        assert w.signals.sent == [
            Fact(first.tag, first.nonce or "", FactOutcome.ID, "run_1"),
            Fact(second.tag, second.nonce or "", FactOutcome.REFUSED),
        ]


@virtually
async def test_an_intent_whose_own_transaction_failed_was_never_sent_and_that_is_told() -> None:
    async with quiet() as w:
        w.kafka.hold()
        w.send()
        await w.until(lambda: w.pipeline.open_starts)
        (entry,) = list(here(w))
        w.kafka.lose(P0)
        w.kafka.release()
        await w.until(lambda: w.signals.sent)
        assert w.signals.sent == [Fact(entry.tag, entry.nonce or "", FactOutcome.NEVER_SENT)]
    assert w.api.posts == []


@virtually
async def test_what_is_unclear_is_no_fact() -> None:
    async with quiet() as w:
        w.api.script.append(Answer(ApiUnavailable("no answer"), after=5.0, bought=True))
        w.send()
        await w.until(lambda: w.api.open_posts)
        w.kafka.lose(P0)
        await asyncio.sleep(10.0)
        assert w.signals.sent == []


@virtually
async def test_an_answer_that_comes_late_is_told_when_the_partition_is_gone() -> None:
    async with quiet() as w:
        entry = await unclear(w, Answer(ApiUnavailable("no answer"), late=5.0))
        w.kafka.lose(P0)
        await asyncio.sleep(10.0)
        assert w.signals.sent == [Fact(entry.tag, entry.nonce or "", FactOutcome.ID, "run_1")]


@virtually
async def test_an_answer_that_comes_late_is_used_before_anything_is_parked() -> None:
    async with quiet() as w:
        await unclear(w, Answer(ApiUnavailable("no answer"), late=5.0))
        await w.until(w.results)
        assert "parked" not in w.kinds()
    assert len(w.api.posts) == 1


@virtually
async def test_an_answer_that_comes_late_and_cannot_be_written_down_any_more_is_told() -> None:
    async with quiet() as w:
        entry = await unclear(w, Answer(ApiUnavailable("no answer"), late=5.0))
        w.kafka.hold()
        await asyncio.sleep(10.0)
        assert w.signals.sent == []
        w.kafka.lose(P0)
        w.kafka.release()
        await w.until(lambda: w.signals.sent)
        assert w.signals.sent == [Fact(entry.tag, entry.nonce or "", FactOutcome.ID, "run_1")]


@virtually
async def test_signals_are_listened_to_since_the_oldest_unclear_document_was_accepted() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        w.kafka.lose(P0)
        assert w.signals.listening == {}
        await asyncio.sleep(100.0)
        w.kafka.assign(P0)
        assert w.signals.listening == {P0: entry.accepted_ms}


@virtually
async def test_a_doorbell_about_an_unclear_start_is_a_hint_and_about_another_document_nothing() -> None:
    async with quiet() as w:
        entry = await unclear(w)
        w.pipeline.heard([Doorbell(entry.tag, "run_1")])
        await w.until(w.results)
        w.pipeline.heard([Doorbell(entry.tag, "run_1")])
        assert w.sample("signals_total", kind="doorbell", result="stale") == 1


# ---- commands --------------------------------------------------------------------------------------------------------


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
            w.pipeline.heard([said])  # and late
            await w.until(lambda: len(replies(w)) == 3)
            assert replies(w)[-1].outcome is ReplyOutcome.REFUSED
        assert len(w.api.posts) == (2 if action is Action.START else 1)

    scenario()


@virtually
async def test_another_command_is_refused_while_one_is_being_carried_out() -> None:
    async with quiet() as w:
        entry = await parked(w, LOST)
        w.pipeline.heard([command(entry, Action.START), replace(command(entry, Action.DROP), id="c-2")])
        await w.until(lambda: len(replies(w)) == 2)
        assert [(reply.command_id, reply.outcome.value) for reply in replies(w)] == [
            ("c-1", "accepted"),
            ("c-2", "refused"),
        ]
        assert w.open(State.PARKED)


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
