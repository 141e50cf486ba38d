"""Starting: what is bought, when, and never twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from connector.core.entry import State
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable, NotSent
from connector.core.outcome import Started
from connector.start import LEASE_SECONDS
from tests.factories.records import entry_of, run_of
from tests.fakes.api import UNCLEAR, Answer, Post, refused_for_good
from tests.fakes.virtual_time import virtually
from tests.steps.world import DEADLINE, P0, P1, Options, World, journal_codec, world

THROTTLED = Answer(ApiThrottled("slow down", retry_after=5.0))
FORBIDDEN = Answer(ApiForbidden("no", status=401, code="UNAUTHORIZED"))


def nothing_bought_twice(w: World) -> bool:
    return all(times == 1 for times in w.api.bought.values())


@virtually
async def test_the_intent_is_committed_before_the_post_and_the_run_before_the_first_look() -> None:
    async with world() as w:
        w.send(3)
        await w.until(lambda: len(w.results()) == 3)
    intent = w.events.index(("commit", f"intent {P0}"))
    post = next(at for at, event in enumerate(w.events) if event[0] == "post")
    started = w.events.index(("commit", f"started {P0}"))
    get = next(at for at, event in enumerate(w.events) if event[0] == "get")
    assert intent < post < started < get


@virtually
async def test_nothing_is_posted_while_the_intent_waits_for_its_commit() -> None:
    async with world() as w:
        w.kafka.hold()
        w.send()
        await asyncio.sleep(1.0)
        assert w.api.posts == []
        w.kafka.release()
        await w.until(w.results)


@virtually
async def test_a_start_that_is_certainly_refused_for_now_waits_as_ready_and_is_started_once() -> None:
    async with world() as w:
        w.api.script.append(THROTTLED)
        w.send()
        await w.until(lambda: w.open(State.READY))
        assert w.open()[0].reason == "THROTTLED"
        await w.until(w.results)
    first, second = w.api.posts
    assert second.at - first.at >= 5.0
    assert w.api.bought == {first.tag: 1}
    assert w.kinds() == ["intent", "ready", "intent", "started", "result"]


@virtually
async def test_a_429_slows_every_start_and_not_only_its_own() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.script.append(THROTTLED)
        w.send(5)
        await w.until(lambda: len(w.results()) == 5)
    assert all(post.at - w.api.posts[0].at >= 5.0 for post in w.api.posts[1:])


@virtually
async def test_the_longest_wait_that_the_api_may_ask_for_ends() -> None:
    async with world() as w:
        w.api.script.append(Answer(ApiThrottled("slow down", retry_after=3600.0)))
        w.send()
        await w.until(w.results, within=4000.0)


@virtually
async def test_a_start_that_was_not_sent_is_tried_again() -> None:
    async with world() as w:
        w.api.script.append(Answer(NotSent("connection refused")))
        w.send()
        await w.until(w.results)
    assert nothing_bought_twice(w)


@virtually
async def test_an_unclear_start_is_parked_counted_and_never_posted_again() -> None:
    async with world() as w:
        w.api.script.append(UNCLEAR)
        (first, *_) = w.send(2)
        await w.until(lambda: len(w.results()) == 1)
        await asyncio.sleep(7200.0)
        (parked,) = w.open(State.PARKED)
        assert parked.tag.offset == first.offset
        assert parked.value == first.value
        assert w.sample("unclear_starts_total", end="parked") == 1
        w.pipeline.report()
        assert w.sample("parked_documents") == 1
    assert [post.tag for post in w.api.posts].count(str(parked.tag)) == 1


@virtually
async def test_an_intent_of_another_process_is_parked_and_never_posted() -> None:
    async with world() as before:
        before.api.connect_seconds = 100.0
        before.send()
        await before.until(lambda: before.open(State.INTENT))
    async with world(kafka=before.kafka) as w:  # the process died: its facts died with it
        await w.until(lambda: w.open(State.PARKED))
        await asyncio.sleep(7200.0)
        assert w.api.posts == []
        assert w.open(State.PARKED)[0].reason == "NOT_FOUND"


@virtually
async def test_a_restored_intent_whose_post_is_still_open_here_waits_for_it_and_is_journaled_as_started() -> None:
    async with world() as w:
        w.api.script.append(Answer(after=10.0))
        w.send()
        await w.until(lambda: w.api.open_posts)
        w.kafka.lose(P0)
        await asyncio.sleep(1.0)
        w.kafka.assign(P0)
        await asyncio.sleep(1.0)
        assert w.open(State.INTENT)
        await w.until(w.results)
    assert len(w.api.posts) == 1
    assert "parked" not in w.kinds()


@pytest.mark.parametrize("committed", [True, False])
def test_an_unclear_end_of_the_intents_transaction_parks_nothing(*, committed: bool) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            w.kafka.unclear.append(committed)
            record = w.record()
            w.kafka.deliver(record)
            await asyncio.sleep(1.0)
            if not committed:  # the input topic delivers it again
                w.kafka.deliver(record)
            await w.until(w.results)
        assert len(w.api.posts) == 1
        assert "parked" not in w.kinds()

    scenario()


@pytest.mark.parametrize("committed", [True, False])
def test_an_unclear_end_of_the_starts_transaction_loses_no_run(*, committed: bool) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            w.send()
            await w.until(lambda: w.api.open_posts)
            w.kafka.unclear.append(committed)
            await w.until(w.results)
        assert len(w.api.posts) == 1
        assert "parked" not in w.kinds()

    scenario()


@virtually
async def test_a_post_whose_lease_is_over_is_not_sent_and_its_document_waits_as_ready() -> None:
    async with world() as w:
        w.api.connect_seconds = LEASE_SECONDS + 1.0
        w.send()
        await w.until(lambda: w.open(State.READY))
        assert w.api.posts == []
        assert w.open()[0].reason == "NEVER_SENT"
        w.api.connect_seconds = LEASE_SECONDS - 1.0
        await w.until(w.results)
    assert len(w.api.posts) == 1


@virtually
async def test_a_post_is_not_sent_once_its_partition_is_on_its_way_out() -> None:
    async with world() as w:
        w.api.connect_seconds = 1.0
        w.send()
        await w.until(lambda: w.open(State.INTENT))
        number = w.kafka.revoke(P0)
        assert w.kafka.drained_said == []
        await w.until(lambda: w.kafka.drained_said)
        assert w.kafka.drained_said == [(P0, number)]
        assert w.api.posts == []
        assert [entry.reason for entry in w.open(State.READY)] == ["NEVER_SENT"]


@virtually
async def test_a_revocation_waits_for_open_posts_and_says_drained_exactly_then() -> None:
    async with world() as w:
        w.api.answer = lambda _post: Answer(after=8.0)
        w.send(3)
        await w.until(lambda: w.api.open_posts == 3)
        w.send(5)
        number = w.kafka.revoke(P0)
        await asyncio.sleep(7.0)
        assert w.kafka.drained_said == []
        await w.until(lambda: w.kafka.drained_said, within=3.0)
        assert w.kafka.drained_said == [(P0, number)]
        assert len(w.open(State.STARTED)) == 3
        assert len(w.api.posts) == 3
        assert w.kafka.offsets[P0] == 3


@virtually
async def test_a_revocation_without_open_posts_is_drained_at_once_and_of_an_unknown_assignment_too() -> None:
    async with world() as w:
        number = w.kafka.revoke(P0)
        assert w.kafka.drained_said == [(P0, number)]
        w.pipeline.revoking([(P1, 99)])
        assert w.kafka.drained_said[-1] == (P1, 99)


@virtually
async def test_an_answer_after_the_deadline_takes_its_document_out_of_the_parked_ones() -> None:
    async with world() as w:
        w.api.script.append(Answer(ApiUnavailable("no answer"), after=DEADLINE, late=30.0))
        w.send()
        await w.until(lambda: w.open(State.PARKED))
        await w.until(w.results)
        assert w.results()[0]["observed_via"] == "adopted"
        assert w.sample("unclear_starts_total", end="adopted") == 1
    assert len(w.api.posts) == 1


@virtually
async def test_an_answer_that_comes_while_the_parking_is_written_is_not_lost() -> None:
    async with world() as w:
        w.kafka.delay = 2.0
        w.api.script.append(Answer(ApiUnavailable("no answer"), late=1.0))
        w.send()
        await w.until(w.results)
    assert w.kinds() == ["intent", "parked", "started", "result"]


@virtually
async def test_an_answer_that_comes_while_the_partition_is_elsewhere_is_used_when_it_comes_back() -> None:
    async with world() as w:
        w.api.script.append(Answer(ApiUnavailable("no answer"), late=10.0))
        w.send()
        await w.until(lambda: w.open(State.PARKED))
        w.kafka.lose(P0)
        await asyncio.sleep(60.0)
        w.kafka.assign(P0)
        await w.until(w.results)
    assert len(w.api.posts) == 1


@virtually
async def test_an_answer_that_overtakes_the_end_of_its_post_reaches_who_waits_for_the_fact() -> None:
    async with world() as w:
        intent = replace(entry_of(), nonce="nonce-1")
        waiting = w.starter.facts.open(intent)

        w.starter.facts.correct(intent, Started(run_of()))

        assert waiting.result() == Started(run_of())


@virtually
async def test_a_refused_document_is_a_dead_letter_in_the_transaction_that_closes_it() -> None:
    async with world() as w:
        w.api.script.append(refused_for_good())
        (record,) = w.send()
        await w.until(w.dead_letters)
        (letter,) = w.dead_letters()
        assert (letter.key, letter.value) == (record.key, record.value)
        headers = dict(letter.headers)
        assert headers["extend.api.code"] == b"INVALID_REQUEST"
        assert headers["extend.api.request_id"] == b"req_1"
        assert w.open() == []
        assert w.kinds() == ["intent", "reject"]


@virtually
async def test_a_changed_key_ends_a_halt_at_once() -> None:
    async with world() as w:
        w.api.answer = lambda _post: FORBIDDEN
        w.send(3)
        await asyncio.sleep(600.0)  # the trials are minutes apart by now
        assert w.gate.reason == "forbidden"
        assert w.results() == []
        w.api.answer = lambda _post: Answer()
        w.pipeline.key_changed()
        await w.until(lambda: len(w.results()) == 3, within=5.0)


@virtually
async def test_while_the_key_is_refused_single_starts_try_and_the_input_stays() -> None:
    async with world(Options(most_starts=4)) as w:
        w.api.answer = lambda _post: FORBIDDEN
        w.send(50)
        await asyncio.sleep(300.0)
        assert len(w.api.posts) <= 4 + 6
        assert w.kafka.offsets[P0] <= 10
        w.api.answer = lambda _post: Answer()
        await w.until(lambda: len(w.results()) == 50)
        assert nothing_bought_twice(w)
        assert not w.dead_letters()


@virtually
async def test_one_document_that_is_forbidden_does_not_hold_up_the_others_for_ever() -> None:
    async with world() as w:
        (bad,) = w.send()

        def answer(post: Post) -> Answer:
            return FORBIDDEN if f"/{bad.offset}#" in post.tag else Answer()

        w.api.answer = answer
        await w.until(lambda: w.gate.reason == "forbidden")
        w.send(3)
        await w.until(lambda: len(w.results()) == 3)


@virtually
async def test_an_outage_parks_three_and_what_was_open_and_one_for_each_successful_probe() -> None:
    open_at_once = 8
    async with world(Options(most_starts=open_at_once)) as w:
        w.api.answer = lambda _post: UNCLEAR
        w.send(100)
        await asyncio.sleep(600.0)
        parked = len(w.open(State.PARKED))
        trials = len(w.api.posts) - (3 + open_at_once - 1)
        assert 0 < trials <= len(w.api.probes)
        assert parked <= 3 + (open_at_once - 1) + len(w.api.probes)
        assert w.kafka.offsets[P0] == parked
        w.api.answer = lambda _post: Answer()
        await w.until(lambda: len(w.results()) == 100 - len(w.open(State.PARKED)))
        assert nothing_bought_twice(w)


@virtually
async def test_while_the_api_is_gone_nothing_real_is_posted_and_probes_grow_apart() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.answer = lambda _post: UNCLEAR
        w.api.alive = lambda: False
        w.send(10)
        await asyncio.sleep(600.0)
        assert len(w.api.posts) == 3
        gaps = [round(b - a) for a, b in zip(w.api.probes, w.api.probes[1:], strict=False)]
        assert gaps[:7] == [2, 4, 8, 16, 32, 60, 60]
        w.api.answer = lambda _post: Answer()
        w.api.alive = lambda: True
        await w.until(lambda: len(w.results()) == 7)


@virtually
async def test_no_more_posts_are_open_at_once_than_allowed() -> None:
    async with world(Options(most_starts=5), partitions=(P0, P1)) as w:
        w.send(40)
        w.send(40, partition=P1)
        await w.until(lambda: len(w.results()) == 80)
    assert w.api.most_open == 5


@virtually
async def test_starts_are_paced_by_the_budget() -> None:
    async with world(Options(starts_per_second=2.0)) as w:
        w.send(10)
        await w.until(lambda: len(w.results()) == 10)
    assert w.api.posts[-1].at - w.api.posts[0].at >= 9 * 0.5 - 0.1


@virtually
async def test_partitions_take_turns() -> None:
    async with world(Options(most_starts=1), partitions=(P0, P1)) as w:
        w.send(10)
        w.send(10, partition=P1)
        await w.until(lambda: len(w.api.posts) == 10)
    first = [post.tag.split("/")[2] for post in w.api.posts]
    assert first.count("0") == first.count("1") == 5


@virtually
async def test_a_worker_on_its_way_out_posts_nothing_new_and_journals_what_comes_back() -> None:
    async with world(Options(most_starts=3)) as w:
        w.api.answer = lambda _post: Answer(after=10.0)
        w.send(10)
        await w.until(lambda: w.api.open_posts == 3)
        w.pipeline.settle()
        assert w.pipeline.open_starts == 3
        await w.until(lambda: w.pipeline.open_starts == 0, within=11.0)
        assert len(w.api.posts) == 3
        assert len(w.open(State.STARTED)) == 3
        assert w.kafka.offsets[P0] == 3


@virtually
async def test_nothing_is_started_for_a_partition_that_comes_while_the_worker_leaves() -> None:
    async with world() as before:
        before.api.script.append(THROTTLED)
        before.send()
        await before.until(lambda: before.open(State.READY))
    async with world(kafka=before.kafka, before=lambda w: w.pipeline.settle()) as w:
        await asyncio.sleep(60.0)
        assert w.api.posts == []


@pytest.mark.parametrize("error", [ApiUnavailable("503", status=503), ApiUnavailable("reset")])
def test_everything_resumes_by_itself_after_an_outage_at_any_point(error: ApiError) -> None:
    @virtually
    async def scenario() -> None:
        async with world(Options(most_starts=4)) as w:
            down = False
            w.api.answer = lambda _post: Answer(error, bought=True) if down else Answer()
            w.api.alive = lambda: not down
            for _ in range(5):
                w.send(10)
                await asyncio.sleep(0.3)
                down = not down
                await asyncio.sleep(20.0)
            down = False
            await w.until(lambda: len(w.results()) + len(w.open(State.PARKED)) == 50)
            assert nothing_bought_twice(w)
            assert len(w.open(State.PARKED)) <= 2 * (3 + 4)

    scenario()


@virtually
async def test_open_documents_of_a_route_that_is_not_configured_any_more_are_carried_on() -> None:
    async with world() as before:
        before.api.answer = lambda _post: THROTTLED
        before.send(2)
        await before.until(lambda: len(before.open(State.READY)) == 2)
    for entry in before.open():
        old = replace(entry, request=replace(entry.request, route="renamed"))
        assert str(old.tag).encode() in before.kafka.journal
        before.kafka.journal[str(old.tag).encode()] = journal_codec.encode_entry(old)
    async with world(kafka=before.kafka) as w:
        await w.until(lambda: len(w.results()) == 2)
        w.pipeline.report()
        assert {result["route"] for result in w.results()} == {"renamed"}
        assert w.fatal == []
