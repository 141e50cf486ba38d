"""The pipeline with everything around it replaced by fakes, wired as ``connector/assembly.py`` wires it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count
from typing import Literal

from connector.accept import Acceptor, Resolver
from connector.adapters.metrics import Metrics
from connector.clarify import Clarifier
from connector.core.accept.reference import ReferenceDecoder
from connector.core.breaker import StartGate
from connector.core.budgets.share import Budgets
from connector.core.entry import Entry, State
from connector.core.follow.doorbells import Doorbells
from connector.core.follow.ending import Ending
from connector.core.follow.open_run import Via
from connector.core.follow.polling import PollingOptions
from connector.core.formats.framing import Codec
from connector.core.formats.writer_schemas import WriterSchemas
from connector.core.journal_record import JournalCodec
from connector.core.record import OutRecord, Partition, Record
from connector.core.route import Route
from connector.core.route_guard import RouteGuards
from connector.core.run_types import dead_letter_topic, status_topics
from connector.core.signals.signal import SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.topics import signals_topic
from connector.core.typed.typed_results import TypedResults
from connector.documents import Holding, Holdings
from connector.emit import Emitter
from connector.follow import Follower
from connector.journal.journal import Journal, entry_bytes
from connector.journal.restore import JournalPlace
from connector.learn import Learner
from connector.paced import PacedClient
from connector.pipeline import Pipeline
from connector.schema_files import load_schema
from connector.start import Starter
from connector.stop_points import nowhere
from tests.factories.records import decoder, reference_codec, result_codec
from tests.fakes.api import FakeApi
from tests.fakes.finds import FakeFinds, FakeSignals
from tests.fakes.kafka import FakeKafka
from tests.fakes.schemas import FakeSchemas
from tests.fakes.virtual_time import clock

NAME, PREFIX, TYPED_PREFIX = "invoices", "documents", "typed"
P0, P1 = Partition("documents", 0), Partition("documents", 1)
OTHER = Partition("others", 0)
ROUTES = (
    Route("documents", "documents", run="extract", processor="ex_1", version="2.1"),
    Route("others", "others", run="extract", processor="ex_2", version="1.0"),
)
GOOD = {"url": "https://files.example.com/invoice.pdf"}
DEADLINE = 15.0

journal_codec = JournalCodec(Codec(load_schema("journal_entry")), NAME)
signal_codec = SignalCodec(Codec(load_schema("signal")))


@lru_cache(maxsize=10_000)
def decoded(value: bytes) -> dict[str, object]:
    return result_codec.decode(value)


@dataclass
class Options:
    """What a test may want otherwise."""

    routes: tuple[Route, ...] = ROUTES
    ordered: bool = False
    most_starts: int = 32
    most_in_flight: int = 20_000
    most_bytes: int = 256_000_000
    reviews: bool = True
    oversize: Literal["omit", "fail"] = "omit"
    starts_per_second: float | None = None
    start_deadline: float = DEADLINE
    partitions: dict[str, int] = field(default_factory=dict)
    limit: int = 1_000_000
    typed: dict[str, TypedResults] = field(default_factory=dict)
    journal_limit: int = 1_000_000
    on_timeout: Literal["wait", "emit", "cancel"] = "wait"
    writes_per_second: float | None = None
    most_repeats: int = 0
    patience: float = 600.0
    sweep_interval: float | None = None
    safety_interval: float | None = None
    gets_per_second: float | None = None
    registry: FakeSchemas | None = None
    most_schemas: int = 1_000
    polling: PollingOptions = field(default_factory=lambda: PollingOptions(jitter_fraction=0))


class World:
    """One worker's event-loop side."""

    clarifier: Clarifier
    pipeline: Pipeline

    def __init__(self, options: Options, kafka: FakeKafka | None = None, api: FakeApi | None = None) -> None:
        self.events: list[tuple[str, str]] = kafka.events if kafka is not None else []
        self.api = api or FakeApi(self.events)
        self.kafka = kafka or FakeKafka(journal_codec, self.events)
        self.metrics = Metrics()
        self.gate = StartGate()
        self.guards = RouteGuards(route.name for route in options.routes)
        self.holdings = Holdings()
        self.fatal: list[BaseException] = []
        self._next: dict[Partition, int] = {}
        self._wire(options)

    def _wire(self, options: Options) -> None:
        time = clock()
        self.budgets = Budgets(
            get=options.gets_per_second,
            write=options.writes_per_second,
            run=options.starts_per_second,
            partitions=options.partitions,
        )
        nonces = count(1)
        place = JournalPlace(NAME, self.kafka.journal_topic, 4)
        self.journal = Journal(
            writer=self.kafka,
            codec=journal_codec,
            signals=SignalsTopic(signals_topic(NAME), 4, signal_codec),
            place=place,
            writer_id="writer-1",
            clock=time,
        )
        topics = (*status_topics(PREFIX), *status_topics(TYPED_PREFIX), dead_letter_topic(PREFIX))
        limits = dict.fromkeys(topics, options.limit)
        emitter = Emitter(
            name=NAME,
            prefix=PREFIX,
            prefixes=dict.fromkeys(options.typed, TYPED_PREFIX),
            typed=options.typed,
            codec_of=lambda route, _topic: options.typed[route].codec if route in options.typed else result_codec,
            limits=limits,
            oversize=options.oversize,
            reviews=options.reviews,
            journal=self.journal,
            clock=time,
            metrics=self.metrics,
        )
        schemas = WriterSchemas(time.monotonic, most=options.most_schemas)
        learner = (
            None
            if options.registry is None
            else Learner(
                registry=options.registry,
                schemas=schemas,
                wanted=self.holdings.awaits,
                learnt=lambda: self.pipeline.wake(),
                spawn=self._spawn,
                random=lambda: 1.0,
                metrics=self.metrics,
            )
        )
        self.acceptor = Acceptor(
            resolver=Resolver(
                name=NAME,
                routes=options.routes,
                decoder=decoder if learner is None else ReferenceDecoder(reference_codec, schemas),
                journal_bytes=options.journal_limit,
                size_of=partial(entry_bytes, journal_codec, "writer-1"),
            ),
            journal=self.journal,
            dead_letter=emitter.dead_letter,
            holdings=self.holdings,
            route_stopped=lambda route: self.guards.of(route).stopped,
            most_in_flight=options.most_in_flight,
            most_bytes=options.most_bytes,
            pause=self.kafka.pause,
            resume=self.kafka.resume,
            spawn=self._spawn,
            clock=time,
            metrics=self.metrics,
            learner=learner,
        )
        self.starter = Starter(
            client=self.api,
            gate=self.gate,
            guards=self.guards,
            budget=self.budgets.starts,
            deadline=options.start_deadline,
            clock=time,
            random=lambda: 0.5,
            metrics=self.metrics,
            stop_point=nowhere,
            late=lambda *found: self.clarifier.came_late(*found),
        )
        self.finder = FakeFinds(
            found=lambda *found: self.clarifier.found(*found),
            absent=lambda *absent: self.clarifier.absent(*absent),
        )
        self.signals = FakeSignals()
        paced = PacedClient(
            self.api, reads=self.budgets.reads, writes=self.budgets.writes, clock=time, metrics=self.metrics
        )
        self.clarifier = Clarifier(
            holdings=self.holdings,
            journal=self.journal,
            facts=self.starter.facts,
            finder=self.finder,
            client=paced,
            dead_letter_of=emitter.dead_letter_of,
            tell=self.signals.send,
            bought=lambda *what, **more: self.pipeline.bought(*what, **more),
            waits=lambda *what: self.pipeline.wait_again(*what),
            most_repeats=options.most_repeats,
            patience=options.patience,
            spawn=self._spawn,
            wake=lambda: self.pipeline.wake(),
            ring=lambda run_id: self.follower.ring(run_id),
            metrics=self.metrics,
        )
        self.follower = Follower(
            client=self.api,
            budget=self.budgets.reads,
            cancel=paced.cancel,
            start_deadline=options.start_deadline,
            options=options.polling,
            on_timeout=options.on_timeout,
            sweep_interval=options.sweep_interval,
            review_interval=60.0,
            doorbells=Doorbells([route.name for route in ROUTES], options.safety_interval),
            at_once=32,
            ended=self._ended,
            strangers=self.finder.saw,
            clock=time,
            random=lambda: 0.5,
            metrics=self.metrics,
        )
        self.pipeline = Pipeline(
            holdings=self.holdings,
            journal=self.journal,
            acceptor=self.acceptor,
            starter=self.starter,
            clarifier=self.clarifier,
            finder=self.finder,
            signals=self.signals,
            follower=self.follower,
            emitter=emitter,
            gate=self.gate,
            guards=self.guards,
            budgets=self.budgets,
            most_starts=options.most_starts,
            ordered=options.ordered,
            drained=self.kafka.drained,
            fatal=self.fatal.append,
            nonce=lambda: f"nonce-{next(nonces)}",
            clock=time,
            metrics=self.metrics,
        )
        self.kafka.loop_side = self.pipeline

    # The steps and the pipeline know each other in a circle; these close it.

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self.pipeline.spawn(work)

    async def _ended(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int, via: Via) -> None:
        await self.pipeline.ended(holding, entry, ending, observed_ms, via)

    # ---- input -----------------------------------------------------------------------------------------------

    def record(
        self,
        reference: object = None,
        *,
        partition: Partition = P0,
        key: bytes | None = None,
        value: bytes | None = b"",
    ) -> Record:
        """The next record of a partition; ``value`` None is a tombstone, other bytes stand for themselves."""
        offset = self._next.get(partition, self.kafka.offsets.get(partition, 0))
        self._next[partition] = offset + 1
        if value == b"":
            value = json.dumps(reference or GOOD | {"document_id": f"{partition.number}-{offset}"}).encode()
        return Record(partition, offset, key, value, (("trace", b"t"),), 1_790_000_000_000)

    def send(self, number: int = 1, *, partition: Partition = P0, key: bytes | None = None) -> list[Record]:
        """Deliver good records."""
        records = [self.record(partition=partition, key=key) for _ in range(number)]
        self.kafka.deliver(*records)
        return records

    # ---- what can be seen ------------------------------------------------------------------------------------

    async def until(self, true: Callable[[], object], within: float = 3600.0, every: float = 0.01) -> None:
        """Let time pass until something is true."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not true():
            assert loop.time() < deadline, f"not true within {within} s"
            await asyncio.sleep(every)

    def results(self, status: str | None = None) -> list[dict[str, object]]:
        """Results that are committed, of one status or of all."""
        names = status_topics(PREFIX) if status is None else [f"{PREFIX}.{status.lower().replace('_', '-')}"]
        return [decoded(record.value or b"") for name in names for record in self.kafka.topics[name]]

    def dead_letters(self) -> list[OutRecord]:
        return self.kafka.topics[dead_letter_topic(PREFIX)]

    def open(self, state: State | None = None, partition: Partition = P0) -> list[Entry]:
        """What the committed journal holds."""
        entries = self.kafka.entries(partition)
        return [entry for entry in entries if state is None or entry.state is state]

    def kinds(self) -> list[str]:
        return [write.kind for write in self.kafka.committed]

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"extend_connector_{name}", labels) or 0.0


@asynccontextmanager
async def world(
    options: Options | None = None,
    *,
    partitions: Sequence[Partition] = (P0,),
    kafka: FakeKafka | None = None,
    api: FakeApi | None = None,
    before: Callable[[World], None] = lambda _world: None,
) -> AsyncIterator[World]:
    """A running pipeline and poller.

    Args:
        options: what is otherwise.
        partitions: what is ours from the start.
        kafka: what an earlier worker left.
        api: what an earlier worker talked to.
        before: called before anything runs.
    """
    made = World(options or Options(), kafka, api)
    before(made)
    tasks = [asyncio.create_task(made.pipeline.run()), asyncio.create_task(made.follower.run())]
    await asyncio.sleep(0)
    for partition in partitions:
        made.kafka.assign(partition)
    try:
        yield made
        for task in tasks:
            if task.done():
                task.result()  # a step that died would otherwise look like a quiet one
        for error in made.fatal:
            raise error
    finally:
        made.kafka.process_died()
        made.api.client_died()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
