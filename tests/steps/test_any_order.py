"""Anything may happen in any order: what was promised about every single document holds all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.entry import State
from connector.core.errors import ApiError, ApiForbidden, ApiThrottled, ApiUnavailable, NotSent
from connector.core.record import Partition
from tests.fakes.api import Answer, FakeApi, Post, refused_for_good
from tests.fakes.kafka import FakeKafka
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, P1, Options, World, journal_codec, world

SHOWN: tuple[str | ApiError, ...] = (
    "PROCESSING",
    "PROCESSING",
    "PROCESSED",
    "FAILED",
    "NEEDS_REVIEW",
    ApiUnavailable("503", status=503),
    ApiThrottled("slow down", retry_after=1.0),
)
LIVES = 3
ACTIONS = 25


class Weather:
    """What the API does to each start, from a seed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.fine = False

    def answer(self, _post: Post) -> Answer:
        if self.fine or self.random.random() < 0.5:
            return Answer(after=self.random.choice([0.01, 0.3, 4.0, 12.0]))
        after = self.random.choice([0.01, 1.0, 15.0])
        return self.random.choice(
            [
                Answer(ApiUnavailable("reset"), after=after, bought=self.random.random() < 0.5),
                Answer(ApiUnavailable("late"), after=after, late=self.random.uniform(0.0, 30.0)),
                Answer(ApiThrottled("slow down", retry_after=2.0), after=after),
                Answer(NotSent("refused"), after=after),
                Answer(ApiForbidden("key", status=401, code="UNAUTHORIZED"), after=after),
                refused_for_good(self.random.choice(["A", "B"])),
            ]
        )


def act(w: World, random: Random) -> None:
    """One thing that happens."""
    partition = random.choice([P0, P1])
    owned = partition in w.kafka.owned
    match random.randrange(8):
        case 0 | 1 | 2:
            key = random.choice([None, b"a", b"b"])
            value = random.choice([b"", b"", b"", b"", b"{broken", None])
            for _ in range(random.randint(1, 6)):
                w.kafka.append(w.record(partition=partition, key=key, value=value))
        case 3 if owned:
            w.kafka.lose(partition)
        case 4 if owned:
            w.kafka.revoke(partition)
        case 5 if not owned:
            w.kafka.assign(partition)
        case 6:
            w.kafka.unclear.append(random.random() < 0.5)
        case _:
            w.kafka.delay = random.choice([0.0, 0.02, 1.0, 6.0])


async def live(w: World, random: Random) -> None:
    """One process from its start to its death."""
    for partition in (P0, P1):
        w._next[partition] = len(w.kafka.log[partition])
    for _ in range(ACTIONS):
        w.api.always_shows = tuple(random.choices(SHOWN, k=4))
        act(w, random)
        await asyncio.sleep(random.choice([0.0, 0.01, 0.1, 1.0, 8.0]))


def settle(w: World) -> None:
    """From now on everything goes well."""
    w.kafka.unclear.clear()
    w.kafka.delay = 0.02
    w.api.always_shows = ("PROCESSED",)
    w.api.shows.clear()
    for partition in (P0, P1):
        if partition in w.kafka.owned:
            w.kafka.lose(partition)
        w.kafka.assign(partition)


def ends_of(w: World) -> Counter[tuple[Partition, int, int]]:
    """How often each revision of each document was emitted; a dead letter is revision 0."""
    ends: Counter[tuple[Partition, int, int]] = Counter()
    for result in w.results():
        source = result["source"]
        assert isinstance(source, dict)
        place = Partition(str(source["topic"]), int(source["partition"]))
        ends[place, int(source["offset"]), int(str(result["revision"]))] += 1
    for letter in w.dead_letters():
        headers = dict(letter.headers)
        number = int(headers["__connect.errors.partition"] or b"")
        ends[Partition("documents", number), int(headers["__connect.errors.offset"] or b""), 0] += 1
    return ends


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), ordered=st.booleans())
@virtually
async def test_every_record_has_one_end_and_no_run_is_bought_twice(seed: int, ordered: bool) -> None:  # noqa: FBT001 - hypothesis passes it by position
    random = Random(seed)
    weather = Weather(random)
    options = Options(ordered=ordered, most_starts=4)
    kafka = FakeKafka(journal_codec, [])
    api = FakeApi(kafka.events, answer=weather.answer)
    for _ in range(LIVES):
        async with world(options, partitions=(), kafka=kafka, api=api) as w:
            await live(w, random)
    weather.fine = True
    async with world(options, partitions=(), kafka=kafka, api=api) as w:
        settle(w)
        still = {State.PARKED} if not ordered else {State.PARKED, State.READY}  # behind a parked one of its key
        await w.until(
            lambda: all(
                kafka.offsets.get(p, 0) == len(kafka.log[p]) and all(e.state in still for e in w.open(partition=p))
                for p in (P0, P1)
            ),
            within=20_000.0,
            every=5.0,
        )
        assert all(times == 1 for times in api.bought.values())
        ends = ends_of(w)
        assert all(times == 1 for times in ends.values()), "an end came twice"
        left = {(p, entry.tag.offset): entry for p in (P0, P1) for entry in w.open(partition=p)}
    for partition in (P0, P1):
        for record in kafka.log[partition]:
            place = (partition, record.offset)
            revisions = [revision for where, offset, revision in ends if (where, offset) == place]
            if record.value is None:
                assert not revisions
                assert place not in left
            elif place in left:
                assert not revisions
            else:
                assert sorted(revisions) in ([0], [1], [1, 2])


def test_the_weather_is_bad_enough_to_mean_something() -> None:
    """The property above is worth nothing when nothing goes wrong in it."""
    kinds: Counter[str] = Counter()
    weather = Weather(Random(1))
    for _ in range(200):
        answer = weather.answer(Post(1, "t", "extract", b"", 0.0))
        kinds[type(answer.error).__name__] += 1
    assert len(kinds) == 6
