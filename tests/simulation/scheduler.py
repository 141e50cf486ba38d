"""Virtual time for several processes at once: one heap of timers, one thing running at a time, always in one order.

A process has an event loop of its own and strands, which stand for its threads. All of it can be frozen at any
instant and go on later, in the middle of a function, and it can be dead. A strand is a greenlet: a call that would
block a thread gives the turn away until its time has come. Nothing here is random and no set is iterated, so the same
calls give the same order in every Python.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from heapq import heappop, heappush
from typing import Any, cast

import greenlet

from connector.clock import Clock

Call = Callable[[], object]

START_SECONDS = 1_000.0
EPOCH_SECONDS = 1_790_000_000.0
"""What the wall clock shows when the monotonic clock shows 0."""
MOST_AT_ONE_INSTANT = 200_000


class Killed(BaseException):
    """The process is dead: this strand or task of it ends here."""


class SpinningError(AssertionError):
    """Calls follow calls and the clock never moves."""


class Scheduler:
    """The clock of a world and what is to happen in it."""

    def __init__(self) -> None:
        self.now = START_SECONDS
        self.hub = greenlet.getcurrent()
        self._ready: deque[tuple[Process | None, Call]] = deque()
        self._timers: list[tuple[float, int, Process | None, Call]] = []
        self._count = 0
        self._at_once = 0

    def wall_ms(self) -> int:
        return int((EPOCH_SECONDS + self.now) * 1000)

    def soon(self, call: Call, process: Process | None = None) -> None:
        """Do it next; of a process only while that lives, and not while it is frozen."""
        self._ready.append((process, call))

    def at(self, when: float, call: Call, process: Process | None = None) -> None:
        """Do it at an instant."""
        self._count += 1
        heappush(self._timers, (when, self._count, process, call))

    def after(self, seconds: float, call: Call, process: Process | None = None) -> None:
        self.at(self.now + seconds, call, process)

    def run(self, until: Callable[[], object], deadline: float) -> bool:
        """Let time pass until something is true, which is asked at each new instant; whether it became true."""
        ready, timers = self._ready, self._timers
        while True:
            while ready:
                process, call = ready.popleft()
                self._do(process, call)
            if until():
                return True
            if not timers or timers[0][0] > deadline:
                self.now = max(self.now, deadline)
                return False
            when, _, process, call = heappop(timers)
            if when > self.now:
                self.now = when
                self._at_once = 0
            self._do(process, call)

    def _do(self, process: Process | None, call: Call) -> None:
        self._at_once += 1
        if self._at_once > MOST_AT_ONE_INSTANT:
            raise SpinningError(f"{self._at_once} calls at {self.now:.6f} s, the last one {call}")
        if process is None:
            call()
        else:
            process.do(call)


class Process:
    """Something that runs, freezes and dies as a whole."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.scheduler = scheduler
        self.name = name
        self.dead = False
        self.frozen = False
        self.frozen_until = 0.0
        self.wall_ahead = 0.0
        self.strays: list[str] = []
        self.loop = ProcessLoop(self)
        self.when_dead: list[Call] = []
        self._backlog: deque[Call] = deque()
        self._interrupted: list[greenlet.greenlet] = []
        self._strands: list[greenlet.greenlet] = []
        self._looping = self._new_strand(self._run_loop)
        self._looping.switch()

    @property
    def clock(self) -> Clock:
        scheduler = self.scheduler
        return Clock(lambda: scheduler.now, lambda: EPOCH_SECONDS + scheduler.now + self.wall_ahead)

    def do(self, call: Call) -> None:
        """Do it now, or when the process is awake again, or never."""
        if self.dead:
            return
        if self.frozen:
            self._backlog.append(call)
            return
        call()

    # ---- from outside ------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Nothing of it runs any more. Called from inside, ``check`` ends the caller too."""
        if not self.dead:
            self.dead = True
            for call in self.when_dead:
                call()

    def freeze(self, seconds: float) -> None:
        """Stop it, as SIGSTOP does. Called from inside, ``check`` stops the caller in the middle of what it does."""
        until = self.scheduler.now + seconds
        self.frozen_until = max(self.frozen_until, until)
        self.frozen = True
        self.scheduler.at(until, self._thaw)

    def _thaw(self) -> None:
        if self.dead or not self.frozen or self.scheduler.now < self.frozen_until:
            return
        self.frozen = False
        interrupted, self._interrupted = self._interrupted, []
        for strand in interrupted:
            self.scheduler.soon(strand.switch, self)
        backlog, self._backlog = self._backlog, deque()
        for call in backlog:
            self.scheduler.soon(call, self)

    def bury(self) -> None:
        """Let its strands and tasks end, unheard: whatever they say, nobody listens to the dead."""
        self.kill()
        for strand in self._strands:
            if not strand.dead:
                with suppress(Killed):  # raised here by one that has not begun
                    strand.throw(Killed)
        self.loop.bury()

    # ---- from inside -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """A frozen process stops here, a dead one ends here."""
        while self.frozen and not self.dead:
            self._interrupted.append(greenlet.getcurrent())
            self.scheduler.hub.switch()
            self.loop.enter()
        if self.dead:
            raise Killed

    def sleep(self, seconds: float) -> None:
        """Block the strand that calls."""
        self.check()
        self.scheduler.after(seconds, greenlet.getcurrent().switch, self)
        self.scheduler.hub.switch()
        self.check()

    def strand(self, work: Call) -> None:
        """Run it as a thread would."""
        strand = self._new_strand(lambda: _until_killed(work))
        self.scheduler.soon(strand.switch, self)

    def run_on_loop(self, call: Call) -> None:
        """Run a callback of the event loop, in which the process may be frozen too."""
        self._looping.switch(call)

    def _new_strand(self, work: Call) -> greenlet.greenlet:
        strand = greenlet.greenlet(work, self.scheduler.hub)
        self._strands.append(strand)
        return strand

    def _run_loop(self) -> None:
        try:
            while True:
                call = self.scheduler.hub.switch()
                self.loop.enter()
                call()
        except Killed:
            return


def _until_killed(work: Call) -> None:
    try:
        work()
    except Killed:
        return


class Signal:
    """Wakes the one strand that waits for it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._waiter: greenlet.greenlet | None = None
        self._turn = 0

    def set(self, after: float = 0.0) -> None:
        """Wake it, a moment later."""
        if self._waiter is not None and not self._process.dead:
            self._process.scheduler.after(after, partial(self._wake, self._turn), self._process)

    def wait(self, seconds: float) -> None:
        """Block until it is set, or for so long."""
        self._process.check()
        self._turn += 1
        self._waiter = greenlet.getcurrent()
        self._process.scheduler.after(seconds, partial(self._wake, self._turn), self._process)
        self._process.scheduler.hub.switch()
        self._process.check()

    def _wake(self, turn: int) -> None:
        if turn == self._turn and self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.switch()


class CallQueue:
    """Stands for the queue between an event loop and a thread: whoever waits at it gives the turn away."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._calls: deque[Call] = deque()
        self.came = Signal(process)
        self.heard: Callable[[], None] = lambda: None
        self.at_least: Callable[[], float] = lambda: 0.0
        """Seconds for which nothing but a call can matter to whoever waits here; a shorter wait is stretched to it."""

    def put(self, item: Call) -> None:
        if not self._process.dead:
            self._calls.append(item)
            self.came.set()
            self.heard()

    def get(self, block: bool = True, timeout: float | None = None) -> Call:  # noqa: FBT001, FBT002 - the queue's own
        if not self._calls and block:
            self.came.wait(max(timeout or 0.0, self.at_least()))
        if not self._calls:
            raise queue.Empty
        return self._calls.popleft()

    def get_nowait(self) -> Call:
        return self.get(block=False)

    def __len__(self) -> int:
        return len(self._calls)


class ProcessLoop:
    """The event loop of one process, on the world's clock: what asyncio's tasks and futures ask of one."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._scheduler = process.scheduler
        self._soon: deque[asyncio.Handle] = deque()
        self.for_asyncio = cast("asyncio.AbstractEventLoop", self)

    def enter(self) -> None:
        """What runs now finds this loop running."""
        asyncio._set_running_loop(self.for_asyncio)

    def time(self) -> float:
        return self._scheduler.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # noqa: ANN401
        handle = asyncio.Handle(callback, args, self.for_asyncio, context)
        self._soon.append(handle)
        if not self._process.dead:
            self._scheduler.soon(self._take_turn, self._process)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self.for_asyncio, context)
        if not self._process.dead:
            self._scheduler.at(when, partial(self._process.run_on_loop, partial(_run, handle)), self._process)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._scheduler.now + max(0.0, delay), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.for_asyncio)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self.for_asyncio, name=name, context=context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._process.dead:
            self._process.strays.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _take_turn(self) -> None:
        self._process.run_on_loop(self._run_next)

    def _run_next(self) -> None:
        _run(self._soon.popleft())

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""

    def bury(self) -> None:
        """End all tasks of the dead."""
        asyncio._set_running_loop(self.for_asyncio)
        try:
            for task in asyncio.all_tasks(self.for_asyncio):
                task.cancel()
            while self._soon:
                self._run_next()
            left = asyncio.all_tasks(self.for_asyncio)
            if left:
                raise AssertionError(f"{self._process.name} left {left}")
        finally:
            asyncio._set_running_loop(None)


def _run(handle: asyncio.Handle) -> None:
    if not handle.cancelled():
        handle._run()
