"""One plan for real: the official SDK and our worker beside each other, against simulated APIs over HTTP.

Each has an API of its own with the plan's limits, the same seed and the same instants of arrival, so the same runs take
the same time at both.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import percentile
from tests.benchmarks.follow.api import ROUND_TRIP
from tests.benchmarks.follow.matrix import MEDIAN, situation
from tests.benchmarks.follow.runs import Lifetimes
from tests.benchmarks.follow.trial import SHARE, Situation, runs_of
from tests.benchmarks.machine import usage
from tests.benchmarks.stage import ResultReader, Stage, check
from tests.chaos.processes import ROOT, Fleet, Simulator, environment
from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka

LONGEST = 180.0
"""A run that takes hours would be waited for."""
DRAIN_SECONDS = 1_200.0
_PROGRAM = "tests.benchmarks.follow.sdk_client"
LIVES = Lifetimes(MEDIAN, long_share=0.0, longest=LONGEST)


@dataclass(frozen=True, slots=True)
class Real:
    """What one of the two did.

    Attributes:
        delays: seconds from a run's end until its result was in hand.
        gets: reads that the API answered, lists included.
        refused: 429s.
        cpu: seconds, of the whole process.
        memory: bytes at the end, of the whole process.
        failures: exceptions instead of results.
    """

    delays: Sequence[float]
    gets: int
    refused: int
    cpu: float
    memory: int
    failures: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Seconds."""
        return sum(self.delays) / len(self.delays)

    def delay(self, share: float) -> float:
        """The delay that this share of the runs does not exceed."""
        return percentile(self.delays, share)


def twin(plan: str, minutes: float, seed: int) -> Situation:
    """The same on virtual time: arrivals are the same, lifetimes are drawn anew from the same distribution."""
    given = situation(plan, seed=seed)
    return Situation(
        given.gets_per_second,
        given.files_per_minute,
        LIVES,
        warm_up=0.0,
        window=60 * minutes + DRAIN_SECONDS,
        stationary=False,
        arrivals_end=60 * minutes,
        seed=seed,
    )


def play(kafka: Kafka, name: str, folder: Path, *, plan: str, minutes: float, seed: int) -> tuple[Real, Real]:
    """Let both work for so many minutes, and until all is done.

    Args:
        kafka: the broker for the worker.
        name: unique in it.
        folder: for logs.
        plan: whose limits hold.
        minutes: how long documents arrive.
        seed: of arrivals and lifetimes.

    Returns:
        The SDK's figures, and the worker's.

    Raises:
        TimeoutError: the work has not come to its end.
    """
    given = twin(plan, minutes, seed)
    arrivals = [run.created for run in runs_of(given)]
    options = (
        *("--limits", plan, "--seed", str(seed), "--fault", f"kind=delay,seconds={ROUND_TRIP}"),
        *("--median", str(MEDIAN), "--spread", str(LIVES.spread), "--longest", str(LONGEST)),
    )
    with Fleet(folder / "sdk") as theirs, Fleet(folder / "worker") as ours:
        stage = Stage(kafka, name, folder, ours)
        # The starts are paced by the arrivals; only the reads are compared.
        simulator = stage.open(*options, limits={"get": SHARE * given.gets_per_second})
        worker = stage.worker()
        stage.await_assignment([worker], 6)
        reader = ResultReader(stage)
        before = usage(worker.process.pid)
        sdk = _Sdk(theirs.simulator(*options), folder, arrivals)
        producing = threading.Thread(target=_produce, args=(stage, arrivals), daemon=True)
        producing.start()
        sdk.process.start()
        reader.wait_for(len(arrivals), 60 * minutes + DRAIN_SECONDS)
        used = usage(worker.process.pid)
        producing.join()
        finished = [result["times"] for result in reader.results()]
        delays = [(times["observed"] - times["finished"]).total_seconds() for times in finished]
        gets, refused = reads(simulator)
        reader.close()
        theirs_done = sdk.result()
        if worker.process.terminate(25) != 0:
            raise RuntimeError(f"the worker ended with {worker.process.exit_code}\n{worker.process.log_tail()}")
        check(stage, reader, simulator)
    return theirs_done, Real(delays, gets, refused, used.cpu - before.cpu, used.rss)


class _Sdk:
    """The program with the SDK."""

    def __init__(self, simulator: Simulator, folder: Path, arrivals: Sequence[float]) -> None:
        self._simulator = simulator
        self._outcome = folder / "outcome.json"
        plan = folder / "instants.json"
        plan.write_text(json.dumps(list(arrivals)), encoding="utf-8")
        self.process = ChildProcess(
            "sdk",
            (sys.executable, "-m", _PROGRAM, simulator.base_url, str(plan), str(self._outcome)),
            folder / "sdk.log",
            environment({"PYTHONPATH": str(ROOT)}),
        )

    def result(self) -> Real:
        """What it did, once it is done."""
        code = self.process.wait(DRAIN_SECONDS)
        if code != 0:
            raise RuntimeError(f"the SDK's program ended with {code}\n{self.process.log_tail()}")
        told = json.loads(self._outcome.read_text(encoding="utf-8"))
        gets, refused = reads(self._simulator)
        return Real(told["delays"], gets, refused, told["cpu"], told["memory"], tuple(told["failures"]))


def _produce(stage: Stage, arrivals: Sequence[float]) -> None:
    begun = time.monotonic()
    for number, instant in enumerate(arrivals):
        time.sleep(max(0.0, begun + instant - time.monotonic()))
        stage.produce(1, first=number)


def reads(simulator: Simulator) -> tuple[int, int]:
    codes = dict(simulator.statistics()["requests"]["GET"])
    refused = codes.pop("429", 0)
    # All others were answered, only later: they are counted under the name of what made them late.
    return sum(codes.values()), refused
