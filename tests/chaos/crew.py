"""Workers with a fate, and the supervisor that starts them again. Nothing here waits: ``turn`` is called often."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tests.chaos.history import Fault
from tests.chaos.processes import Worker
from tests.chaos.schedule import KILL, RESTART, STOP, Fate

SLEEPS_SESSIONS = 1.5
GRACE_SECONDS = 90.0
"""What a pod is given to end; then it is killed."""

EXIT = "exit"
"""A worker ended by itself: its watchdog, or its producer's end."""

_BACK_SECONDS = (0.0, 6.0)
_AWAKE_SECONDS = (10.0, 25.0)
_LOG_LINES = 60
_KNOWN_ENDS = ("kafka_thread_stuck", "No broker of kafka.bootstrap_servers")
"""The watchdog's end, and a start while too many brokers are away: both are documented, with exit code 1."""


class Leaving(NamedTuple):
    """A worker that was asked to end.

    Attributes:
        worker: its name.
        code: its exit code.
        seconds: how long it took.
    """

    worker: str
    code: int
    seconds: float


@dataclass(slots=True)
class _Life:
    """A worker, and what becomes of it. Times are monotonic; ``since_ms`` is not.

    Attributes:
        fate: what it will do to itself, or None.
        since_ms: when what it is in began.
        asleep_at: when it was found stopped.
        asked_at: when it was asked to end.
        start_at: when it is started again.
        leave_at: when it will be asked to end, because nothing else will happen to it.
        hit: documents were open when it was asked to end.
        log_from: where this life begins in its log.
    """

    worker: Worker
    fate: Fate | None = None
    since_ms: int = 0
    asleep_at: float | None = None
    asked_at: float | None = None
    start_at: float | None = None
    leave_at: float | None = None
    hit: bool = False
    log_from: int = 0

    @property
    def words(self) -> str:
        """What it has logged in this life."""
        with self.worker.process.log_path.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode(errors="replace")

    @property
    def away(self) -> bool:
        """It is dead, or asleep, or leaves."""
        return self.start_at is not None or self.asleep_at is not None or self.asked_at is not None


class Crew:
    """Some workers.

    Attributes:
        faults: what happened to them, in order.
        leavings: how those ended that were asked to.
        surprises: ends that nothing here explains, with the ends of their logs.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        fates: Iterator[Fate],
        random: Random,
        *,
        session: float,
        open_work: Callable[[], bool],
        pause: float = 1.0,
    ) -> None:
        """None of them runs yet.

        Args:
            workers: not started.
            fates: one for each start.
            random: for pauses.
            session: seconds; who stops sleeps one and a half of it.
            open_work: whether there are documents under way.
            pause: what pauses are multiplied by.
        """
        self.faults: list[Fault] = []
        self.leavings: list[Leaving] = []
        self.surprises: list[str] = []
        self._lives = [_Life(worker) for worker in workers]
        self._fates: Iterator[Fate] | None = fates
        self._random = random
        self._sleep = SLEEPS_SESSIONS * session
        self._open_work = open_work
        self._pause = pause
        self._rolling: list[_Life] = []
        self._rolled: _Life | None = None

    def start(self) -> None:
        """Start all."""
        for life in self._lives:
            self._start(life)

    def roll(self) -> bool:
        """Restart all in order, one after the other.

        Returns:
            False when an earlier update is still going on.
        """
        if self._rolling or self._rolled is not None:
            return False
        self._rolling = list(self._lives)
        return True

    def calm(self) -> None:
        """No more fates. Who has one is restarted in order; who sleeps is woken at its time."""
        self._fates = None
        self._rolling = [life for life in self._lives if life.fate is not None]

    @property
    def is_calm(self) -> bool:
        """All run, and nothing will happen to them any more."""
        return (
            not self._rolling
            and self._rolled is None
            and all(
                life.fate is None and life.leave_at is None and not life.away and life.worker.process.running
                for life in self._lives
            )
        )

    def end(self, within: float, between: Callable[[], None]) -> None:
        """Ask all to end, one after the other.

        Args:
            within: seconds for each.
            between: called before each, to see that nothing is left to do.

        Raises:
            TimeoutError: one has not ended in time.
        """
        for life in self._lives:
            between()
            begun = time.monotonic()
            code = life.worker.process.terminate(within)
            self.leavings.append(Leaving(life.worker.name, code, time.monotonic() - begun))

    def turn(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for life in self._lives:
            process = life.worker.process
            if life.start_at is not None:
                if now >= life.start_at:
                    self._start(life)
            elif process.stopped:
                self._asleep(life, now)
            elif not process.running:
                self._ended(life, now)
            elif life.asked_at is not None:
                if now > life.asked_at + GRACE_SECONDS:
                    life.fate = None
                    process.kill()
            elif life.leave_at is not None and now >= life.leave_at:
                self._ask_to_end(life)
        self._roll_on()

    def _start(self, life: _Life) -> None:
        fate = next(self._fates) if self._fates is not None else None
        life.fate, life.start_at, life.asked_at, life.leave_at, life.asleep_at = fate, None, None, None, None
        path = life.worker.process.log_path
        life.log_from = path.stat().st_size if path.exists() else 0
        life.worker.start(str(fate) if fate else None)

    def _asleep(self, life: _Life, now: float) -> None:
        if life.asleep_at is None:
            life.asleep_at, life.since_ms = now, _now_ms()
        elif now >= life.asleep_at + self._sleep:
            life.worker.process.resume()
            self.faults.append(Fault(STOP, life.worker.name, life.since_ms, _now_ms()))
            life.fate, life.asleep_at = None, None
            if life.asked_at is not None:
                life.asked_at = now
            life.leave_at = now + self._pause * self._random.uniform(*_AWAKE_SECONDS)

    def _ask_to_end(self, life: _Life) -> None:
        life.asked_at, life.since_ms, life.hit = time.monotonic(), _now_ms(), self._open_work()
        life.worker.process.send(signal.SIGTERM)

    def _ended(self, life: _Life, now: float) -> None:
        code, at_ms = life.worker.process.exit_code or 0, _now_ms()
        asked, name = life.asked_at is not None, life.worker.name
        if code == -signal.SIGKILL and life.fate is not None and life.fate.how == KILL:
            self.faults.append(Fault(KILL, name, at_ms, at_ms))
        elif asked and code == 0:
            self.leavings.append(Leaving(name, code, now - (life.asked_at or now)))
            self.faults.append(Fault(RESTART, name, life.since_ms, at_ms, life.hit))
        else:
            self.faults.append(Fault(EXIT, name, at_ms, at_ms))
            log = life.words
            if code != 1 or not any(end in log for end in _KNOWN_ENDS):
                last = "\n".join(log.splitlines()[-_LOG_LINES:])
                self.surprises.append(f"{name} ended with {code}{' after SIGTERM' if asked else ''}:\n{last}")
        life.start_at = now + (0.0 if asked else self._pause * self._random.uniform(*_BACK_SECONDS))

    def _roll_on(self) -> None:
        """Ask the next to end once the one before it is ready again. Who is dead or asleep is not waited for."""
        if self._rolled is not None:
            if self._rolled.away or not (self._rolled.worker.ready or not self._rolled.worker.process.running):
                return
            self._rolled = None
        if self._rolling:
            life = self._rolling[0]
            alive = life.worker.process.running and not life.worker.process.stopped
            if alive and not life.away:
                if not life.worker.ready:
                    return  # who has just begun does not know SIGTERM yet
                self._ask_to_end(life)
                self._rolled = life
            self._rolling.pop(0)


def _now_ms() -> int:
    return int(time.time() * 1000)
