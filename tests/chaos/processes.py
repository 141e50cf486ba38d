"""Workers and the simulated API as a user starts them: the installed command, one process each."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.chaos.history import Fault
from tests.child_process import ChildProcess
from tests.ports import HOST, free_ports

COMMAND = Path(sys.executable).with_name("extend-connector")
STOP_VARIABLE = "CONNECTOR_STOP_AT"
ROOT = Path(__file__).parents[2]

_READY_SECONDS = 60.0
_OURS = ("CONNECTOR_", "KAFKA_", "EXTEND_")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would configure a connector, and with what is given."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | dict(more)


class Worker:
    """One ``extend-connector run`` (or ``webhook``). It can be started again: same settings, same log, another pid.

    Attributes:
        name: names its log and its pod.
        admin: address of its admin server.
        process: to kill, pause, resume and terminate it.
    """

    def __init__(
        self,
        name: str,
        config: Path,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        stop_at: str | None = None,
        command: Path = COMMAND,
        launcher: Sequence[str] = (),
        role: str = "run",
    ) -> None:
        """A worker that does not run yet.

        Args:
            name: its name.
            config: the configuration file.
            folder: where its log goes.
            env: environment variables of its own.
            stop_at: ``<step>:<stop or kill>[:<nth>]``; for its first start only, so that a restart gets past it.
            command: the installed command.
            launcher: program and arguments that run the command instead; found from the repository's root.
            role: the subcommand, ``run`` or ``webhook``.
        """
        self.name = name
        (port,) = free_ports(1)
        self.admin = f"http://{HOST}:{port}"
        self._command = (*(launcher or (str(command),)), role, "--config", str(config))
        self._env = {"CONNECTOR__ADMIN__PORT": str(port), "HOSTNAME": name, **(env or {})}
        if launcher:
            self._env["PYTHONPATH"] = str(ROOT)
        self._log = folder / f"{name}.log"
        self._stop_at = stop_at
        self.process = self._child()

    def start(self, stop_at: str | None = None) -> None:
        """Start it; the log goes on where it ended.

        Args:
            stop_at: its stop-point for this life; by default what it was made with, for the first one.
        """
        self._stop_at = stop_at or self._stop_at
        self.process = self._child()
        self._stop_at = None
        self.process.start()

    def wait_ready(self, within: float = _READY_SECONDS) -> None:
        """Wait until ``/readyz`` says yes.

        Args:
            within: seconds.

        Raises:
            TimeoutError: it ended, or was not ready in time.
        """
        wait_for_answer(f"{self.admin}/readyz", self.process, within)

    @property
    def ready(self) -> bool:
        """What ``/readyz`` says now; no when nobody answers within a second."""
        return _answers(f"{self.admin}/readyz")

    @property
    def live(self) -> bool:
        """What ``/livez`` says now; likewise."""
        return _answers(f"{self.admin}/livez")

    def metrics(self) -> dict[str, float]:
        """Every sample of ``/metrics``, by name and labels as they stand there.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        text = httpx.get(f"{self.admin}/metrics", timeout=5, trust_env=False).text
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 when there is no sample."""
        return sum(value for key, value in self.metrics().items() if key.partition("{")[0] == name)

    def _child(self) -> ChildProcess:
        env = self._env | ({STOP_VARIABLE: self._stop_at} if self._stop_at else {})
        return ChildProcess(self.name, self._command, self._log, environment(env))


class Simulator:
    """One ``extend-connector simulator``.

    Attributes:
        base_url: where workers find it.
        ledger_path: what was bought, one JSON line each, written before the answer.
        withheld_path: creates that its faults withheld, likewise.
        process: to kill, pause, resume and terminate it.
    """

    def __init__(self, folder: Path, *options: str, command: Path = COMMAND) -> None:
        """A simulator that does not run yet.

        Args:
            folder: where its log and ledger go.
            options: of the command, without port and ledger.
            command: the installed command.
        """
        (port,) = free_ports(1)
        self.base_url = f"http://{HOST}:{port}"
        self.ledger_path = folder / "ledger.jsonl"
        self.withheld_path = folder / "withheld.jsonl"
        books = ("--ledger", str(self.ledger_path), "--withheld", str(self.withheld_path))
        line = (str(command), "simulator", "--port", str(port), *books, *options)
        self.process = ChildProcess("simulator", line, folder / "simulator.log", environment({}))

    def start(self, within: float = _READY_SECONDS) -> None:
        """Start it, and wait until it answers.

        Raises:
            TimeoutError: it ended, or did not answer in time.
        """
        self.process.start()
        wait_for_answer(f"{self.base_url}/_simulator/statistics", self.process, within)

    @property
    def ledger(self) -> bytes:
        """The ledger so far."""
        return self.ledger_path.read_bytes() if self.ledger_path.exists() else b""

    @property
    def withheld(self) -> bytes:
        """Its book of withheld creates so far."""
        return self.withheld_path.read_bytes() if self.withheld_path.exists() else b""

    def statistics(self) -> dict[str, Any]:
        """What was asked of it.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        return self._ask("statistics")

    def fault_hits(self) -> int:
        """How many requests its fault rules have hit.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        return sum(each["hits"] for each in self._ask("faults")["rules"])

    def _ask(self, what: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.base_url}/_simulator/{what}", timeout=5, trust_env=False)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


class Fleet:
    """All processes of one test. Leaving it ends them, whatever state they are in; their logs stay.

    Attributes:
        faults: what was done to them so far, in order.
    """

    def __init__(self, folder: Path, command: Path = COMMAND) -> None:
        """An empty fleet.

        Args:
            folder: where logs and ledger go.
            command: the installed command.
        """
        self.folder = folder
        self._command = command
        self.faults: list[Fault] = []
        self._children: list[Worker | Simulator] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.process.kill()

    def worker(
        self,
        name: str,
        config: Path,
        *,
        env: Mapping[str, str] | None = None,
        stop_at: str | None = None,
        launcher: Sequence[str] = (),
    ) -> Worker:
        """A worker of this fleet, started; see ``Worker``."""
        worker = self.idle_worker(name, config, env=env, stop_at=stop_at, launcher=launcher)
        worker.start()
        return worker

    def idle_worker(
        self,
        name: str,
        config: Path,
        *,
        env: Mapping[str, str] | None = None,
        stop_at: str | None = None,
        launcher: Sequence[str] = (),
    ) -> Worker:
        """A worker of this fleet that does not run yet; see ``Worker``."""
        worker = Worker(
            name,
            config,
            self.folder,
            env=env,
            stop_at=stop_at,
            command=self._command,
            launcher=launcher,
        )
        self._children.append(worker)
        return worker

    def ingress(self, name: str, config: Path, port: int, secret: str) -> Worker:
        """A webhook ingress of this fleet, started.

        Args:
            name: names its log.
            config: the configuration file.
            port: where it takes webhooks.
            secret: what they are signed with.
        """
        env = {"CONNECTOR__WEBHOOK__PORT": str(port), "EXTEND_WEBHOOK_SECRET": secret}
        ingress = Worker(name, config, self.folder, env=env, command=self._command, role="webhook")
        self._children.append(ingress)
        ingress.start()
        return ingress

    def simulator(self, *options: str) -> Simulator:
        """A simulator of this fleet, started and answering; see ``Simulator``."""
        simulator = Simulator(self.folder, *options, command=self._command)
        self._children.append(simulator)
        simulator.start()
        return simulator

    def await_kill(self, worker: Worker, within: float) -> None:
        """Wait until a worker has killed itself at its stop-point.

        Raises:
            TimeoutError: it did not get there, or ended in another way.
        """
        begun = _now_ms()
        code = worker.process.wait(within)
        if code != -signal.SIGKILL:
            raise TimeoutError(f"{worker.name} ended with {code} instead of SIGKILL.\n{worker.process.log_tail()}")
        self.faults.append(Fault("kill", worker.name, begun, _now_ms()))

    def await_stop(self, worker: Worker, within: float, asleep: float) -> None:
        """Wait until a worker has stopped itself at its stop-point, leave it so for a while, and let it go on.

        Args:
            worker: which one.
            within: seconds until it must have stopped.
            asleep: seconds that it then sleeps; longer than its session makes a zombie of it.

        Raises:
            TimeoutError: it did not get there.
        """
        with self.asleep(worker, within):
            time.sleep(asleep)

    @contextmanager
    def asleep(self, worker: Worker, within: float) -> Iterator[None]:
        """The same for as long as something else happens; a worker whose part fails sleeps on.

        Args:
            worker: which one.
            within: seconds until it must have stopped.

        Raises:
            TimeoutError: it did not get there.
        """
        worker.process.wait_stopped(within)
        begun = _now_ms()
        yield
        worker.process.resume()
        self.faults.append(Fault("stop", worker.name, begun, _now_ms()))

    def restart(self, worker: Worker, within: float) -> int:
        """SIGTERM a worker, wait for its end, start it again.

        Returns:
            Its exit code.

        Raises:
            TimeoutError: it has not ended in time.
        """
        begun = _now_ms()
        code = worker.process.terminate(within)
        worker.start()
        self.faults.append(Fault("restart", worker.name, begun, _now_ms()))
        return code

    def kill(self, worker: Worker, *, hit: bool) -> None:
        """SIGKILL a worker from outside.

        Args:
            worker: which one.
            hit: documents were open when it died.
        """
        begun = _now_ms()
        worker.process.kill()
        self.faults.append(Fault("kill", worker.name, begun, _now_ms(), hit))

    def logs(self, names: Iterable[str] = ()) -> str:
        """The ends of the logs, for a failure's message; of all when none is named."""
        wanted = set(names)
        tails = [
            f"--- {child.process.name}\n{child.process.log_tail(30)}"
            for child in self._children
            if not wanted or child.process.name in wanted
        ]
        return "\n".join(tails)


def wait_for_answer(url: str, process: ChildProcess, within: float) -> None:
    """Wait until a process answers an address with 200.

    Args:
        url: what is asked.
        process: who answers.
        within: seconds.

    Raises:
        TimeoutError: it ended, or has not answered so in time; with the end of its log.
    """
    deadline = time.monotonic() + within
    while not _answers(url):
        if not process.running or time.monotonic() > deadline:
            ended = f"ended with {process.exit_code}" if not process.running else f"was not ready within {within:g} s"
            raise TimeoutError(f"{process.name} {ended}.\n{process.log_tail()}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _now_ms() -> int:
    return int(time.time() * 1000)
