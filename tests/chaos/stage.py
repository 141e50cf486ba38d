"""One connector on a real broker: topics, a simulated API, workers, and what is known about all of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from connector.core.record import Partition
from tests.chaos.checker import Rules, Verdict, check
from tests.chaos.history import History
from tests.chaos.processes import COMMAND, Fleet, Worker, environment
from tests.chaos.readers import read_history
from tests.chaos.writer import ReferenceWriter
from tests.kafka.cluster import Kafka

SESSION_SECONDS = 6.0
"""The shortest that a broker accepts as it comes."""
EXIT_SECONDS = 25.0
MAX_OPEN = 8
"""Starts that a worker has open at once (``start.max_open``), and so what one hard end of it can leave unclear."""

_COMMAND_SECONDS = 60.0
_BETWEEN_LOOKS = 0.5
_TURN_SECONDS = 0.1
_SECRETS = {"EXTEND_API_KEY": "sk_chaos"}
# Topics are read one after the other, so a look at work that goes on may see it torn.
_UNSETTLED = frozenset({"lost", "unfinished", "torn"})


class Stage:
    """Everything that a scenario plays on. Leaving it ends all processes; logs and topics stay.

    Attributes:
        kafka: the broker.
        name: connector and prefix of its topics; unique in the cluster.
        topic: the input topic.
        partitions: how many the input topic has.
        fleet: the processes.
        simulator: the API.
        writer: writes references, and notes which are inputs.
    """

    def __init__(
        self,
        kafka: Kafka,
        name: str,
        folder: Path,
        *,
        partitions: int,
        simulator: Sequence[str],
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """An empty stage.

        Args:
            kafka: the broker.
            name: connector and prefix.
            folder: for configuration, logs and ledger.
            partitions: of the input topic.
            simulator: options of the simulated API, above all how long runs take.
            settings: sections of the configuration, over what the stage says itself.
        """
        self.kafka = kafka
        self.name = name
        self.topic = f"{name}-in"
        self.partitions = partitions
        self.fleet = Fleet(folder)
        self.writer = ReferenceWriter(kafka.bootstrap_servers, name)
        self._config = folder / "connector.yaml"
        self._simulator_options = simulator
        self._settings = settings or {}

    def __enter__(self) -> Self:
        self.fleet.__enter__()
        try:
            self.simulator = self.fleet.simulator(*self._simulator_options)
            self._config.write_text(yaml.safe_dump(self._configuration()))
            self._make_topics()
        except BaseException:
            self.fleet.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.fleet.__exit__(kind, error, trace)

    def worker(self, name: str, *, stop_at: str | None = None, launcher: Sequence[str] = ()) -> Worker:
        """A worker, started.

        Args:
            name: names its log.
            stop_at: ``<step>:<stop or kill>[:<nth>]``, or None.
            launcher: program and arguments that run the command instead of the installed one.
        """
        return self.fleet.worker(name, self._config, env=_SECRETS, stop_at=stop_at, launcher=launcher)

    def idle_worker(self, name: str) -> Worker:
        """A worker that does not run yet."""
        return self.fleet.idle_worker(name, self._config, env=_SECRETS)

    def ingress(self, name: str, port: int, secret: str) -> Worker:
        """A webhook ingress, started; see ``Fleet.ingress``."""
        return self.fleet.ingress(name, self._config, port, secret)

    def rules(self, parked_at_most: int, faults: dict[str, int]) -> Rules:
        """What must hold in the end, as far as it is the same for all scenarios."""
        inputs = frozenset(Partition(self.topic, number) for number in range(self.partitions))
        return Rules(prefix=self.name, parked_at_most=parked_at_most, faults=faults, partitions=inputs)

    def history(self) -> History:
        """Everything that is known now.

        Raises:
            TimeoutError: a transaction stays open on one of its topics.
        """
        return read_history(
            self.kafka.bootstrap_servers,
            name=self.name,
            prefix=self.name,
            inputs=self.writer.inputs,
            ledger=self.simulator.ledger,
            withheld=self.simulator.withheld,
            faults=self.fleet.faults,
        )

    def settle(
        self,
        within: float,
        *,
        every: float = _BETWEEN_LOOKS,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until nothing is open but what is parked. Nothing is written meanwhile: recovery needs no next record.

        Args:
            within: seconds.
            every: seconds between two looks.
            meanwhile: called again and again between them.

        Raises:
            TimeoutError: something is still open; with its story.
        """

        def settled(verdict: Verdict) -> bool:
            return not _UNSETTLED & verdict.kinds.keys()

        self.await_verdict(settled, within, every=every, meanwhile=meanwhile)

    def await_verdict(
        self,
        wanted: Callable[[Verdict], bool],
        within: float,
        *,
        every: float = _BETWEEN_LOOKS,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Look again and again until what is seen will do; the number of parked documents does not matter here.

        Raises:
            TimeoutError: it never did.
        """
        deadline = time.monotonic() + within
        while True:
            try:
                verdict = check(self.history(), self.rules(len(self.writer.inputs), {}))
            except TimeoutError:
                left = "a transaction is open"
            else:
                if wanted(verdict):
                    return
                left = str(verdict)
            if time.monotonic() > deadline:
                raise TimeoutError(f"The work has not come to its end within {within:g} s: {left}\n{self.fleet.logs()}")
            look_at = time.monotonic() + every
            while time.monotonic() < look_at:
                meanwhile()
                time.sleep(_TURN_SECONDS)

    def _configuration(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "name": self.name,
            "kafka": {
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "session_timeout": f"{SESSION_SECONDS:g}s",
                "properties": {"heartbeat.interval.ms": 1000},
            },
            "extend": {
                "base_url": self.simulator.base_url,
                "limits": {"get": 500, "write": 500, "run": 500, "files_per_minute": 100_000},
            },
            "start": {"max_open": MAX_OPEN, "deadline": "5s", "settle": "10s"},
            "follow": {"review_interval": "2s"},
            "routes": {"documents": {"topic": self.topic}},
            "output": {"prefix": self.name},
        }
        for section, values in self._settings.items():
            configuration[section] = {**configuration.get(section, {}), **values}
        return configuration

    def _make_topics(self) -> None:
        options = ["--create", "--input", "--partitions", str(self.partitions), "--config", str(self._config)]
        done = subprocess.run(
            [str(COMMAND), "topics", *options],
            env=environment(_SECRETS),
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"topics --create ended with {done.returncode}:\n{done.stderr}")
