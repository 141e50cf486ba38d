"""An event loop whose clock jumps to the next timer when nothing is ready: hours pass in milliseconds.

Nothing sleeps, so a test is as fast as its callbacks and its order of events is the same in every run. A loop that
has nothing to wait for would hang for ever; here it is a failure that says so.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from connector.clock import Clock

P = ParamSpec("P")

EPOCH_SECONDS = 1_790_000_000.0
"""What the wall clock shows when the monotonic clock shows 0."""
START_SECONDS = 1_000.0
TURNS_AT_ONE_INSTANT = 100_000


class DeadlockError(AssertionError):
    """Everybody waits and no timer is set."""


class SpinningError(AssertionError):
    """Callbacks follow callbacks and the clock never moves."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = START_SECONDS
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        self.turns += 1
        if self.turns > TURNS_AT_ONE_INSTANT:
            raise SpinningError(f"{self.turns} turns of the loop at {self.now:.6f} s")
        if not events and timeout is None:
            raise DeadlockError(f"everybody waits at {self.now:.6f} s and no timer is set")
        if not events and timeout is not None and timeout > 0:
            self.now += timeout
            self.turns = 0
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jumping.now

    def clock(self) -> Clock:
        """Both clocks, as the steps take them."""
        return Clock(self.time, lambda: EPOCH_SECONDS + self.time())


def virtually(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test's coroutine on a loop of this kind."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def clock() -> Clock:
    """The clocks of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.clock()
