"""Puts the parts of a worker together: what each of them is given, in one place."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from connector.accept import Acceptor, Resolver
from connector.adapters.http import HttpApi
from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.journal_reader import JournalReader
from connector.adapters.kafka.member import Listener, Member
from connector.adapters.kafka.properties import (
    Properties,
    client_properties,
    consumer_properties,
    producer_properties,
    reader_properties,
)
from connector.adapters.kafka.signals import SignalReader, SignalWriter
from connector.adapters.kafka.transactions import TransactionalProducer
from connector.adapters.metrics import Metrics
from connector.adapters.registry import SchemaRegistry
from connector.announce import CodecOf
from connector.clarify import Clarifier
from connector.client import ExtendClient
from connector.clock import Clock
from connector.config import Config
from connector.core.accept.reference import ReferenceDecoder
from connector.core.breaker import StartGate
from connector.core.budgets.share import Budgets
from connector.core.errors import TopicError
from connector.core.follow.doorbells import Doorbells
from connector.core.formats.framing import Codec
from connector.core.formats.writer_schemas import WriterSchemas
from connector.core.journal_record import JournalCodec
from connector.core.record import Partition
from connector.core.route_guard import RouteGuards
from connector.core.signals.signal import SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.topics import Plan, Purpose, TopicFacts, needed_bytes, problems
from connector.documents import Holdings
from connector.emit import Emitter
from connector.find import Finder
from connector.follow import Follower
from connector.follow.asking import FollowClient
from connector.journal.journal import Journal, entry_bytes
from connector.journal.kafka_thread import KafkaThread
from connector.journal.restore import JournalPlace, Restorer
from connector.journal.takeover import release_dead
from connector.learn import Learner
from connector.outputs import OutputClient, open_downloader
from connector.paced import PacedClient
from connector.pipeline import Pipeline
from connector.schema_files import load_schemas
from connector.signals import Signals
from connector.start import Starter
from connector.stop_points import StopPoint
from connector.typed_routes import typed_routes

READS_AT_ONCE = 32
"""GETs that may be open at once; the budget is the limit that matters."""
FENCE_SECONDS = 5.0
LARGEST_BATCH = 1_000_000
"""Bytes; librdkafka's own default."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics as they are at start.

    Attributes:
        plan: what must be there.
        facts: what is there, by topic.
    """

    plan: Plan
    facts: dict[str, TopicFacts]


def look_at_topics(config: Config, *, check: bool = True) -> Topics:
    """See whether the topics are as they must be.

    Args:
        config: the configuration.
        check: refuse topics that would lose or stall documents; the demo's broker cannot answer everything.

    Raises:
        TopicError: what is wrong and the way out, all of it at once.
    """
    plan = config.topic_plan()
    with Cluster(client_properties(config.kafka, f"{config.name}-admin")) as cluster:
        facts = dict(cluster.topics(plan.names()))
    wrong = problems(plan, facts) if check else []
    if wrong:
        raise TopicError(wrong)
    return Topics(plan, facts)


def build_resolver(
    config: Config, client_id: str, journal_bytes: int, writers: WriterSchemas | None = None
) -> Resolver:
    """What decides about records, in a worker and wherever somebody asks what a worker would decide.

    Args:
        config: the configuration.
        client_id: the process's name, which stands in every journal record.
        journal_bytes: the largest record that the journal takes.
        writers: what is known of the schema registry's schemas; None without a registry.
    """
    codec = JournalCodec(Codec(*load_schemas("journal_entry")), config.name)
    return Resolver(
        name=config.name,
        routes=config.core_routes(),
        decoder=ReferenceDecoder(Codec(*load_schemas("document_reference")), writers),
        journal_bytes=journal_bytes,
        size_of=partial(entry_bytes, codec, client_id),
    )


def writer_schemas(config: Config, clock: Clock) -> WriterSchemas | None:
    """Nothing known yet of the schema registry's schemas; None where there is no registry."""
    settings = config.schema_registry
    return WriterSchemas(clock.monotonic, most=settings.cached_schemas) if settings.url else None


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a worker that somebody has to start, ask or stop."""

    client: ExtendClient
    kafka: KafkaThread
    restorer: Restorer[JournalReader, Cluster]
    signals: Signals
    clarifier: Clarifier
    finder: Finder
    follower: Follower
    pipeline: Pipeline
    holdings: Holdings
    gate: StartGate
    guards: RouteGuards


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all parts share.

    Attributes:
        config: the configuration.
        topics: the topics as they are.
        client_id: the process's name: ``transactional.id`` and the member's ``client.id``, unique for ever.
        metrics: where to count.
        clock: the time.
        stop_point: test hook.
        open_cluster: makes the admin client.
        fatal: told when a thread ended with an error.
    """

    config: Config
    topics: Topics
    client_id: str
    metrics: Metrics
    clock: Clock
    stop_point: StopPoint
    open_cluster: Callable[[Properties], Cluster]
    fatal: Callable[[BaseException], None]


def assemble(around: Surroundings, codec_of: CodecOf) -> Parts:
    """Build every part. Nothing runs yet; only the event loop must.

    Args:
        around: what all parts share.
        codec_of: what encodes the results.

    A few of the parts know each other in a circle (a result ends a document that the poller follows); the circle is
    closed by the small functions below, which are called only once everything is there.
    """
    config, metrics, clock = around.config, around.metrics, around.clock
    journal_topic = around.topics.plan.journal
    limits = {topic: around.topics.facts[topic].max_message_bytes for topic in around.topics.plan.names()}
    codec = JournalCodec(Codec(*load_schemas("journal_entry")), config.name)
    place = JournalPlace(config.name, journal_topic, around.topics.facts[journal_topic].partitions)
    client = _open_client(around)
    restorer = _restorer(around, codec, place)
    signals_place = SignalsTopic(
        around.topics.plan.signals, place.partitions, SignalCodec(Codec(*load_schemas("signal")))
    )
    signals = _signals(around, signals_place)
    clarifier: Clarifier
    pipeline: Pipeline
    kafka = KafkaThread(
        open_member=partial(_open_member, around),
        open_producer=partial(_open_producer, around, around.client_id),
        restorer=restorer,
        mark=lambda *position: journal.mark(*position),
        linger=config.kafka.commit_linger,
        metrics=metrics,
        stop_point=around.stop_point,
    )
    journal = Journal(
        writer=kafka,
        codec=codec,
        signals=signals_place,
        place=place,
        writer_id=around.client_id,
        clock=clock,
    )
    holdings = Holdings()
    gate = StartGate()
    guards = RouteGuards(route.name for route in config.core_routes())
    budgets = _budgets(around)
    paced = PacedClient(client, reads=budgets.reads, writes=budgets.writes, clock=clock, metrics=metrics)
    emitter = Emitter(
        name=config.name,
        prefix=config.output.prefix,
        prefixes=config.prefixes(),
        typed=typed_routes(config),
        codec_of=codec_of,
        limits=limits,
        oversize=config.output.oversize,
        reviews=config.follow.reviews,
        journal=journal,
        clock=clock,
        metrics=metrics,
    )
    writers = writer_schemas(config, clock)
    acceptor = Acceptor(
        resolver=build_resolver(config, around.client_id, limits[journal_topic], writers),
        journal=journal,
        dead_letter=emitter.dead_letter,
        holdings=holdings,
        route_stopped=lambda route: guards.of(route).stopped,
        most_in_flight=config.start.max_in_flight,
        most_bytes=config.start.max_bytes,
        pause=kafka.pause,
        resume=kafka.resume,
        spawn=lambda *work: pipeline.spawn(*work),
        clock=clock,
        metrics=metrics,
        learner=None
        if writers is None
        else Learner(
            registry=SchemaRegistry(config.schema_registry),
            schemas=writers,
            wanted=holdings.awaits,
            learnt=lambda: pipeline.wake(),
            spawn=lambda *work: pipeline.spawn(*work),
            random=random.random,
            metrics=metrics,
        ),
    )
    starter = Starter(
        client=client,
        gate=gate,
        guards=guards,
        budget=budgets.starts,
        deadline=config.start.deadline,
        clock=clock,
        random=random.random,
        metrics=metrics,
        stop_point=around.stop_point,
        late=lambda *found: clarifier.came_late(*found),
    )
    finder = Finder(
        client=client,
        budget=budgets.reads,
        cancel=paced.cancel,
        settle=config.start.settle,
        found=lambda *found: clarifier.found(*found),
        absent=lambda *absent: clarifier.absent(*absent),
        clock=clock,
        random=random.random,
        metrics=metrics,
    )
    clarifier = Clarifier(
        holdings=holdings,
        journal=journal,
        facts=starter.facts,
        finder=finder,
        client=paced,
        dead_letter_of=emitter.dead_letter_of,
        tell=signals.send,
        bought=lambda *what, **more: pipeline.bought(*what, **more),
        waits=lambda *what: pipeline.wait_again(*what),
        most_repeats=config.start.max_attempts - 1 if config.start.on_unclear == "retry" else 0,
        patience=config.start.settle,
        spawn=lambda *work: pipeline.spawn(*work),
        wake=lambda: pipeline.wake(),
        ring=lambda run_id: follower.ring(run_id),
        metrics=metrics,
    )
    follower = Follower(
        client=_with_outputs(around, client),
        budget=budgets.reads,
        cancel=paced.cancel,
        start_deadline=config.start.deadline,
        options=config.follow.polling,
        on_timeout=config.follow.on_timeout,
        sweep_interval=config.follow.sweep_interval,
        review_interval=config.follow.review_interval,
        doorbells=Doorbells(config.routes, config.follow.safety_interval if config.follow.mode == "webhook" else None),
        at_once=READS_AT_ONCE,
        ended=lambda *what: pipeline.ended(*what),
        strangers=finder.saw,
        clock=clock,
        random=random.random,
        metrics=metrics,
    )
    pipeline = Pipeline(
        holdings=holdings,
        journal=journal,
        acceptor=acceptor,
        starter=starter,
        clarifier=clarifier,
        finder=finder,
        signals=signals,
        follower=follower,
        emitter=emitter,
        gate=gate,
        guards=guards,
        budgets=budgets,
        most_starts=config.start.max_open,
        ordered=config.input.ordering == "key",
        drained=kafka.drained,
        fatal=around.fatal,
        nonce=lambda: secrets.token_hex(8),
        clock=clock,
        metrics=metrics,
    )
    return Parts(client, kafka, restorer, signals, clarifier, finder, follower, pipeline, holdings, gate, guards)


def _budgets(around: Surroundings) -> Budgets:
    limits, topics = around.config.extend.budget, around.topics
    return Budgets(
        get=limits.get,
        write=limits.write,
        run=limits.run,
        files_per_minute=limits.files_per_minute,
        partitions={topic: topics.facts[topic].partitions for topic in topics.plan.names(Purpose.INPUT)},
    )


def _counted(around: Surroundings) -> Callable[[str, str, float], None]:
    def counted(operation: str, code: str, seconds: float) -> None:
        around.metrics.api_requests.labels(operation=operation, code=code).inc()
        around.metrics.api_request_duration_seconds.labels(operation=operation).observe(seconds)

    return counted


def _with_outputs(around: Surroundings, client: ExtendClient) -> FollowClient:
    """The client that following uses: it alone needs outputs."""
    config = around.config
    if not config.output.parse_by_url:
        return client
    return OutputClient(client, open_downloader(config, _counted(around)).fetch)


def _open_client(around: Surroundings) -> ExtendClient:
    extend = around.config.extend
    http = HttpApi(
        extend.base_url,
        extend.api_key.reveal(),
        workspace_id=extend.workspace_id,
        max_starts=around.config.start.max_open,
        max_reads=READS_AT_ONCE,
        on_request=_counted(around),
    )
    return ExtendClient(http, outputs_by_url=around.config.output.parse_by_url)


def _signals(around: Surroundings, topic: SignalsTopic) -> Signals:
    config = around.config
    client_id = f"{around.client_id}-signals"
    limit = around.topics.facts[topic.name].max_message_bytes
    return Signals(
        name=config.name,
        topic=topic,
        open_reader=lambda: SignalReader(reader_properties(config.kafka, client_id, config.name)),
        open_writer=lambda done: SignalWriter(producer_properties(config.kafka, client_id, None, limit), done),
        fatal=around.fatal,
        metrics=around.metrics,
        clock=around.clock,
    )


def _open_member(around: Surroundings, listener: Listener, beat: Callable[[], None]) -> Member:
    config = around.config
    topics = {route.topic for route in config.core_routes()}
    return Member(consumer_properties(config.kafka, around.client_id, config.name), topics, listener, beat)


def _open_producer(around: Surroundings, transactional_id: str, beat: Callable[[], None]) -> TransactionalProducer:
    config = around.config
    plan, facts = around.topics.plan, around.topics.facts
    written = set(plan.names()) - set(plan.names(Purpose.INPUT))
    # A topic for results may take more than what an input makes necessary; then the client must not refuse it.
    largest = max(needed_bytes(plan, facts), *(facts[topic].max_message_bytes for topic in written))
    properties = producer_properties(config.kafka, transactional_id, transactional_id, largest)
    # A broker refuses a whole batch that is larger than its topic's limit, however small its records are; a record
    # that is larger than this alone is a batch of its own.
    smallest = min(facts[topic].max_message_bytes for topic in written)
    properties["batch.size"] = min(int(str(properties.get("batch.size", LARGEST_BATCH))), smallest)
    return TransactionalProducer(
        properties,
        transaction_timeout=config.kafka.transaction_timeout,
        beat=beat,
    )


def _restorer(around: Surroundings, codec: JournalCodec, place: JournalPlace) -> Restorer[JournalReader, Cluster]:
    config = around.config
    client_id = f"{around.client_id}-restore"

    def fence(writer: str) -> None:
        producer = _open_producer(around, writer, lambda: None)
        try:
            producer.initialise(FENCE_SECONDS)
        finally:
            producer.close()

    def release(journals: list[Partition], reader: JournalReader, cluster: Cluster) -> None:
        release_dead(journals, group=config.name, tails=reader, cluster=cluster, fence=fence)

    return Restorer(
        open_reader=lambda: JournalReader(reader_properties(config.kafka, client_id, config.name)),
        open_cluster=lambda: around.open_cluster(client_properties(config.kafka, client_id)),
        release=release,
        codec=codec,
        place=place,
        topics={route.topic for route in config.core_routes()},
        start_ms=config.input.start_ms,
        transaction_timeout=config.kafka.transaction_timeout,
        metrics=around.metrics,
    )
