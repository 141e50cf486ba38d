"""The stand-in of the virtual worlds keeps the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connector.adapters.metrics import Metrics
from connector.core.record import OutRecord
from connector.core.signals.signals_topic import SignalsTopic
from tests.fakes.signals import FakeSignals, FakeSignalsTopic
from tests.fakes.virtual_time import VirtualTimeLoop
from tests.signals.contract import Process, SignalsContract, topic

MOST_SECONDS = 600


class Later:
    """Calls a loop-bound object from outside of its loop."""

    def __init__(self, loop: VirtualTimeLoop, signals: FakeSignals) -> None:
        self._loop = loop
        self._signals = signals

    def __getattr__(self, name: str) -> Callable[..., object]:
        async def call(*words: object) -> object:
            return getattr(self._signals, name)(*words)

        return lambda *words: self._loop.run_until_complete(call(*words))


class FakeStage:
    """A topic in memory, and a loop on a clock of its own."""

    def __init__(self) -> None:
        self._loop = VirtualTimeLoop()
        self._topic = FakeSignalsTopic(topic())

    @property
    def topic(self) -> SignalsTopic:
        return self._topic.topic

    def process(self) -> Process:
        metrics = Metrics()
        signals = FakeSignals("invoices", self._topic, metrics, self._loop.clock())
        made = Process(Later(self._loop, signals), metrics)  # type: ignore[arg-type]  # it passes everything on
        made.signals.start(made.hear, lambda call: call())
        return made

    def write(self, record: OutRecord, at_ms: int) -> None:
        self._topic.append(record, at_ms)

    def now_ms(self) -> int:
        return self._loop.clock().wall_ms()

    def until(self, true: Callable[[], bool]) -> None:
        for _ in range(MOST_SECONDS * 10):
            if true():
                return
            self._loop.run_until_complete(asyncio.sleep(0.1))
        raise AssertionError("it took too long")

    @contextmanager
    def outage(self) -> Iterator[None]:
        async def release() -> None:
            self._topic.release()

        self._topic.hold()
        yield
        self._loop.run_until_complete(release())

    def close(self) -> None:
        self._loop.close()


@pytest.fixture
def stage() -> Iterator[FakeStage]:
    made = FakeStage()
    yield made
    made.close()


class TestFakeSignals(SignalsContract):
    """Nothing else."""
