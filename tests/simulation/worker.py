"""One worker process: the connector's own parts, wired as ``connector/assembly.py`` wires them, on the models.

Everything that decides is the real code: core, steps, pipeline, journal, the Kafka thread with its group commit, the
restore thread. The two threads are strands of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import count
from typing import Any, cast

from connector.accept import Acceptor, Resolver
from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.journal_reader import JournalReader
from connector.adapters.kafka.member import Listener, Member
from connector.adapters.kafka.transactions import TransactionalProducer
from connector.adapters.metrics import Metrics
from connector.clarify import Clarifier
from connector.client import ExtendClient
from connector.core.accept.reference import ReferenceDecoder
from connector.core.breaker import StartGate
from connector.core.budgets.share import Budgets
from connector.core.entry import Entry
from connector.core.follow.doorbells import Doorbells
from connector.core.follow.ending import Ending
from connector.core.follow.open_run import Via
from connector.core.follow.polling import PollingOptions
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec
from connector.core.record import OutRecord, Partition
from connector.core.route import Route
from connector.core.route_guard import RouteGuards
from connector.core.run import Run
from connector.core.run_types import dead_letter_topic, status_topics
from connector.core.signals.signal import Reply, SignalCodec
from connector.core.signals.signal import Signal as SignalValue
from connector.core.signals.signals_topic import SignalsTopic
from connector.documents import Holding, Holdings
from connector.emit import Emitter
from connector.find import Finder
from connector.follow import Follower
from connector.journal.journal import Journal, entry_bytes
from connector.journal.kafka_thread import KafkaThread
from connector.journal.restore import JournalPlace, Restorer
from connector.journal.takeover import release_dead
from connector.paced import PacedClient
from connector.pipeline import Pipeline
from connector.schema_files import load_schema
from connector.signals import Signals
from connector.start import Starter
from tests.simulation.api import SETTLE_SECONDS
from tests.simulation.broker import TRANSACTION_SECONDS
from tests.simulation.http import SimHttp
from tests.simulation.machine import Machine
from tests.simulation.member import SimMember
from tests.simulation.producer import SimProducer
from tests.simulation.reader import SimCluster, SimReader
from tests.simulation.scheduler import CallQueue
from tests.simulation.signals import SimSignalReader, SimSignalWriter
from tests.simulation.world import JOURNAL, NAME, PREFIX, SIGNALS, TOPIC, World

DEADLINE_SECONDS = 15.0
DRAIN_SECONDS = 16.0
LEAVE_SECONDS = 6.0
FAREWELL_SECONDS = 1.0
FENCE_SECONDS = 5.0
SAFETY_SECONDS = 30.0
LARGEST_RECORD = 1_000_000
ROUTES = (Route("documents", TOPIC, run="extract", processor="ex_1", version="2.1"),)

_journal_schema = Codec(load_schema("journal_entry"))
_signal_codec = SignalCodec(Codec(load_schema("signal")))
_result_codec = Codec(load_schema("run_result"))
_decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
_metrics = Metrics()  # counted by all of them: making one takes as long as a whole run


class SimWorker:
    """A worker from its start to its end."""

    def __init__(self, world: World, client_id: str, ordered: bool = False) -> None:  # noqa: FBT001, FBT002
        self._world = world
        self.machine: Machine = world.machine(client_id)
        self._process = self.machine.process
        self._clock = self._process.clock
        self.client_id = client_id
        self.failure: BaseException | None = None
        self._member: SimMember | None = None
        self._signal_reader: SimSignalReader | None = None
        self._kafka_over = False
        self._tasks: list[asyncio.Task[None]] = []
        self._wire(ordered=ordered)
        self._process.strand(self._restorer._run)
        self._process.strand(self._run_kafka)
        self._process.strand(self._signals._run)
        self._world.scheduler.soon(partial(self._process.run_on_loop, self._begin), self._process)

    # ---- wiring ------------------------------------------------------------------------------------------------

    def _wire(self, *, ordered: bool) -> None:
        world, clock, random = self._world, self._clock, self._world.dice.random
        nonces = count(1)
        codec = JournalCodec(_journal_schema, NAME)
        place = JournalPlace(NAME, JOURNAL, world.shape.journal_partitions)
        client = ExtendClient(SimHttp(self.machine), clock=clock, draw=random.random)
        self._restorer: Restorer[JournalReader, Cluster] = Restorer(
            open_reader=lambda: cast("JournalReader", SimReader(self.machine)),
            open_cluster=lambda: cast("Cluster", SimCluster(self.machine)),
            release=self._release,
            codec=codec,
            place=place,
            topics=[TOPIC],
            start_ms=None,
            transaction_timeout=TRANSACTION_SECONDS,
            metrics=_metrics,
            monotonic=clock.monotonic,
            sleep=self._process.sleep,
        )
        self.kafka = KafkaThread(
            open_member=self._open_member,
            open_producer=lambda _beat: self._open_producer(self.client_id),
            restorer=self._restorer,
            mark=self._mark,
            linger=0.02,
            metrics=_metrics,
            stop_point=self.machine.point,
            monotonic=clock.monotonic,
        )
        commands, inbox = CallQueue(self._process), CallQueue(self._process)
        commands.heard = self._wake_kafka
        commands.at_least = lambda: 0.25 if self._is_idle() else 0.0
        self.kafka._commands = commands  # type: ignore[assignment]  # has what is used of a queue
        self._restorer._inbox = inbox  # type: ignore[assignment]  # as above
        self._restorer._reports = self.kafka
        signals_place = SignalsTopic(SIGNALS, place.partitions, _signal_codec)
        self._signals = self._wired_signals(signals_place)
        self._journal = Journal(
            writer=self.kafka,
            codec=codec,
            signals=signals_place,
            place=place,
            writer_id=self.client_id,
            clock=clock,
        )
        self.holdings = Holdings()
        gate, guards = StartGate(), RouteGuards(route.name for route in ROUTES)
        topics = (*status_topics(PREFIX), dead_letter_topic(PREFIX), JOURNAL)
        emitter = Emitter(
            name=NAME,
            prefix=PREFIX,
            prefixes={},
            typed={},
            codec_of=lambda _route, _topic: _result_codec,
            limits=dict.fromkeys(topics, LARGEST_RECORD),
            oversize="omit",
            reviews=True,
            journal=self._journal,
            clock=clock,
            metrics=_metrics,
        )
        acceptor = Acceptor(
            resolver=Resolver(
                name=NAME,
                routes=ROUTES,
                decoder=_decoder,
                journal_bytes=LARGEST_RECORD,
                size_of=partial(entry_bytes, codec, self.client_id),
            ),
            journal=self._journal,
            dead_letter=emitter.dead_letter,
            holdings=self.holdings,
            route_stopped=lambda route: guards.of(route).stopped,
            most_in_flight=20_000,
            most_bytes=256_000_000,
            pause=self.kafka.pause,
            resume=self.kafka.resume,
            spawn=self._spawn,
            clock=clock,
            metrics=_metrics,
        )
        budgets = Budgets()
        paced = PacedClient(client, reads=budgets.reads, writes=budgets.writes, clock=clock, metrics=_metrics)
        self.starter = Starter(
            client=client,
            gate=gate,
            guards=guards,
            budget=budgets.starts,
            deadline=DEADLINE_SECONDS,
            clock=clock,
            random=random.random,
            metrics=_metrics,
            stop_point=self.machine.point,
            late=self._came_late,
        )
        self.finder = Finder(
            client=client,
            budget=budgets.reads,
            cancel=paced.cancel,
            settle=SETTLE_SECONDS,
            found=self._found,
            absent=self._absent,
            clock=clock,
            random=random.random,
            metrics=_metrics,
        )
        self.clarifier = Clarifier(
            holdings=self.holdings,
            journal=self._journal,
            facts=self.starter.facts,
            finder=self.finder,
            client=paced,
            dead_letter_of=emitter.dead_letter_of,
            tell=self._signals.send,
            bought=self._bought,
            waits=self._waits,
            most_repeats=0,
            patience=SETTLE_SECONDS,
            spawn=self._spawn,
            wake=self._wake_pipeline,
            ring=self._ring,
            metrics=_metrics,
        )
        self.follower = Follower(
            client=client,
            budget=budgets.reads,
            cancel=paced.cancel,
            start_deadline=DEADLINE_SECONDS,
            options=PollingOptions(fast_poll_interval_ms=2_000),
            on_timeout="wait",
            sweep_interval=3.0,
            review_interval=20.0,
            doorbells=Doorbells([route.name for route in ROUTES], None if world.webhooks is None else SAFETY_SECONDS),
            at_once=32,
            ended=self._ended,
            strangers=self.finder.saw,
            clock=clock,
            random=random.random,
            metrics=_metrics,
        )
        self.pipeline = Pipeline(
            holdings=self.holdings,
            journal=self._journal,
            acceptor=acceptor,
            starter=self.starter,
            clarifier=self.clarifier,
            finder=self.finder,
            signals=self._signals,
            follower=self.follower,
            emitter=emitter,
            gate=gate,
            guards=guards,
            budgets=budgets,
            most_starts=32,
            ordered=ordered,
            drained=self.kafka.drained,
            fatal=self._fail,
            nonce=lambda: f"{self.client_id}:{next(nonces)}",
            clock=clock,
            metrics=_metrics,
        )
        self.kafka._loop_side = self.pipeline
        self.kafka._post = self._post

    def _mark(self, partition: Partition, topic_id: str, next_offset: int) -> OutRecord:
        return self._journal.mark(partition, topic_id, next_offset)

    # The steps and the pipeline know each other in a circle; these close it.

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self.pipeline.spawn(work)

    def _came_late(self, intent: Entry, run: Run) -> None:
        self.clarifier.came_late(intent, run)

    def _found(self, holding: Holding, entry: Entry, run: Run) -> bool:
        return self.clarifier.found(holding, entry, run)

    def _ring(self, run_id: str) -> bool:
        return self.follower.ring(run_id)

    def _absent(self, holding: Holding, entry: Entry, reason: str) -> None:
        self.clarifier.absent(holding, entry, reason)

    async def _bought(
        self, holding: Holding, entry: Entry, run: Run, *, adopted: bool, reply: Reply | None = None
    ) -> None:
        await self.pipeline.bought(holding, entry, run, adopted=adopted, reply=reply)

    async def _waits(self, holding: Holding, entry: Entry, reply: Reply | None = None) -> None:
        await self.pipeline.wait_again(holding, entry, reply)

    def _wake_pipeline(self) -> None:
        self.pipeline.wake()

    async def _ended(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int, via: Via) -> None:
        await self.pipeline.ended(holding, entry, ending, observed_ms, via)

    def _open_member(self, listener: Listener, _beat: Callable[[], None]) -> Member:
        self._member = SimMember(self.machine, listener, self._is_idle)
        return cast("Member", self._member)

    def _open_producer(self, transactional_id: str) -> TransactionalProducer:
        return cast("TransactionalProducer", SimProducer(self.machine, transactional_id))

    def _release(self, journals: list[Partition], reader: JournalReader, cluster: Cluster) -> None:
        release_dead(journals, group=NAME, tails=reader, cluster=cluster, fence=self._fence)

    def _fence(self, writer: str) -> None:
        self._open_producer(writer).initialise(FENCE_SECONDS)

    def _wired_signals(self, place: SignalsTopic) -> Signals:
        signals = Signals(
            name=NAME,
            topic=place,
            open_reader=self._open_signal_reader,
            open_writer=self._open_signal_writer,
            fatal=self._fail,
            metrics=_metrics,
            clock=self._clock,
        )
        inbox = CallQueue(self._process)
        inbox.heard = self._wake_signals
        signals._inbox = inbox  # type: ignore[assignment]  # has what is used of a queue
        signals._hear = self._hear
        signals._post = self._post
        return signals

    def _hear(self, signals: Sequence[SignalValue]) -> None:
        self.pipeline.heard(signals)

    def _open_signal_reader(self) -> SimSignalReader:
        self._signal_reader = SimSignalReader(self.machine)
        return self._signal_reader

    def _open_signal_writer(self, done: Callable[[str, bool], None]) -> SimSignalWriter:
        return SimSignalWriter(self.machine, done, self._wake_signals)

    def _wake_signals(self) -> None:
        if self._signal_reader is not None:
            self._signal_reader.call_came()

    # ---- the Kafka thread ----------------------------------------------------------------------------------------

    def _run_kafka(self) -> None:
        self.kafka._run()
        self._kafka_over = True

    def _is_idle(self) -> bool:
        """Whether a turn without records, callbacks and commands would change nothing."""
        kafka = self.kafka
        commit = kafka._commit
        busy = (
            commit._pending.writes
            or not commit.ready
            or kafka._restored_meanwhile
            or len(cast("CallQueue", kafka._commands))
        )
        return not busy

    def _wake_kafka(self) -> None:
        if self._member is not None:
            self._member.wake.set(self._world.dice.seconds(0.0, 0.02))

    def _post(self, call: Callable[[], None]) -> None:
        def reporting() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - as the worker does: half a worker is worse than none
                self._fail(error)

        self._process.loop.call_soon(reporting)

    # ---- the process ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for work in (self.pipeline.run(), self.follower.run(), self.finder.run()):
            self._tasks.append(self._process.loop.create_task(self._guarded(work)))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The real worker leaves in order; the hardest way is to be gone at once."""
        self.failure = self.failure or error
        self._process.kill()

    def terminate(self) -> None:
        """SIGTERM: no new POST, wait for the open ones, write what came back, leave the group."""
        self._world.scheduler.soon(partial(self._process.run_on_loop, self._terminate), self._process)

    def _terminate(self) -> None:
        self._tasks.append(self._process.loop.create_task(self._drain()))

    async def _drain(self) -> None:
        for looking in self._tasks[1:3]:
            looking.cancel()
        self.pipeline.settle()
        deadline = self._clock.monotonic() + DRAIN_SECONDS
        while self.pipeline.open_starts and self._clock.monotonic() < deadline:  # noqa: ASYNC110 - as the worker does
            await asyncio.sleep(0.02)
        self.kafka.stop()
        deadline = self._clock.monotonic() + LEAVE_SECONDS
        while not self._kafka_over and self._clock.monotonic() < deadline:  # noqa: ASYNC110 - as the worker does
            await asyncio.sleep(0.02)
        if not self._kafka_over:
            self.clarifier.tell_everything()
        deadline = self._clock.monotonic() + FAREWELL_SECONDS
        while self._signals._unsent and self._clock.monotonic() < deadline:  # noqa: ASYNC110 - as the worker does
            await asyncio.sleep(0.02)
        self._process.kill()
