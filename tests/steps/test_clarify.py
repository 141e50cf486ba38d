"""What becomes of unclear starts: lists, facts and late answers, whichever speaks first."""

from __future__ import annotations

import asyncio

import pytest

from connector.core.entry import State
from connector.core.errors import ApiThrottled, ApiUnavailable
from connector.core.signals.signal import Doorbell, Fact, FactOutcome
from tests.fakes.api import UNCLEAR, Answer, refused_for_good
from tests.fakes.virtual_time import virtually
from tests.steps.unclear import LOST, found, here, parked, quiet, unclear
from tests.steps.world import P0, Options, World, world


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


@pytest.mark.parametrize(("answers", "may_exist"), [([refused_for_good()], False), ([LOST, refused_for_good()], True)])
def test_a_refusal_says_whether_an_earlier_start_may_have_made_a_run(answers: list[Answer], may_exist: bool) -> None:  # noqa: FBT001 - a case of the test
    @virtually
    async def scenario() -> None:
        async with world(Options(most_repeats=1)) as w:
            w.api.script.extend(answers)
            w.send()
            await w.until(w.dead_letters)
            (letter,) = w.dead_letters()
        headers = dict(letter.headers)
        assert headers["extend.reason"] == b"REFUSED_BY_API"
        assert ("extend.run_may_exist" in headers) is may_exist

    scenario()


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
