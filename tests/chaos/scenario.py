"""Three workers on one broker: one dies, one sleeps through its session and wakes, one is restarted in order."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import yaml

from connector.core.record import Partition
from connector.core.run_types import RUN_TYPES
from tests.chaos.checker import Rules, check
from tests.chaos.history import History
from tests.chaos.processes import COMMAND, Fleet, Simulator, Worker, environment
from tests.chaos.readers import read_history
from tests.chaos.references import STATUSES, references
from tests.chaos.writer import Reference, ReferenceWriter
from tests.kafka.cluster import Kafka

PARTITIONS = 6
SESSION_SECONDS = 6.0
EXIT_SECONDS = 25.0
SETTLE_SECONDS = 150.0

_FAULT_SECONDS = 90.0
_COMMAND_SECONDS = 60.0
_BETWEEN_LOOKS = 2.0
_TRICKLE = 5
_TRICKLE_SECONDS = 0.08
# Topics are read one after the other, so a look at work that goes on may see it torn.
_UNSETTLED = frozenset({"lost", "unfinished", "torn"})


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of the scenario.

    Attributes:
        kafka: the broker.
        name: connector, input topic and prefix; unique in the cluster.
        folder: for configuration, logs and ledger.
        count: how many references.
        env: more environment for every worker, e.g. to plant a bug.
    """

    kafka: Kafka
    name: str
    folder: Path
    count: int
    env: Mapping[str, str]

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "connector.yaml"

    def rules(self, parked_at_most: int) -> Rules:
        """What must hold in the end."""
        return Rules(
            prefix=self.name,
            parked_at_most=parked_at_most,
            run_types=frozenset(RUN_TYPES),
            statuses=STATUSES,
            faults={"kill": 1, "stop": 1, "restart": 1},
            partitions=frozenset(Partition(f"{self.name}-in", number) for number in range(PARTITIONS)),
        )


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


def play(scene: Scene) -> Outcome:
    """Play the scenario to its quiet end.

    The faults meet open work because the processes stop themselves: a random SIGSTOP hardly ever falls between a
    result's produce and its commit.

    Raises:
        TimeoutError: a stop-point was not reached, a worker did not end, or the work did not.
        RuntimeError: the topics could not be made.
    """
    with Fleet(scene.folder) as fleet:
        simulator = fleet.simulator("--median", "1", "--review-median", "2", "--longest", "10")
        scene.config.write_text(yaml.safe_dump(_configuration(scene, simulator)))
        _make_topics(scene)
        writer = ReferenceWriter(scene.kafka.bootstrap_servers, scene.name)
        waves = _waves(scene)

        # One victim at a time: who sleeps much longer than a transaction lasts is ended by its own watchdog when it
        # wakes, which is another story.
        dies = _worker(fleet, scene, "worker-1", "after_created:kill:40")
        leaves = _worker(fleet, scene, "worker-2", None)
        _wait_ready(dies, leaves)
        _trickle(writer, next(waves), dies)
        fleet.await_kill(dies, _FAULT_SECONDS)
        dies.start()

        sleeps = _worker(fleet, scene, "worker-3", "before_result_commit:stop:5")
        _wait_ready(dies, leaves)  # not who sleeps: work that it takes over may bring it to its stop-point at once
        _trickle(writer, next(waves), sleeps)
        fleet.await_stop(sleeps, _FAULT_SECONDS, asleep=1.6 * SESSION_SECONDS)

        writer.write(next(waves))
        codes = [fleet.restart(leaves, EXIT_SECONDS)]

        _settle(scene, writer, simulator)
        codes += [worker.process.terminate(EXIT_SECONDS) for worker in (dies, sleeps, leaves)]
        return Outcome(_history(scene, writer, simulator, fleet), tuple(codes), fleet.logs())


def _trickle(writer: ReferenceWriter, wave: list[Reference], victim: Worker) -> None:
    """Write at a pace at which few POSTs are open at any moment, until the victim is gone or asleep; then the rest.

    Whoever dies then leaves few unclear starts.
    """
    place = 0
    while place < len(wave) and victim.process.running and not victim.process.stopped:
        writer.write(wave[place : place + _TRICKLE])
        place += _TRICKLE
        time.sleep(_TRICKLE_SECONDS)
    writer.write(wave[place:])


def _wait_ready(*workers: Worker) -> None:
    for worker in workers:
        worker.wait_ready()


def _waves(scene: Scene) -> Iterator[list[Reference]]:
    every = references(f"{scene.name}-in", scene.count, PARTITIONS)
    third = scene.count // 3
    yield list(islice(every, third))
    yield list(islice(every, third))
    yield list(every)


def _configuration(scene: Scene, simulator: Simulator) -> dict[str, object]:
    return {
        "name": scene.name,
        "kafka": {
            "bootstrap_servers": scene.kafka.bootstrap_servers,
            "session_timeout": f"{SESSION_SECONDS:g}s",
            "properties": {"heartbeat.interval.ms": 1000},
        },
        "extend": {
            "base_url": simulator.base_url,
            "limits": {"get": 500, "write": 500, "run": 500, "files_per_minute": 100_000},
        },
        "follow": {"review_interval": "2s"},
        "routes": {"documents": {"topic": f"{scene.name}-in"}},
        "output": {"prefix": scene.name},
    }


def _worker(fleet: Fleet, scene: Scene, name: str, stop_at: str | None) -> Worker:
    return fleet.worker(name, scene.config, env={**_secrets(), **scene.env}, stop_at=stop_at)


def _secrets() -> dict[str, str]:
    return {"EXTEND_API_KEY": "sk_chaos"}


def _make_topics(scene: Scene) -> None:
    done = subprocess.run(
        [str(COMMAND), "topics", "--create", "--input", "--partitions", str(PARTITIONS), "--config", str(scene.config)],
        env=environment(_secrets()),
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"topics --create ended with {done.returncode}:\n{done.stderr}")


def _settle(scene: Scene, writer: ReferenceWriter, simulator: Simulator) -> None:
    """Wait until nothing is open but what is parked. Nothing is written meanwhile: recovery needs no next record."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            verdict = check(_history(scene, writer, simulator, None), scene.rules(scene.count))
        except TimeoutError:
            left = "a transaction is open"
        else:
            if not _UNSETTLED & verdict.kinds.keys():
                return
            left = str(verdict)
        if time.monotonic() > deadline:
            raise TimeoutError(f"The work has not come to its end within {SETTLE_SECONDS:g} s: {left}")
        time.sleep(_BETWEEN_LOOKS)


def _history(scene: Scene, writer: ReferenceWriter, simulator: Simulator, fleet: Fleet | None) -> History:
    return read_history(
        scene.kafka.bootstrap_servers,
        name=scene.name,
        prefix=scene.name,
        inputs=writer.inputs,
        ledger=simulator.ledger,
        faults=fleet.faults if fleet else (),
    )
