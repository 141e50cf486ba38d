"""The worker: runs the parts in one task group, and takes them down in order."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.properties import Properties
from connector.adapters.metrics import Metrics
from connector.adapters.server import Server, admin_app
from connector.announce import CodecOf, result_codecs
from connector.assembly import Parts, Surroundings, Topics, assemble
from connector.clock import Clock
from connector.config import Config
from connector.journal.watchdog import watch
from connector.logs import logger, register_secret
from connector.status import Sources, status_of
from connector.stop_points import StopPoint, nowhere

DRAIN_MARGIN_SECONDS = 1.0
"""SIGTERM waits for open POSTs so much longer than ``start.deadline``, ..."""
DRAIN_SECONDS = 16.0
"""... but never longer than this."""
LEAVE_SECONDS = 6.0
"""How long writing the rest and leaving the group may take after that."""
CLOSE_SECONDS = 0.5
"""How long closing connections may take; with a second for the probes' server it is less than 25 s in all."""
BEAT_SECONDS = 30.0
"""Liveness: the Kafka thread was heard of within this time."""
ANSWER_SECONDS = 30.0
"""Readiness: Kafka answered within this time."""
KEY_CHECK_SECONDS = 10.0
"""How often the key file is read again; Kubernetes swaps it without a signal."""
RESTORER_SECONDS = 2.0
FAREWELL_SECONDS = 1.0
"""How long what was not written down may take to reach the signals topic, ..."""
STUCK_FAREWELL_SECONDS = 3.0
"""... and from a process whose Kafka thread is stuck."""
SIGNALS_SECONDS = 0.3
REPORT_SECONDS = 1.0
LAG_CHECK_SECONDS = 0.25
WATCHDOG_MARGIN_SECONDS = 5.0


def unique_id(name: str) -> str:
    """A name for this process that no other process ever has: connector, host, randomness."""
    return f"{name}-{socket.gethostname()}-{secrets.token_hex(4)}"


class Worker:
    """One replica."""

    def __init__(
        self,
        config: Config,
        topics: Topics,
        *,
        metrics: Metrics,
        stop_point: StopPoint = nowhere,
        read_key: Callable[[], str | None] = lambda: None,
        open_cluster: Callable[[Properties], Cluster] = Cluster,
        clock: Clock | None = None,
    ) -> None:
        """Take what outlives a run.

        Args:
            config: the configuration.
            topics: the topics as they are.
            metrics: where to count.
            stop_point: test hook.
            read_key: reads the API key again, or None when it does not come from a file.
            open_cluster: makes the admin client; the demo's broker needs another one.
            clock: the time.
        """
        self._around = Surroundings(
            config=config,
            topics=topics,
            client_id=unique_id(config.name),
            metrics=metrics,
            clock=clock or Clock(),
            stop_point=stop_point,
            open_cluster=open_cluster,
            fatal=self._fail,
        )
        self._read_key = read_key
        self._over = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failure: BaseException | None = None
        self.admin_port: int | None = None

    async def run(self) -> None:
        """Work until ``stop`` is called.

        Raises:
            ConnectorError: the worker cannot go on; a sentence says why.
        """
        config = self._around.config
        codec_of = await self._result_codecs()
        if codec_of is None:
            logger.info("stopped_while_starting")
            return
        parts = assemble(self._around, codec_of)
        began = self._around.clock.monotonic()
        loop = asyncio.get_running_loop()

        def post(call: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(self._reporting, call)

        admin = Server(
            admin_app(
                render=self._around.metrics.render,
                live=lambda: self._live(parts),
                ready=lambda: self._ready(parts),
                status=lambda: status_of(config.name, self._sources(parts, began), self._around.clock),
            ),
            config.admin.host,
            config.admin.port,
        )
        strays = loop.get_exception_handler()
        loop.set_exception_handler(_log_stray)
        try:
            async with admin:
                self.admin_port = admin.port
                watchdog = watch(
                    lambda: parts.kafka.last_beat,
                    config.kafka.transaction_timeout + WATCHDOG_MARGIN_SECONDS,
                    farewell=lambda: _tell_what_is_known(parts),
                )
                logger.info("worker_started", client_id=self._around.client_id, admin_port=admin.port)
                parts.restorer.start(parts.kafka)
                parts.signals.start(parts.pipeline.heard, post)
                parts.kafka.start(parts.pipeline, post)
                try:
                    await self._work(parts)
                finally:
                    watchdog.set()
                    parts.restorer.stop()
                    parts.signals.stop()
        finally:
            await _close(parts)
            loop.set_exception_handler(strays)
        if self._failure is not None:
            raise self._failure
        logger.info("worker_stopped")

    async def _result_codecs(self) -> CodecOf | None:
        """What encodes the results; while the schema registry is down this process lives and is not ready."""
        config, reasons = self._around.config, ["The output schemas are being looked up in the schema registry."]
        if not config.schema_registry.url:
            return await result_codecs(config, self._over, lambda _: None)

        def waits(why: str) -> None:
            reasons[:] = [why]
            self._around.metrics.registry_unavailable.set(1)

        admin = admin_app(render=self._around.metrics.render, live=lambda: (), ready=lambda: reasons)
        async with Server(admin, config.admin.host, config.admin.port) as server:
            self.admin_port = server.port
            try:
                return await result_codecs(config, self._over, waits)
            finally:
                self._around.metrics.registry_unavailable.set(0)

    def stop(self) -> None:
        """End in order; called again, without waiting for open POSTs. The journal is never skipped."""
        if self._over.is_set():
            self._hurry.set()
        self._over.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT call ``stop``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _work(self, parts: Parts) -> None:
        """Everything that runs on the event loop; the way down begins when one of it fails or ``stop`` is called."""
        work = (
            parts.follower.run(),
            parts.finder.run(),
            parts.pipeline.run(),
            self._report(parts),
            self._watch_lag(),
            self._watch_key(parts),
        )
        # No task group: it would answer an error of one by cancelling all, the drain included.
        follow, find, *others = [asyncio.create_task(self._guarded(each)) for each in work]
        try:
            await self._over.wait()
            follow.cancel()
            find.cancel()
            await self._drain(parts)
        finally:
            for task in (follow, find, *others):
                task.cancel()
            await asyncio.gather(follow, find, *others, return_exceptions=True)

    async def _drain(self, parts: Parts) -> None:
        """No new POST, wait for the open ones, journal what came back, leave the group."""
        parts.pipeline.settle()
        clock = self._around.clock
        deadline = clock.monotonic() + min(self._around.config.start.deadline + DRAIN_MARGIN_SECONDS, DRAIN_SECONDS)
        # Without the Kafka thread there is nobody who could write down what comes back.
        while parts.pipeline.open_starts and not self._hurry.is_set() and not parts.kafka.join(0.0):
            if clock.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        if parts.pipeline.open_starts:
            logger.warning("left_with_open_starts", tags=parts.pipeline.starting())
        parts.kafka.stop()
        parts.restorer.stop()
        ended, _ = await asyncio.gather(
            asyncio.to_thread(parts.kafka.join, LEAVE_SECONDS),
            asyncio.to_thread(parts.restorer.join, RESTORER_SECONDS),
        )
        if not ended:
            logger.warning("left_without_goodbye")
            parts.clarifier.tell_everything()
        # What could not be written down any more is told to the next owners.
        if not await asyncio.to_thread(parts.signals.flush, FAREWELL_SECONDS):
            logger.warning("left_with_unsent_signals")
        parts.signals.stop()
        await asyncio.to_thread(parts.signals.join, SIGNALS_SECONDS)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error  # the first one is the cause
        self._over.set()

    def _reporting(self, call: Callable[[], None]) -> None:
        """Do what the Kafka thread asked for; asyncio would only log an error and let the rest go on without it."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, half a worker is worse than none
            self._fail(error)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(_cause(error))

    async def _report(self, parts: Parts) -> None:
        while True:
            parts.pipeline.report()
            await asyncio.sleep(REPORT_SECONDS)

    async def _watch_lag(self) -> None:
        clock = self._around.clock
        while True:
            planned = clock.monotonic() + LAG_CHECK_SECONDS
            await asyncio.sleep(LAG_CHECK_SECONDS)
            self._around.metrics.loop_lag_seconds.observe(max(0.0, clock.monotonic() - planned))

    async def _watch_key(self, parts: Parts) -> None:
        known, said = self._around.config.extend.api_key.reveal(), False
        while True:
            await asyncio.sleep(KEY_CHECK_SECONDS)
            try:
                key = await asyncio.to_thread(self._read_key)
                if not key or key == known:
                    continue
                parts.client.set_api_key(key)
            except (OSError, ValueError):  # whose texts may show a part of the key
                if not said:
                    logger.error("api_key_file_unusable", then="the key before it stays in use", needs="one line")
                said = True
                continue
            known, said = key, False
            register_secret(key)
            parts.pipeline.key_changed()
            logger.info("api_key_changed")

    def _sources(self, parts: Parts, began: float) -> Sources:
        return Sources(
            began=began,
            kafka=parts.kafka,
            restorer=parts.restorer,
            holdings=parts.holdings,
            gate=parts.gate,
            guards=parts.guards,
            wrong=lambda: [*self._live(parts), *self._ready(parts)],
        )

    def _live(self, parts: Parts) -> Iterator[str]:
        silent = self._around.clock.monotonic() - parts.kafka.last_beat
        if silent > BEAT_SECONDS:
            yield f"The Kafka thread has not turned for {silent:.0f} s."

    def _ready(self, parts: Parts) -> Iterator[str]:
        if not parts.kafka.joined:
            yield "The consumer group has not been joined yet."
        if parts.kafka.restoring:
            yield f"The journal of {parts.kafka.restoring} partitions is being read."
        if self._around.clock.monotonic() - parts.restorer.kafka_answered > ANSWER_SECONDS:
            yield f"Kafka has not answered for {ANSWER_SECONDS:.0f} s."
        if self._over.is_set():
            yield "The worker is stopping."


def _tell_what_is_known(parts: Parts) -> None:
    """The last words of a process whose Kafka thread is stuck."""
    parts.clarifier.tell_everything()
    parts.signals.flush(STUCK_FAREWELL_SECONDS)


async def _close(parts: Parts) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await parts.client.aclose()
    except TimeoutError:
        logger.warning("connections_left_open")


def _cause(error: Exception) -> BaseException:
    """The error itself; a task group packs it up."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def _log_stray(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no part of the worker waited for: everything of ours is guarded, so it is some connection's trouble."""
    error = context.get("exception")
    logger.error("stray_error", what=context["message"], error=type(error).__name__ if error else None)
