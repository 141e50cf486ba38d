"""The worker's way down: in order whatever failed, with the first error at its end, and in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from connector import worker as worker_module
from connector.adapters.metrics import Metrics
from connector.announce import CodecOf
from connector.assembly import Surroundings, Topics
from connector.config import Config, parse
from connector.core.errors import ConnectorError
from connector.core.topics import plan_topics
from connector.worker import Worker


def configuration(deadline: str = "15s") -> Config:
    text = f"""
name: invoices
kafka: {{bootstrap_servers: "127.0.0.1:1"}}
routes: {{documents: {{run: extract, processor: ex_1}}}}
start: {{deadline: {deadline}, settle: 20m}}
admin: {{host: 127.0.0.1, port: 0}}
"""

    def no_file(path: str) -> bytes:
        raise AssertionError(path)

    return parse(text, {"EXTEND_API_KEY": "sk_first"}, no_file, source="test").config


class Stage:
    """The parts of a worker, as far as its way down needs them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, config: Config | None = None) -> None:
        self.config = config or configuration()
        self.said: list[str] = []
        self.open_starts = 0
        self.keys: list[str] = []
        self.key: Callable[[], str | None] = lambda: None
        self.kafka_over = threading.Event()
        self.last_beat = time.monotonic()
        self.joined = True
        self.signals_sent = True
        self.restoring = 0
        self.kafka_answered = time.monotonic()
        self.loop_side: Any = None
        self.post: Any = None
        self.pipeline_work: Callable[[], Coroutine[object, object, None]] = self._for_ever
        monkeypatch.setattr(worker_module, "assemble", self._assemble)
        topics = Topics(plan_topics("invoices", ["documents"], "documents"), {})
        self.worker = Worker(self.config, topics, metrics=Metrics(), read_key=self._read_key)

    def _read_key(self) -> str | None:
        return self.key()

    def _assemble(self, _around: Surroundings, _codec_of: CodecOf) -> object:
        return SimpleNamespace(
            client=self,
            kafka=self,
            restorer=_Restorer(),
            signals=_Signals(self),
            clarifier=SimpleNamespace(tell_everything=lambda: self.said.append("told")),
            finder=self,
            follower=self,
            pipeline=_Pipeline(self),
        )

    async def _for_ever(self) -> None:
        await asyncio.Event().wait()

    async def run(self) -> None:  # the follower's and the finder's
        await self._for_ever()

    def start(self, _loop_side: object, post: Callable[[Callable[[], None]], None]) -> None:
        self.post = post

    def stop(self) -> None:
        self.said.append(f"stop, {self.open_starts} open")
        self.kafka_over.set()

    def join(self, timeout: float) -> bool:
        return self.kafka_over.wait(timeout)

    def set_api_key(self, key: str) -> None:
        if "\n" in key:
            raise ValueError("The API key must be one line.")
        self.keys.append(key)

    async def aclose(self) -> None:
        self.said.append("closed")


class _Restorer:
    kafka_answered = 0.0

    def start(self, _sink: object) -> None: ...

    def stop(self) -> None: ...

    def join(self, _timeout: float) -> bool:
        return True


class _Signals:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def start(self, _hear: object, _post: object) -> None: ...

    def flush(self, _timeout: float) -> bool:
        return self._stage.signals_sent

    def stop(self) -> None: ...

    def join(self, _timeout: float) -> bool:
        return True


class _Pipeline:
    heard: object = None

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self) -> None:
        await self._stage.pipeline_work()

    @property
    def open_starts(self) -> int:
        return self._stage.open_starts

    def starting(self) -> list[str]:
        return ["invoices/documents/0/1#hash"] * self._stage.open_starts

    def settle(self) -> None:
        self._stage.said.append("settle")

    def key_changed(self) -> None:
        self._stage.said.append("key changed")

    def report(self) -> None: ...


async def running(stage: Stage) -> asyncio.Task[None]:
    task = asyncio.create_task(stage.worker.run())
    await until(lambda: stage.post is not None)
    return task


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not true():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


def lines(caplog: pytest.LogCaptureFixture) -> str:
    """All lines with all their fields."""
    return "\n".join(str(vars(record)) for record in caplog.records)


def fail() -> None:
    raise ZeroDivisionError("a bug")


async def test_an_error_in_a_call_from_the_kafka_thread_ends_the_worker_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    task = await running(stage)
    await asyncio.to_thread(stage.post, fail)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 10.0)
    assert stage.said == ["settle", "stop, 0 open", "closed"]
    stage.post(fail)  # nobody is there any more, and nobody minds


async def test_a_bug_in_a_step_lets_the_open_posts_end_and_is_raised_as_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    stage.open_starts = 3

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(fail))

    stage.pipeline_work = group
    task = await running(stage)
    await asyncio.sleep(0.3)
    assert stage.said == ["settle"], "it waits for the open POSTs"
    stage.worker._fail(ConnectorError("a consequence"))
    stage.open_starts = 0
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 10.0)
    assert stage.said == ["settle", "stop, 0 open", "closed"]


async def test_nobody_waits_for_posts_when_the_kafka_thread_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.open_starts = 3
    task = await running(stage)
    stage.kafka_over.set()
    stage.worker._fail(ConnectorError("Kafka ended"))
    with pytest.raises(ConnectorError, match="Kafka ended"):
        await asyncio.wait_for(task, 3.0)


async def test_the_way_down_ends_in_time_whatever_the_deadline_of_a_start_and_names_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = ("DRAIN_SECONDS", "LEAVE_SECONDS", "FAREWELL_SECONDS", "SIGNALS_SECONDS", "CLOSE_SECONDS")
    probes = 1.0
    assert sum(getattr(worker_module, step) for step in steps) + probes < 25.0
    monkeypatch.setattr(worker_module, "DRAIN_SECONDS", 0.2)
    stage = Stage(monkeypatch, configuration(deadline="300s"))
    stage.open_starts = 2
    task = await running(stage)
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)
    assert stage.said == ["settle", "stop, 2 open", "closed"]
    assert "left_with_open_starts" in caplog.text
    assert "invoices/documents/0/1#hash" in lines(caplog)


async def test_a_short_deadline_makes_the_wait_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_MARGIN_SECONDS", 0.1)
    stage = Stage(monkeypatch, configuration(deadline="1s"))
    stage.open_starts = 1
    task = await running(stage)
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)
    assert "stop, 1 open" in stage.said


async def test_closing_connections_that_hang_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    monkeypatch.setattr(stage, "aclose", stage._for_ever)
    task = await running(stage)
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)


async def test_a_key_file_that_cannot_be_used_leaves_the_last_good_key_and_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "KEY_CHECK_SECONDS", 0.01)
    stage = Stage(monkeypatch)
    reads = 0

    def broken() -> str | None:
        nonlocal reads
        reads += 1
        return b"\xffsk_canary".decode() if reads % 2 else "sk_canary\nsk_other"

    stage.key = broken
    task = await running(stage)
    await until(lambda: reads >= 6)
    assert stage.keys == []
    stage.key = lambda: "sk_second"
    await until(lambda: stage.keys)
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)
    assert stage.keys == ["sk_second"]
    assert stage.said[0] == "key changed"
    assert caplog.text.count("api_key_file_unusable") == 1
    assert "canary" not in lines(caplog)


async def test_what_no_part_waited_for_is_logged_by_its_class(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(monkeypatch)
    before = asyncio.get_running_loop().get_exception_handler()
    task = await running(stage)
    asyncio.get_running_loop().call_exception_handler({"message": "stray", "exception": ValueError("canary")})
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)
    assert "stray_error" in caplog.text
    assert "canary" not in lines(caplog)
    assert asyncio.get_running_loop().get_exception_handler() is before


async def test_a_key_file_that_is_read_only_once_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug M21, planted: what the test above holds does not hold then."""
    watch, looks = Worker._watch_key, 0

    async def watch_what_was_read_once(worker: Worker, parts: Any) -> None:  # noqa: ANN401 - handed on
        first = worker._read_key()

        def stale() -> str | None:
            nonlocal looks
            looks += 1
            return first

        monkeypatch.setattr(worker, "_read_key", stale)
        await watch(worker, parts)

    monkeypatch.setattr(worker_module, "KEY_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(Worker, "_watch_key", watch_what_was_read_once)
    stage = Stage(monkeypatch)
    task = await running(stage)
    await until(lambda: looks >= 1)  # the file is read for good by then
    stage.key = lambda: "sk_second"
    await until(lambda: looks >= 6)
    stage.worker.stop()
    await asyncio.wait_for(task, 5.0)
    assert stage.keys == []
