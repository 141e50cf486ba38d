"""Accepting: offsets in the order of records, inboxes, limits, routes that are stopped, keys that are busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from connector.accept import INBOX_FULL, INBOX_LOW, INBOX_SHARE, WAITING_MOST
from connector.core.accept.mapping import mapping_of
from connector.core.accept.when import when_of
from connector.core.breaker import Decision
from connector.core.entry import State
from connector.core.record import Partition
from connector.core.route import Route
from connector.core.route_guard import REFUSED_IN_A_ROW
from tests.fakes.api import UNCLEAR, Answer, Post, refused_for_good
from tests.fakes.virtual_time import virtually
from tests.steps.world import OTHER, P0, P1, Options, World, world

KEY = b"customer-7"
SLOW = Answer(after=5.0)


def refuse_first(number: int) -> Callable[[Post], Answer]:
    def answer(post: Post) -> Answer:
        place = post.tag.split("#", maxsplit=1)[0].split("/")
        return refused_for_good() if int(place[3]) < number else Answer()

    return answer


@virtually
async def test_a_bad_record_behind_a_good_one_that_waits_does_not_move_the_offset_past_it() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.answer = lambda _post: SLOW
        w.kafka.deliver(w.record(), w.record(), w.record(value=b"{broken"), w.record(value=None), w.record())
        await w.until(lambda: w.api.open_posts)
        await asyncio.sleep(2.0)
        assert w.kafka.offsets[P0] == 1
        assert not w.dead_letters()
        await w.until(lambda: len(w.results()) == 3)
        assert len(w.dead_letters()) == 1
        assert w.kafka.offsets[P0] == 5
    moved = [write.next_offset for write in w.kafka.committed if write.next_offset is not None]
    assert moved == sorted(moved) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"{broken", "UNDECODABLE"), (b"[]", "NOT_AN_OBJECT"), (b"{}", "NO_FILE"), (b'{"url": 7}', "BAD_FIELD")],
)
def test_what_can_never_be_a_run_is_a_dead_letter_with_its_bytes(value: bytes, reason: str) -> None:
    @virtually
    async def scenario() -> None:
        async with world() as w:
            w.kafka.deliver(w.record(value=value, key=KEY))
            await w.until(w.dead_letters)
            (letter,) = w.dead_letters()
            assert (letter.value, letter.key) == (value, KEY)
            assert dict(letter.headers)["extend.reason"] == reason.encode()
            assert w.kafka.offsets[P0] == 1
            assert w.api.posts == []
            await asyncio.sleep(0)
            assert w.sample("dead_letters_total", reason=reason) == 1

    scenario()


@virtually
async def test_records_of_another_shape_are_read_by_the_route_that_takes_them() -> None:
    routes = (
        Route(
            "bills", "documents", "extract", "ex_1", when=when_of({"type": "bill"}), mapping=mapping_of({"url": "at"})
        ),
        Route("flagged", "documents", "parse", when=when_of({"header(flag)": {"exists": True}})),
    )
    bill = b'{"type": "bill", "at": "https://files.example.com/a.pdf", "processor": "ex_9"}'
    async with world(Options(routes=routes)) as w:
        w.kafka.deliver(
            w.record(value=bill),
            w.record(value=b'{"type": "bill"}'),
            w.record(value=b'{"type": "other"}'),
            replace(w.record(), headers=(("flag", b""),)),
        )
        await w.until(lambda: len(w.dead_letters()) == 2 and len(w.results()) == 2)
        first, second = (dict(letter.headers) for letter in w.dead_letters())
        assert (first["extend.reason"], second["extend.reason"]) == (b"PATH_NOT_FOUND", b"NO_ROUTE")
        assert first["__connect.errors.exception.message"] == b"url from at: the value has no at"
        assert w.dead_letters()[0].value == b'{"type": "bill"}'
        assert sorted(post.run_type for post in w.api.posts) == ["extract", "parse"]
        assert {result["route"] for result in w.results()} == {"bills", "flagged"}
        assert w.kafka.offsets[P0] == 4


@virtually
async def test_a_record_whose_headers_could_not_be_read_is_a_dead_letter_with_key_and_value() -> None:
    async with world() as w:
        record = replace(w.record(key=KEY), headers=(), headers_lost=True)
        w.kafka.deliver(record, w.record())
        await w.until(lambda: w.dead_letters() and w.results())
        (letter,) = w.dead_letters()
        assert (letter.key, letter.value) == (record.key, record.value)
        headers = dict(letter.headers)
        assert headers["extend.reason"] == b"UNDECODABLE"
        assert b"UTF-8" in (headers["__connect.errors.exception.message"] or b"")
        assert [name for name in headers if not name.startswith(("__connect.errors.", "extend."))] == []
        assert len(w.api.posts) == 1


@virtually
async def test_a_record_that_the_journal_cannot_hold_is_a_dead_letter() -> None:
    async with world(Options(journal_limit=3_000)) as w:
        w.kafka.deliver(w.record({"url": "https://files.example.com/" + "x" * 1_000, "document_id": "1"}), w.record())
        await w.until(lambda: w.dead_letters() and w.results())
        assert dict(w.dead_letters()[0].headers)["extend.reason"] == b"TOO_LARGE"


@virtually
async def test_a_tombstone_is_counted_and_skipped() -> None:
    async with world() as w:
        w.kafka.deliver(w.record(value=None))
        await w.until(lambda: w.kafka.offsets.get(P0) == 1)
        assert w.sample("records_skipped_total", reason="tombstone") == 1
        assert w.kinds() == ["skip"]


@virtually
async def test_a_record_whose_document_is_open_already_is_counted_and_skipped() -> None:
    async with world() as w:
        w.api.always_shows = ("PROCESSING",)
        (record,) = w.send()
        await w.until(lambda: w.open(State.STARTED))
        w.kafka.deliver(record)  # somebody set the group's offset back
        await w.until(lambda: "skip" in w.kinds())
        assert w.sample("records_skipped_total", reason="already_open") == 1
        assert len(w.api.posts) == 1


@virtually
async def test_a_dead_letter_that_the_topic_refuses_stops_only_its_partition() -> None:
    async with world(partitions=(P0, P1)) as w:
        w.kafka.too_large = lambda record: record.topic == "documents.dead-letter"
        w.kafka.deliver(w.record(value=b"{broken"), w.record())
        w.send(2, partition=P1)
        await w.until(lambda: len(w.results()) == 2)
        await asyncio.sleep(60.0)
        assert w.kafka.stopped == {P0}
        assert P0 not in w.kafka.offsets
        assert w.kafka.offsets[P1] == 2
        assert w.sample("dead_letters_total", reason="UNDECODABLE") == 0


@virtually
async def test_fetching_pauses_when_the_inbox_is_full_and_goes_on_when_it_is_low() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.answer = lambda _post: Answer(after=1.0)
        w.send(INBOX_FULL - 1)
        assert w.kafka.paused == set()
        w.send(10)
        assert w.kafka.paused == {P0}
        holding = next(iter(w.holdings))
        low: list[int] = []
        while w.kafka.paused:
            low.append(len(holding.inbox))
            await asyncio.sleep(0.01)
        assert low[-1] == INBOX_LOW + 1
        assert w.kafka.paused_times == 1
        await w.until(lambda: len(w.results()) == INBOX_FULL + 9)


@virtually
async def test_a_record_of_an_assignment_that_is_over_is_not_taken() -> None:
    async with world() as w:
        old = w.kafka.owned[P0].number
        record = w.record()
        w.kafka.lose(P0)
        w.kafka.assign(P0)
        w.pipeline.delivered([(old, record)])
        await asyncio.sleep(10.0)
        assert w.api.posts == []


@virtually
async def test_the_limit_keeps_the_rest_in_the_input_topic() -> None:
    async with world(Options(most_in_flight=3)) as w:
        w.api.always_shows = ("PROCESSING",)
        w.send(10)
        await asyncio.sleep(30.0)
        assert len(w.open()) == 3
        assert w.kafka.offsets[P0] == 3
        assert w.sample("runs_in_flight_limit") == 3
        w.api.shows.clear()
        w.api.always_shows = ("PROCESSED",)
        await w.until(lambda: len(w.results()) == 10)


@virtually
async def test_parked_documents_and_reviews_take_no_room() -> None:
    async with world(Options(most_in_flight=2)) as w:
        w.api.script.extend([UNCLEAR, UNCLEAR])
        w.api.always_shows = ("NEEDS_REVIEW",)
        w.send(5)
        await w.until(lambda: len(w.results("NEEDS_REVIEW")) == 3)
        assert len(w.open(State.PARKED)) == 2
        assert len(w.open(State.REVIEW)) == 3


# ---- routes that are stopped ---------------------------------------------------------------------------------


@virtually
async def test_a_route_that_refuses_everything_stops_after_twenty_and_keeps_the_rest() -> None:
    async with world(Options(most_starts=1), partitions=(P0, OTHER)) as w:
        w.api.answer = lambda post: refused_for_good() if "/documents/" in post.tag else Answer()
        w.send(INBOX_FULL - 1)
        w.send(30, partition=OTHER)
        await asyncio.sleep(300.0)
        assert len(w.dead_letters()) == REFUSED_IN_A_ROW
        assert len(w.open(State.READY)) == WAITING_MOST
        assert w.kafka.offsets[P0] == REFUSED_IN_A_ROW + WAITING_MOST
        assert len(w.results()) == 30  # the other route goes on
        w.pipeline.report()
        assert w.sample("starts_stopped", route="documents", reason="refusals") == 1
        assert w.sample("starts_stopped", route="others", reason="refusals") == 0
        w.api.answer = lambda _post: Answer()
        await w.until(lambda: len(w.results()) == 30 + INBOX_FULL - 1 - REFUSED_IN_A_ROW)
        assert len(w.dead_letters()) == REFUSED_IN_A_ROW
        assert w.open() == []


@virtually
async def test_one_bad_document_in_front_does_not_keep_a_stopped_route_stopped() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.answer = refuse_first(REFUSED_IN_A_ROW + 1)
        w.send(REFUSED_IN_A_ROW + 10)
        await w.until(lambda: len(w.results()) == 9, within=600.0)
        await w.until(lambda: len(w.dead_letters()) == REFUSED_IN_A_ROW + 1)


@virtually
async def test_a_stopped_route_without_documents_costs_nothing() -> None:
    async with world(Options(most_starts=1)) as w:
        w.api.answer = lambda _post: refused_for_good()
        w.send(REFUSED_IN_A_ROW)
        await w.until(lambda: w.guards.of("documents").stopped)
        asked = 0
        decide = w.gate.decide

        def counted(now: float) -> Decision:
            nonlocal asked
            asked += 1
            return decide(now)

        w.gate.decide = counted  # type: ignore[method-assign] # counts the turns of the starting loop
        await asyncio.sleep(600.0)
        assert asked < 5
        w.api.answer = lambda _post: Answer()
        w.send()
        await w.until(w.results, within=61.0)


# ---- order by key --------------------------------------------------------------------------------------------


def offsets(w: World) -> list[int]:
    return [int(post.tag.split("/")[3].split("#")[0]) for post in w.api.posts]


@virtually
async def test_documents_of_one_key_go_one_after_the_other_and_others_pass() -> None:
    async with world(Options(ordered=True)) as w:
        w.api.always_shows = ("PROCESSING", "PROCESSING", "PROCESSED")
        w.send(3, key=KEY)
        w.send(2, key=b"other")
        w.send(1)
        await w.until(w.results)
        assert offsets(w)[:3] == [0, 3, 5]
        await w.until(lambda: len(w.results()) == 6)
    assert [offset for offset in offsets(w) if offset < 3] == [0, 1, 2]


@virtually
async def test_a_key_is_free_once_its_first_revision_is_out() -> None:
    async with world(Options(ordered=True)) as w:
        w.api.always_shows = ("NEEDS_REVIEW",)
        w.send(2, key=KEY)
        await w.until(lambda: len(w.results("NEEDS_REVIEW")) == 2)


@virtually
async def test_a_parked_document_holds_its_key() -> None:
    async with world(Options(ordered=True)) as w:
        w.api.script.append(UNCLEAR)
        w.send(2, key=KEY)
        await asyncio.sleep(3600.0)
        assert len(w.api.posts) == 1
        assert [entry.state for entry in w.open()] == [State.PARKED, State.READY]


@virtually
async def test_without_ordering_a_key_holds_nothing() -> None:
    async with world() as w:
        w.api.always_shows = ("PROCESSING",)
        w.send(5, key=KEY)
        await w.until(lambda: len(w.open(State.STARTED)) == 5)


@virtually
async def test_at_most_a_hundred_wait_for_one_key_and_none_of_them_overtakes() -> None:
    async with world(Options(ordered=True), partitions=(P0, P1)) as w:
        w.api.always_shows = ("PROCESSING",)
        w.send(WAITING_MOST + 20, key=KEY)
        w.send(3, partition=P1)
        await asyncio.sleep(60.0)
        assert [post.tag.split("/")[2] for post in w.api.posts].count("0") == 1
        assert len(w.open(State.READY)) == WAITING_MOST
        assert len(w.open(State.STARTED, Partition("documents", 1))) == 3
        w.api.shows.clear()
        w.api.always_shows = ("PROCESSED",)
        await w.until(lambda: len(w.results()) == WAITING_MOST + 23)
    mine = [int(post.tag.split("/")[3].split("#")[0]) for post in w.api.posts if post.tag.split("/")[2] == "0"]
    assert mine == sorted(mine)


@virtually
async def test_the_order_of_a_key_survives_a_new_owner() -> None:
    async with world(Options(ordered=True)) as before:
        before.api.always_shows = ("PROCESSING",)
        before.send(4, key=KEY)
        await before.until(lambda: before.open(State.STARTED) and len(before.open()) == 4)
    async with world(Options(ordered=True), kafka=before.kafka) as w:
        await w.until(lambda: len(w.results()) == 4)
        assert offsets(w) == [1, 2, 3]


@virtually
async def test_all_inboxes_together_keep_to_one_limit_and_everything_gets_through() -> None:
    partitions = [Partition("documents", number) for number in range(8)]
    limit = 2_000
    async with world(Options(most_bytes=INBOX_SHARE * limit, most_in_flight=1), partitions=partitions) as w:
        left = dict.fromkeys(partitions, 20)
        size = 0
        for _ in range(10_000):
            for partition in partitions:
                if left[partition] and partition not in w.kafka.paused:
                    (record,) = w.send(partition=partition)
                    size = max(size, record.size)
                    left[partition] -= 1
            # Empty inboxes are filled whatever the others hold: one record more for each partition.
            assert w.holdings.inbox_bytes <= limit + len(partitions) * size
            await asyncio.sleep(0.05)
        assert not any(left.values())
        await w.until(lambda: len(w.results()) == 160)
        assert w.kafka.paused == set()


@virtually
async def test_inboxes_that_are_full_because_their_route_stands_still_do_not_stop_the_others() -> None:
    limit = 12_000
    async with world(Options(most_bytes=INBOX_SHARE * limit), partitions=(P0, OTHER)) as w:
        w.api.answer = lambda post: refused_for_good() if "/documents/" in post.tag else Answer()
        w.send(REFUSED_IN_A_ROW + WAITING_MOST + 300)
        await asyncio.sleep(60.0)
        assert w.guards.of("documents").stopped
        assert w.holdings.inbox_bytes > limit
        for _ in range(50):
            await w.until(lambda: OTHER not in w.kafka.paused, within=60.0)
            w.send(partition=OTHER)
        await w.until(lambda: len(w.results()) == 50, within=60.0)
