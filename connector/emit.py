"""Step 4, emit: the records that tell the world how a run ended, or why there never was one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from connector.adapters.metrics import Metrics
from connector.clock import Clock
from connector.core.accept.dead_letter import dead_letter
from connector.core.entry import Entry, State
from connector.core.errors import RecordRejected
from connector.core.follow.ending import Ending, OwnEnd, outcome_name
from connector.core.follow.open_run import Via
from connector.core.reasons import Reason
from connector.core.record import OutRecord, Record
from connector.core.result import RESULT_TOO_LARGE, Failure, ObservedVia, ResultCodec, failed_run, result_record
from connector.core.run import Run
from connector.core.run_types import FAILED, NEEDS_REVIEW, dead_letter_topic, topic_of
from connector.core.typed.typed_results import TypedOutput, TypedResults
from connector.documents import Holding
from connector.journal.crossing import RecordTooLarge
from connector.journal.journal import Journal
from connector.logs import about


class Emitter:
    """Writes results, each together with what it does to the journal."""

    def __init__(
        self,
        *,
        name: str,
        prefix: str,
        prefixes: Mapping[str, str],
        typed: Mapping[str, TypedResults],
        codec_of: Callable[[str, str], ResultCodec],
        limits: Mapping[str, int],
        oversize: Literal["omit", "fail"],
        reviews: bool,
        journal: Journal,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Build the step.

        Args:
            name: the connector's name, for dead letters.
            prefix: what the names of the topics begin with.
            prefixes: of routes whose results have topics of their own, by route.
            typed: makes the values of routes with typed results, by route.
            codec_of: what encodes the results of a route for a topic, by both names.
            limits: the largest record that each topic takes, in bytes, by topic.
            oversize: whether a result that is larger loses its output, or becomes a failure.
            reviews: whether the end of a review is followed and emitted.
            journal: what is durable.
            clock: the time.
            metrics: where to count.
        """
        self._name = name
        self._prefix = prefix
        self._prefixes = prefixes
        self._typed = typed
        self._codec_of = codec_of
        self._limits = limits
        self._oversize = oversize
        self._reviews = reviews
        self._journal = journal
        self._clock = clock
        self._metrics = metrics

    async def emit(self, holding: Holding, entry: Entry, ending: Ending, observed_ms: int, via: Via) -> Entry | None:
        """Emit the result of a run that ended.

        Args:
            holding: the assignment that owns the document.
            entry: the document; its next revision is emitted.
            ending: how the run ended.
            observed_ms: when that was seen.
            via: what made us look.

        Returns:
            The document when it stays open for a person's review, else None.

        Raises:
            OwnershipLost: its new owner emits it.
            RecordTooLarge: the topic refuses even the result without its output, or the failure.
        """
        review = outcome_name(ending) == NEEDS_REVIEW and entry.state is not State.REVIEW and self._reviews
        typed = self._typed_output(entry, ending)
        try:
            result = await self._write(holding, entry, ending, observed_ms, via, typed=typed, review=review, fits=True)
        except RecordTooLarge:
            # The topic's limit shrank since the worker started: the same result without its output, or as a failure.
            about(entry).warning("result_too_large", status=outcome_name(ending))
            result = await self._write(holding, entry, ending, observed_ms, via, typed=typed, review=review, fits=False)
        self._count(entry, ending, result)
        self._count_typed(entry, typed)
        return entry.review() if review else None

    def dead_letter(self, record: Record, error: RecordRejected, *, run_may_exist: bool = False) -> OutRecord:
        """The dead letter of a record, byte for byte, with the reason in its headers."""
        topic = dead_letter_topic(self._prefix)
        return dead_letter(
            record.key,
            record.value,
            record.headers,
            record.partition,
            record.offset,
            error,
            topic=topic,
            connector=self._name,
            max_bytes=self._limits[topic],
            run_may_exist=run_may_exist,
        )

    def dead_letter_of(self, entry: Entry, error: RecordRejected) -> OutRecord:
        """The dead letter of an accepted document that has no run."""
        record = Record(entry.partition, entry.tag.offset, entry.key, entry.value, entry.headers)
        # Once it was started again, or is given up, an earlier start may have made a run that nobody has found.
        run_may_exist = entry.repeats > 0 or error.reason == Reason.DROPPED
        return self.dead_letter(record, error, run_may_exist=run_may_exist)

    async def _write(
        self,
        holding: Holding,
        entry: Entry,
        ending: Ending,
        observed_ms: int,
        via: Via,
        *,
        typed: TypedOutput | None,
        review: bool,
        fits: bool,
    ) -> OutRecord:
        result = self._result(entry, ending, observed_ms, via, typed=typed, fits=fits)
        if review:
            await self._journal.review(holding, entry.review(), result)
            holding.put(entry.review())
        else:
            await self._journal.finish(holding, entry, result)
            holding.close(entry)
        return result

    def _result(
        self, entry: Entry, ending: Ending, observed_ms: int, via: Via, *, typed: TypedOutput | None, fits: bool
    ) -> OutRecord:
        observed_via: ObservedVia = "adopted" if entry.adopted else via
        now_ms = self._clock.wall_ms()
        route = entry.request.route
        prefix = self._prefix_of(route)
        topic = self._topic(entry, ending)
        limit = self._limits[topic] if fits else 0
        codec = self._codec_of(route, topic)
        if isinstance(ending, OwnEnd):
            return failed_run(
                entry,
                reason=ending.reason,
                message=ending.message,
                prefix=prefix,
                observed_via=observed_via,
                observed_ms=observed_ms,
                emitted_ms=now_ms,
                max_bytes=limit,
                codec=codec,
                topic=topic,
            )
        return result_record(
            entry,
            ending,
            prefix=prefix,
            observed_via=observed_via,
            observed_ms=observed_ms,
            emitted_ms=now_ms,
            max_bytes=limit,
            codec=codec,
            failure=self._failure(entry.request.route),
            typed=typed,
        )

    def _failure(self, route: str) -> Failure | None:
        """What becomes of a result of this route that is too large; None: it loses its output."""
        if self._oversize == "omit":
            return None
        topic = topic_of(self._prefix_of(route), FAILED)
        return Failure(topic, self._limits[topic], self._codec_of(route, topic))

    def _prefix_of(self, route: str) -> str:
        return self._prefixes.get(route, self._prefix)

    def _topic(self, entry: Entry, ending: Ending) -> str:
        """Where results that end like this go, if they fit."""
        return topic_of(self._prefix_of(entry.request.route), outcome_name(ending))

    def _typed_output(self, entry: Entry, ending: Ending) -> TypedOutput | None:
        typed = self._typed.get(entry.request.route)
        if typed is None or isinstance(ending, OwnEnd):
            return None
        return typed.typed(entry.request.run_type, ending.output, self._limits[self._topic(entry, ending)])

    def _count_typed(self, entry: Entry, typed: TypedOutput | None) -> None:
        if typed is None:
            return
        self._metrics.typed_values.labels(route=entry.request.route, fit=typed.fit).inc()
        if typed.problem:
            about(entry).warning("value_left_out", error=typed.problem)

    def _count(self, entry: Entry, ending: Ending, result: OutRecord) -> None:
        route, status = entry.request.route, outcome_name(ending)
        now_ms = self._clock.wall_ms()
        metrics = self._metrics
        metrics.runs_finished.labels(route=route, outcome=status).inc()
        metrics.results_produced.labels(topic=result.topic).inc()
        since = entry.source_timestamp or entry.accepted_ms
        metrics.end_to_end_duration_seconds.labels(outcome=status).observe(max(0, now_ms - since) / 1000)
        if isinstance(ending, Run):
            if entry.started_ms is not None:
                seconds = max(0, (ending.finished_ms or now_ms) - entry.started_ms) / 1000
                metrics.run_duration_seconds.labels(route=route, outcome=status).observe(seconds)
            # A counter refuses to go back, and a result that is written is not to fail over it.
            if ending.credits and ending.credits > 0 and entry.state is not State.REVIEW:
                metrics.credits.labels(route=route).inc(ending.credits)
            if result.topic != self._topic(entry, ending):
                metrics.own_ends.labels(reason=RESULT_TOO_LARGE).inc()
        else:
            metrics.own_ends.labels(reason=ending.reason).inc()
        about(entry).info("result_emitted", status=status, topic=result.topic, revision=entry.revision + 1)
