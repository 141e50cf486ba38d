"""Learning schemas: partitions wait for their own, nothing is lost, and only certainty ends a wait."""

from __future__ import annotations

import asyncio

import pytest

from connector.accept import INBOX_FULL, SCHEMAS_AHEAD
from connector.core.accept.mapping import mapping_of
from connector.core.errors import RegistryRefused, RegistryUnavailable, SchemaUnusable
from connector.core.formats.avro import AvroSchema
from connector.core.formats.framing import confluent_header
from connector.core.record import Partition, Record
from connector.core.route import Route
from connector.learn import ABSENT_AGAIN, LONGEST_PAUSE
from tests.fakes.schemas import FakeSchemas
from tests.fakes.virtual_time import virtually
from tests.steps.world import P0, P1, Options, World, world

SCAN: dict[str, object] = {"type": "record", "name": "Scan", "fields": [{"name": "at", "type": "string"}]}
ROUTES = (Route("documents", "documents", "extract", "ex_1", "2.1", mapping=mapping_of({"url": "at"})),)
URL = "https://files.example.com/a.pdf"
_scan = AvroSchema(SCAN)


def options(registry: FakeSchemas, *, most_schemas: int = 1_000) -> Options:
    return Options(routes=ROUTES, registry=registry, most_schemas=most_schemas)


def framed(w: World, schema_id: int = 1, partition: Partition = P0) -> Record:
    return w.record(value=_scan.encode({"at": URL}, confluent_header(schema_id)), partition=partition)


def reasons(w: World) -> list[bytes | None]:
    return [dict(letter.headers)["extend.reason"] for letter in w.dead_letters()]


@virtually
async def test_one_request_serves_all_records_and_partitions() -> None:
    registry = FakeSchemas({1: SCAN})
    async with world(options(registry), partitions=(P0, P1)) as w:
        w.kafka.deliver(*(framed(w, partition=partition) for partition in (P0, P1) for _ in range(3)))
        await w.until(lambda: len(w.results()) == 6)
        assert registry.asked == [1]
        assert w.sample("schema_lookups_total", result="known") == 1


@virtually
async def test_while_the_registry_is_down_known_schemas_and_json_go_on_and_nothing_else_is_lost() -> None:
    registry = FakeSchemas({1: SCAN, 2: SCAN})
    async with world(options(registry), partitions=(P0, P1)) as w:
        w.kafka.deliver(framed(w, 1))
        await w.until(w.results)
        registry.down = True
        w.kafka.deliver(framed(w, 2), framed(w, 1), framed(w, 1, P1), w.record(value=b'{"at": "x:"}', partition=P1))
        await w.until(lambda: w.kafka.offsets.get(P1) == 2)
        await asyncio.sleep(3600.0)
        w.pipeline.report()
        assert (w.kafka.offsets[P0], len(w.results())) == (1, 2)
        assert reasons(w) == [b"URL_NOT_ALLOWED"]
        assert w.sample("registry_unavailable") == w.sample("partitions_awaiting_schema") == 1
        registry.down = False
        await w.until(lambda: len(w.results()) == 4, within=LONGEST_PAUSE + 5)
        w.pipeline.report()
        assert w.sample("registry_unavailable") == w.sample("partitions_awaiting_schema") == 0
        moved = [write.next_offset for write in w.kafka.committed if write.partition == P0 and write.next_offset]
        assert moved == sorted(moved) == [1, 2, 3]


@virtually
async def test_a_registry_that_is_down_is_asked_by_one_and_more_and_more_seldom() -> None:
    registry = FakeSchemas(down=True)
    async with world(options(registry), partitions=(P0, P1)) as w:
        w.kafka.deliver(*(framed(w, number, P0) for number in range(10)), framed(w, 99, P1))
        await asyncio.sleep(600.0)
        assert registry.most_open == 1
        assert 600 / LONGEST_PAUSE < len(registry.asked) < 600 / LONGEST_PAUSE + 10
        assert set(registry.asked) == {*range(10), 99}


@virtually
async def test_one_schema_that_never_arrives_keeps_no_other_waiting_for_long() -> None:
    registry = FakeSchemas({1: RegistryRefused("no rights"), 2: SCAN})
    async with world(options(registry), partitions=(P0, P1)) as w:
        w.kafka.deliver(framed(w, 1, P0))
        await asyncio.sleep(100.0)
        w.kafka.deliver(framed(w, 2, P1))
        await w.until(w.results, within=LONGEST_PAUSE + 1)
        assert w.kafka.offsets.get(P0) is None
        assert not w.dead_letters()


@virtually
async def test_a_waiting_partition_is_paused_when_its_inbox_is_full_and_goes_on_in_order() -> None:
    registry = FakeSchemas({1: SCAN}, down=True)
    async with world(options(registry)) as w:
        w.kafka.deliver(*(framed(w) for _ in range(INBOX_FULL)))
        await asyncio.sleep(60.0)
        assert w.kafka.paused == {P0}
        registry.down = False
        await w.until(lambda: len(w.results()) == INBOX_FULL)
        assert not w.kafka.paused


@virtually
async def test_an_id_that_is_there_a_moment_later_is_no_dead_letter() -> None:
    registry = FakeSchemas()
    async with world(options(registry)) as w:
        w.kafka.deliver(framed(w))
        await w.until(lambda: len(registry.asked) == len(ABSENT_AGAIN))
        assert not w.dead_letters()
        registry.schemas[1] = SCAN
        await w.until(w.results)
        assert not w.dead_letters()


@virtually
async def test_an_id_that_does_not_exist_is_a_dead_letter_that_names_it_and_the_next_ones_go_on() -> None:
    registry = FakeSchemas({1: SCAN})
    async with world(options(registry)) as w:
        w.kafka.deliver(*(framed(w, number) for number in (7, 1, 8, 7)))
        await w.until(lambda: len(w.dead_letters()) == 3 and w.results(), within=sum(ABSENT_AGAIN) + 5)
        headers = dict(w.dead_letters()[0].headers)
        assert reasons(w) == [b"UNKNOWN_SCHEMA"] * 3
        assert headers["__connect.errors.exception.message"] == b"The schema registry has no schema with id 7."
        assert registry.asked.count(7) == len(ABSENT_AGAIN) + 1
        assert w.kafka.offsets[P0] == 4


@virtually
async def test_an_outage_is_no_answer_about_an_id() -> None:
    registry = FakeSchemas()
    async with world(options(registry)) as w:
        w.kafka.deliver(framed(w))
        await w.until(lambda: len(registry.asked) == 2)
        registry.down = True
        await asyncio.sleep(3600.0)
        assert not w.dead_letters()
        registry.down, registry.schemas[1] = False, SCAN
        await w.until(w.results)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"type": "array", "items": "null"}, b"no bytes"),
        ('{"type": "object"}', b"does not define"),
        (SchemaUnusable("id 1: it is no Avro (PROTOBUF)"), b"PROTOBUF"),
    ],
)
def test_a_schema_that_cannot_be_read_with_makes_dead_letters_that_say_why(
    found: dict[str, object] | str | Exception, message: bytes
) -> None:
    @virtually
    async def scenario() -> None:
        registry = FakeSchemas({1: found})
        async with world(options(registry)) as w:
            w.kafka.deliver(framed(w), framed(w))
            await w.until(lambda: len(w.dead_letters()) == 2)
            assert reasons(w) == [b"UNDECODABLE"] * 2
            assert message in (dict(w.dead_letters()[0].headers)["__connect.errors.exception.message"] or b"")
            assert registry.asked == [1]
            assert w.sample("schema_lookups_total", result="refused") == 1

    scenario()


@virtually
async def test_an_id_that_changes_its_schema_is_refused() -> None:
    registry = FakeSchemas({1: SCAN, 2: SCAN})
    async with world(options(registry, most_schemas=1)) as w:
        w.kafka.deliver(framed(w, 1), framed(w, 2))
        await w.until(lambda: len(w.results()) == 2)
        registry.schemas[1] = {**SCAN, "name": "Other"}
        w.kafka.deliver(framed(w, 1))
        await w.until(w.dead_letters)
        assert reasons(w) == [b"UNKNOWN_SCHEMA"]
        assert w.sample("schema_lookups_total", result="changed") == 1


@virtually
async def test_partitions_that_take_turns_with_more_schemas_than_are_kept_all_go_on() -> None:
    registry = FakeSchemas({1: SCAN, 2: SCAN, 3: SCAN}, seconds=0)
    async with world(options(registry, most_schemas=1), partitions=(P0, P1)) as w:
        for number in range(30):
            w.kafka.deliver(framed(w, 1 + number % 3, (P0, P1)[number % 2]))
        await w.until(lambda: len(w.results()) == 30, within=60.0)


@virtually
async def test_no_more_than_a_few_schemas_are_asked_for_ahead() -> None:
    registry = FakeSchemas(dict.fromkeys(range(100), SCAN), down=True)
    async with world(options(registry)) as w:
        w.kafka.deliver(*(framed(w, number) for number in range(100)))
        await asyncio.sleep(3600.0)
        assert set(registry.asked) == set(range(SCHEMAS_AHEAD))
        registry.down = False
        await w.until(lambda: len(w.results()) == 100)


@virtually
async def test_a_partition_that_goes_away_while_it_waits_loses_nothing_and_is_asked_for_no_longer() -> None:
    registry = FakeSchemas({1: SCAN}, down=True)
    async with world(options(registry)) as w:
        w.kafka.append(framed(w))
        await w.until(lambda: len(registry.asked) > 3)
        number = w.kafka.revoke(P0)
        await w.until(lambda: (P0, number) in w.kafka.drained_said, within=1.0)
        w.kafka.lose(P0)
        await asyncio.sleep(LONGEST_PAUSE + 1)
        asked = len(registry.asked)
        await asyncio.sleep(600.0)
        assert len(registry.asked) == asked
        assert w.sample("registry_unavailable") == 0
        assert not w.kafka.committed
        registry.down = False
        w.kafka.assign(P0)
        await w.until(w.results)
        assert len(w.api.posts) == 1


@virtually
async def test_what_is_learnt_for_a_partition_on_its_way_out_is_left_to_its_next_owner() -> None:
    registry = FakeSchemas({1: SCAN}, seconds=5.0)
    async with world(options(registry)) as w:
        w.kafka.append(framed(w))
        await w.until(lambda: registry.open)
        w.kafka.revoke(P0)
        await asyncio.sleep(60.0)
        assert not w.kafka.committed
        assert not w.api.posts
        w.kafka.lose(P0)
        w.kafka.assign(P0)
        await w.until(w.results)
        assert registry.asked == [1]


@virtually
async def test_a_worker_that_stops_waits_for_no_schema() -> None:
    registry = FakeSchemas({1: SCAN}, down=True)
    async with world(options(registry)) as w:
        w.kafka.append(framed(w))
        await w.until(lambda: registry.asked)
        w.pipeline.settle()
        registry.down = False
        await asyncio.sleep(60.0)
        assert w.pipeline.open_starts == 0
        assert not w.api.posts
        assert not w.kafka.committed


@virtually
async def test_an_id_that_no_registry_gives_is_a_dead_letter_without_a_question() -> None:
    """Confluent's registry does not take it for an id, and its 404 would read as another server's."""
    large = 2**32 - 1
    registry = FakeSchemas({1: SCAN, large: RegistryUnavailable("no registry's answer (404)")})
    async with world(options(registry)) as w:
        w.kafka.deliver(framed(w, large), framed(w, 1))
        await w.until(w.results)
        assert reasons(w) == [b"UNDECODABLE"]
        assert registry.asked == [1]


@virtually
async def test_a_schema_that_is_no_unicode_is_a_dead_letter_and_the_next_ones_go_on() -> None:
    registry = FakeSchemas({1: '{"type": "string", "doc": "\ud800"}', 2: SCAN})
    async with world(options(registry)) as w:
        w.kafka.deliver(framed(w, 1), framed(w, 2))
        await w.until(w.results)
        assert reasons(w) == [b"UNDECODABLE"]
