"""Three workers on one broker: one dies, one sleeps through its session and wakes, one is restarted in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from connector.core.run_types import RUN_TYPES
from tests.chaos.checker import Rules
from tests.chaos.history import History
from tests.chaos.processes import Worker
from tests.chaos.references import STATUSES, references
from tests.chaos.stage import EXIT_SECONDS, MAX_OPEN, SESSION_SECONDS, Stage
from tests.chaos.writer import Reference, ReferenceWriter

PARTITIONS = 6
LIFETIMES = ("--median", "1", "--review-median", "2", "--longest", "10")
MOST_PARKED = 2 * MAX_OPEN
"""One worker dies and one is taken for dead; each leaves what it had open, whatever the machine's speed."""

_FAULT_SECONDS = 60.0
_SETTLE_SECONDS = 60.0
_TRICKLE = 5
_TRICKLE_SECONDS = 0.08


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the scenario left behind.

    Attributes:
        history: everything that is known in the end.
        exit_codes: of the workers that were asked to end.
        logs: the ends of all logs, for a failure's message.
    """

    history: History
    exit_codes: tuple[int, ...]
    logs: str


def rules(stage: Stage) -> Rules:
    """What must hold in the end, and what must have happened on the way."""
    common = stage.rules(MOST_PARKED, {"kill": 1, "stop": 1, "restart": 1})
    return replace(common, run_types=frozenset(RUN_TYPES), statuses=STATUSES)


def play(stage: Stage, count: int) -> Outcome:
    """Play the scenario to its quiet end.

    The faults meet open work because the processes stop themselves: a random SIGSTOP hardly ever falls between a
    result's produce and its commit.

    Args:
        stage: with ``PARTITIONS`` partitions and runs that take about ``LIFETIMES``.
        count: how many references.

    Raises:
        TimeoutError: a stop-point was not reached, a worker did not end, or the work did not.
    """
    fleet, writer = stage.fleet, stage.writer
    waves = _waves(stage, count)

    # One victim at a time: who sleeps much longer than a transaction lasts is ended by its own watchdog when it
    # wakes, which is another story.
    dies = stage.worker("worker-1", stop_at="after_created:kill:40")
    leaves = stage.worker("worker-2")
    _wait_ready(dies, leaves)
    _trickle(writer, next(waves), dies)
    fleet.await_kill(dies, _FAULT_SECONDS)
    dies.start()

    sleeps = stage.worker("worker-3", stop_at="before_result_commit:stop:5")
    _wait_ready(dies, leaves)  # not who sleeps: work that it takes over may bring it to its stop-point at once
    _trickle(writer, next(waves), sleeps)
    fleet.await_stop(sleeps, _FAULT_SECONDS, asleep=1.6 * SESSION_SECONDS)

    writer.write(next(waves))
    codes = [fleet.restart(leaves, EXIT_SECONDS)]

    # Who slept knows how its open POSTs ended. Where its partitions come back to it, it un-parks their documents, and
    # who takes over when it leaves has to finish them: so it leaves first, and there is an end after each.
    for worker in (sleeps, dies, leaves):
        stage.settle(_SETTLE_SECONDS)
        codes.append(worker.process.terminate(EXIT_SECONDS))
    return Outcome(stage.history(), tuple(codes), fleet.logs())


def _trickle(writer: ReferenceWriter, wave: list[Reference], victim: Worker) -> None:
    """Write at a pace until the victim is gone or asleep, so that its fault meets a stream of work; then the rest."""
    place = 0
    while place < len(wave) and victim.process.running and not victim.process.stopped:
        writer.write(wave[place : place + _TRICKLE])
        place += _TRICKLE
        time.sleep(_TRICKLE_SECONDS)
    writer.write(wave[place:])


def _wait_ready(*workers: Worker) -> None:
    for worker in workers:
        worker.wait_ready()


def _waves(stage: Stage, count: int) -> Iterator[list[Reference]]:
    every = references(stage.topic, count, PARTITIONS)
    third = count // 3
    yield list(islice(every, third))
    yield list(islice(every, third))
    yield list(every)
