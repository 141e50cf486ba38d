"""The connector's metrics: each one is defined once, here, with the sentence that operators read.

An attribute of ``Metrics`` is called as the metric, without the prefix ``extend_connector_`` and without
``_total``: ``metrics.records_consumed`` is ``extend_connector_records_consumed_total``.
docs/metrics.md lists all of them; a test holds it equal. All of it may be called from any thread.

Statuses and reason codes are label values as they stand in results and dead letters (``PROCESSED``,
``NO_FILE``), so that one word finds both. Points in time are exported as timestamps, never as ages.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

import connector
from connector.adapters.labels import Codes, Configured, OneOf
from connector.adapters.metrics.defining import PREFIX, Definer, Definition
from connector.core.follow.doorbells import Bell
from connector.core.follow.ending import OWN_REASONS
from connector.core.follow.list_health import Trouble
from connector.core.positions import Cause
from connector.core.reasons import Reason
from connector.core.run_types import RUN_TYPES, STATUSES
from connector.core.signals.signature import Refusal
from connector.core.signals.webhook_event import Dropped

__all__ = ["PREFIX", "Definition", "Metrics"]

NEVER = math.nan
"""A timestamp of something that does not exist: ``time() - NaN`` is above no threshold."""

RUN_SECONDS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
"""Bounds for what takes as long as a run: seconds to hours."""

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 60)
"""Bounds for what takes as long as a request, a transaction or a restore."""

WEBHOOK_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds for a webhook, whose sender waits."""

DETECTION_SECONDS = (0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Bounds for how late the end of a run is seen."""

LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds for the event loop, where a tenth of a second is long."""

OUTCOMES = (*STATUSES, "TIMED_OUT")
"""How an open document ends: a terminal status of the API, or ``follow.on_timeout: emit``."""

WEBHOOK_RESULTS = (
    *("accepted", "repeated", "not_found", "too_large", "encoded", "bad_body", "too_slow", "gone", "busy"),
    *("unavailable", "failed"),
    *Refusal,
    *Dropped,
)
"""What becomes of a request to the webhook port."""

OPERATIONS = ("create", "get", "list", "cancel", "sync", "probe", "output")
"""What a request to the API is for, as the HTTP adapter reports it; ``output`` is a download by a link."""

# A `_created` series beside every counter would double what is scraped, for nobody's question.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client did not annotate it


class Metrics:
    """All metrics of one process.

    Args:
        registry: where they are registered; a new one by default, so that two of them never meet in a test.
        librdkafka: version of librdkafka, for ``build_info``; this module may not import the Kafka client.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, librdkafka: str = "unknown") -> None:
        self.registry = registry or CollectorRegistry()
        define = Definer(self.registry)
        self._define_documents(define)
        self._define_results(define)
        self._define_starts(define)
        self._define_api(define)
        self._define_kafka(define)
        self._define_restores(define)
        self._define_webhook(define)
        define.info(
            "build_info",
            "The versions that run here; the value is always 1.",
            version=connector.__version__,
            librdkafka=librdkafka,
            python=platform.python_version(),
        )
        self.definitions = tuple(define.definitions)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _define_documents(self, define: Definer) -> None:
        self.records_consumed = define.counters(
            "records_consumed_total", "Records read from an input topic, whatever became of them.", topic=Configured()
        )
        self.records_skipped = define.counters(
            "records_skipped_total",
            "Records that need no run: tombstones, and records whose document is already open.",
            reason=OneOf("tombstone", "already_open"),
        )
        self.dead_letters = define.counters(
            "dead_letters_total",
            "Records sent to the dead-letter topic because they can never become a run, by reason code "
            "(the record's header extend.reason).",
            reason=OneOf(*Reason, "other"),
        )
        self.schema_lookups = define.counters(
            "schema_lookups_total",
            "Answers of the schema registry about schemas of input records; `refused` and `changed` are alarms, their "
            "records become dead letters.",
            result=OneOf("known", "absent", "refused", "changed", "unavailable", "other"),
        )
        self.partitions_awaiting_schema = define.gauge(
            "partitions_awaiting_schema", "Input partitions whose next record needs a schema that is not known yet."
        )
        self.registry_unavailable = define.gauge(
            "registry_unavailable",
            "1 while the schema registry does not tell a schema that a partition waits for, or a worker that starts "
            "the ids of its output schemas; known schemas go on.",
        )
        self.runs_started = define.counters("runs_started_total", "Runs created at the API.", route=Configured())
        self.runs_finished = define.counters(
            "runs_finished_total",
            "Ends of runs, by status; a run decided after NEEDS_REVIEW counts under both statuses.",
            route=Configured(),
            outcome=OneOf(*OUTCOMES, "other"),
        )
        self.own_ends = define.counters(
            "own_ends_total",
            "Results whose end the connector had to say itself, by the result's failure_reason; no status of the API.",
            reason=OneOf(*OWN_REASONS, "other"),
        )
        self.runs_in_flight = define.gauge(
            "runs_in_flight",
            "Documents that count against start.max_in_flight: accepted or started, and without a result.",
        )
        self.runs_in_flight_limit = define.gauge(
            "runs_in_flight_limit", "The limit start.max_in_flight; at the limit no new record is read."
        )
        self.ready_documents = define.gauge(
            "ready_documents",
            "Documents accepted that certainly have no run yet: refused with 429, or waiting for their turn.",
        )
        self.parked_documents = define.gauge(
            "parked_documents",
            "Documents whose start is unclear and which wait for a person; nothing is bought for them.",
        )
        self.review_documents = define.gauge(
            "review_documents", "Documents whose NEEDS_REVIEW was emitted and which a person has not decided yet."
        )
        self.oldest_run_started_timestamp_seconds = define.gauge(
            "oldest_run_started_timestamp_seconds",
            "When the oldest open run was started, in seconds since the epoch; NaN when no run is open.",
        )
        self.oldest_run_started_timestamp_seconds.set(NEVER)
        self.credits = define.counters(
            "credits_total", "Credits that finished runs used, as the API reports them.", route=Configured()
        )

    def _define_results(self, define: Definer) -> None:
        self.typed_values = define.counters(
            "typed_values_total",
            "Outputs of routes with typed results, by how much of them the value holds; none: the output does not fit "
            "the route's schema and is sent as JSON.",
            route=Configured(),
            fit=OneOf("whole", "part", "none"),
        )
        self.run_duration_seconds = define.histograms(
            "run_duration_seconds",
            "Time from a run's start to the moment when its end was seen.",
            RUN_SECONDS,
            route=Configured(),
            outcome=OneOf(*OUTCOMES, "other"),
        )
        self.end_to_end_duration_seconds = define.histograms(
            "end_to_end_duration_seconds",
            "Time from an input record's timestamp to the commit of its first result.",
            RUN_SECONDS,
            outcome=OneOf(*OUTCOMES, "other"),
        )
        self.result_detection_delay_seconds = define.histograms(
            "result_detection_delay_seconds",
            "Time from the end of a run, by the API's clock, until it was seen, by what made the connector look.",
            DETECTION_SECONDS,
            via=OneOf("sweep", "webhook", "poll", "adopted", "other"),
        )
        self.results_produced = define.counters(
            "results_produced_total", "Results committed, by topic.", topic=Configured()
        )
        self.produce_errors = define.counters(
            "produce_errors_total",
            "Records that Kafka did not take, by librdkafka's error name; their transaction is repeated.",
            error=Codes("MSG_SIZE_TOO_LARGE", "TOPIC_AUTHORIZATION_FAILED", "NOT_ENOUGH_REPLICAS"),
        )

    def _define_starts(self, define: Definer) -> None:
        self.unclear_starts = define.counters(
            "unclear_starts_total",
            "Starts that left it unclear whether a run exists, by their end; `retried` may have bought a second run.",
            end=OneOf("parked", "adopted", "ready", "retried", "other"),
        )
        self.unclear_documents = define.gauge(
            "unclear_documents", "Documents whose start is unclear and whose run is being looked up at the API."
        )
        self.second_runs = define.counter(
            "second_runs_total",
            "Runs found beside the one that is followed for the same document; cancelled where that is still possible.",
        )
        self.signals = define.counters(
            "signals_total",
            "Signals to and from other processes, by kind and by what became of them.",
            kind=OneOf("doorbell", "fact", "command", "reply", "other"),
            result=OneOf("sent", "used", "stale", "foreign", "unreadable", "other"),
        )
        self.starts_refused = define.counters(
            "starts_refused_total",
            "Starts that certainly created nothing and are tried again later, by reason.",
            reason=Codes(),
        )
        self.starts_stopped = define.gauges(
            "starts_stopped",
            "1 while nothing is started on a route for this reason, else 0; open runs are followed.",
            route=Configured(),
            reason=OneOf("forbidden", "breaker", "refusals", "other"),
        )

    def _define_api(self, define: Definer) -> None:
        self.api_requests = define.counters(
            "api_requests_total",
            "Requests to the API, by HTTP status, or by class of error when no status came back.",
            operation=OneOf(*OPERATIONS, "other"),
            code=Codes("200", "401", "403", "429"),
        )
        self.api_request_duration_seconds = define.histograms(
            "api_request_duration_seconds",
            "Duration of a request to the API, its body included.",
            CALL_SECONDS,
            operation=OneOf(*OPERATIONS, "other"),
        )
        self.api_throttled_seconds = define.counters(
            "api_throttled_seconds_total",
            "Time that requests waited to be sent: for the plan's budget, or because the API asked to wait.",
            source=OneOf("budget", "retry_after", "other"),
        )
        self.budget_share = define.gauge(
            "budget_share", "This worker's part of the request budget of all workers: its part of the input partitions."
        )
        self.poller_cycles = define.counter("poller_cycles_total", "Turns of the loop that follows the open runs.")
        self.poller_last_cycle_timestamp_seconds = define.gauge(
            "poller_last_cycle_timestamp_seconds",
            "When that loop last turned, in seconds since the epoch; NaN before its first turn.",
        )
        self.poller_last_cycle_timestamp_seconds.set(NEVER)
        self.poller_due_runs = define.gauge(
            "poller_due_runs", "Runs that are due to be asked about and wait for the request budget."
        )
        self.sweep_state = define.gauges(
            "sweep_state",
            "1 for how the runs of a type are followed, else 0: `sweeping` asks one list, `stretched` asks it seldom "
            "because webhooks announce what ends, `idle` has nothing open, any other state is the reason why runs are "
            "polled one by one.",
            run_type=OneOf(*RUN_TYPES, "other"),
            state=OneOf("idle", "sweeping", "stretched", *Trouble, "other"),
        )
        self.list_lag_seconds = define.gauges(
            "list_lag_seconds",
            "How late the list of a type showed a change in the last minute, at least; above 15 s runs are polled.",
            run_type=OneOf(*RUN_TYPES, "other"),
        )
        self.webhooks_state = define.gauges(
            "webhooks_state",
            "1 for what a route's webhooks are, else 0; only with follow.mode: webhook. `ringing`: they announce what "
            "ends, and polling is stretched; `silent`: runs end and they do not, see to them; `unproven`: too little "
            "has ended.",
            route=Configured(),
            state=OneOf(*Bell, "other"),
        )
        self.webhooks_announced_share = define.gauges(
            "webhooks_announced_share",
            "Of the last 20 runs of a route that ended, the share that webhooks announced; NaN before the first.",
            route=Configured(),
        )
        self.loop_lag_seconds = define.histogram(
            "loop_lag_seconds",
            "How much later than planned the event loop woke up; above 0.1 s it has too much to do.",
            LAG_SECONDS,
        )

    def _define_kafka(self, define: Definer) -> None:
        self.consumer_lag_records = define.gauges(
            "consumer_lag_records",
            "Records of an assigned partition that are not accepted yet: the backlog.",
            topic=Configured(),
            partition=Configured(),
        )
        self.next_offset = define.gauges(
            "next_offset",
            "The next record of an assigned partition that is to be accepted; it stands still where nothing is.",
            topic=Configured(),
            partition=Configured(),
        )
        self.assigned_partitions = define.gauge("assigned_partitions", "Input partitions that this worker owns.")
        self.stopped_partitions = define.gauges(
            "stopped_partitions",
            "1 for a partition that stands still until somebody acts, and the reason; the others go on.",
            topic=Configured(),
            partition=Configured(),
            reason=Codes(),
        )
        self.positions_reset = define.counters(
            "positions_reset_total",
            "Partitions that did not begin at their committed offset, by reason.",
            reason=OneOf(*(cause for cause in Cause if cause is not Cause.COMMITTED), "other"),
        )
        self.rebalances = define.counters(
            "rebalances_total",
            "Rebalances, by what happened to partitions of this worker.",
            kind=OneOf("assigned", "revoked", "lost"),
        )
        self.transactions = define.counters(
            "transactions_total",
            "Kafka transactions, by how they ended; after an unclear end the journal is read again.",
            end=OneOf("committed", "aborted", "unclear"),
        )
        self.transaction_duration_seconds = define.histogram(
            "transaction_duration_seconds",
            "Duration of a Kafka transaction, from its begin to the answer to its commit or abort.",
            CALL_SECONDS,
        )
        self.fenced_transactions = define.counter(
            "fenced_transactions_total",
            "Transactions that Kafka refused because partitions had moved to another worker.",
        )
        self.dropped_writes = define.counter(
            "dropped_writes_total", "Writes dropped because their partition had moved; its new owner does the work."
        )

    def _define_restores(self, define: Definer) -> None:
        self.restore_seconds = define.histogram(
            "restore_seconds",
            "Time from the assignment of a partition until its journal was read and it could go on.",
            CALL_SECONDS,
        )
        self.restored_documents = define.counter(
            "restored_documents_total", "Open documents found in the journal when a partition was taken over."
        )
        self.restores_blocked = define.gauge(
            "restores_blocked", "Restores that have taken longer than their bound and are being tried again."
        )

    def _define_webhook(self, define: Definer) -> None:
        self.webhook_requests = define.counters(
            "webhook_requests_total",
            "Requests to the webhook port, by what became of them; `unavailable`: Kafka did not take the signal.",
            result=OneOf(*WEBHOOK_RESULTS, "other"),
        )
        self.webhook_request_duration_seconds = define.histogram(
            "webhook_request_duration_seconds",
            "Duration of a request to the webhook port, the acknowledgement by Kafka included.",
            WEBHOOK_SECONDS,
        )
        self.webhook_secret_uses = define.counters(
            "webhook_secret_uses_total",
            "Webhooks that a secret has verified, by its place in webhook.secret_files, counted from 0.",
            secret=OneOf("0", "1", "2", "3", "other"),
        )
        self.webhook_accepted_timestamp_seconds = define.gauge(
            "webhook_accepted_timestamp_seconds",
            "When a webhook last rang at a document, in seconds since the epoch; NaN when none has.",
        )
        self.webhook_accepted_timestamp_seconds.set(NEVER)

    def prepare(self, *, routes: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Make the series of everything that the configuration names, before the first event.

        Args:
            routes: names of the routes.
            inputs: input topics.
            outputs: topics that results go to.
        """
        self.records_consumed.prepare(topic=inputs)
        self.results_produced.prepare(topic=outputs)
        for metric in (self.runs_started, self.credits, self.runs_finished, self.typed_values, self.starts_stopped):
            metric.prepare(route=routes)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type.

        Args:
            accept: the request's ``Accept``; OpenMetrics when it asks for that, else Prometheus' text format.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
