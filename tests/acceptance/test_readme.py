"""The README's sections with commands, block by block as they stand: broker, simulator, worker, documents and results.

Each block is a terminal. Only ports and addresses are adapted to what is free here.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.processes import COMMAND, environment, wait_for_answer
from tests.child_process import ChildProcess
from tests.kafka.broker import main as run_broker
from tests.kafka.cluster import given_kafka
from tests.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKER = "## A worker of your own"
OWN_RECORDS = "## Your records in, columns out"
CTRL_C = 130

pytestmark = pytest.mark.kafka


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of a section in a language; those without one are what commands print."""
    section = README.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    found: list[tuple[str, str]] = re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)
    return [text for name, text in found if name == language]


@dataclass(frozen=True)
class Place:
    """Where the section is played: a folder in the place of the clone, and what its addresses became."""

    folder: Path
    broker: str
    simulator: int
    admin: int

    def adapt(self, text: str) -> str:
        """A block with the addresses of this place."""
        return text.replace("localhost:9092", self.broker).replace("8090", str(self.simulator))

    def terminal(self, name: str, block: str) -> ChildProcess:
        """A block as a shell runs it; the last line, which blocks, takes the shell's place so that Ctrl-C meets it."""
        *lines, last = [line for line in self.adapt(block).splitlines() if line]
        script = "\n".join([f"cd '{self.folder}'", *lines, f"exec {last}"])
        return ChildProcess(name, ["sh", "-e", "-c", script], self.folder / f"{name}.log", self.environment)

    def printed(self, *command: str) -> str:
        """What a command prints that comes to an end; blanks at the ends of lines left out."""
        out = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        ).stdout
        return "".join(f"{line.rstrip()}\n" for line in out.splitlines())

    @property
    def environment(self) -> dict[str, str]:
        """Of every process."""
        return environment({"CONNECTOR__ADMIN__PORT": str(self.admin), "COLUMNS": "200"})

    @contextmanager
    def simulated(self) -> Iterator[ChildProcess]:
        """The second terminal."""
        simulator = self.terminal("simulator", blocks(WORKER, "sh")[1])
        try:
            simulator.start()
            wait_for_answer(f"http://{HOST}:{self.simulator}/_simulator/statistics", simulator, 30)
            yield simulator
        finally:
            simulator.kill()


def wait_for_text(process: ChildProcess, text: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while text not in process.log:
        assert process.running, f"{process.name} ended with {process.exit_code}:\n{process.log_tail(30)}"
        assert time.monotonic() < deadline, f"{process.name} has not said {text!r}:\n{process.log_tail(30)}"
        time.sleep(0.1)


def interrupt(process: ChildProcess) -> int:
    """Ctrl-C; the exit code."""
    process.send(signal.SIGINT)
    return process.wait(30)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    tmp_path = tmp_path_factory.mktemp("clone")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(COMMAND.parent)
    port, simulator, admin = free_ports(3)
    given = given_kafka()
    if given is not None:
        yield Place(tmp_path, given.bootstrap_servers, simulator, admin)
        return
    command = ["sh", "-c", f"cd '{ROOT}' && exec '{sys.executable}' -m tests.kafka.broker --port {port}"]
    broker = ChildProcess("broker", command, tmp_path / "broker.log")
    broker.start()
    try:
        wait_for_text(broker, "Kafka answers")
        yield Place(tmp_path, f"localhost:{port}", simulator, admin)
        assert interrupt(broker) == 0
    finally:
        broker.kill()


def test_make_broker_runs_the_broker_of_the_tests() -> None:
    assert blocks(WORKER, "sh")[0].split("#")[0].strip() == "make broker"
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    said = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.installed", "broker"],  # noqa: S607 - whichever make the machine has
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == [".venv/bin/python", "-m", "tests.kafka.broker"]


def test_make_broker_says_when_its_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as somebody:
        somebody.bind((HOST, 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        assert run_broker(["--port", str(port)]) == 1
    assert capsys.readouterr().out.startswith(f"Port {port} is taken. Choose another")


@pytest.mark.timeout(180)
def test_the_section_works_line_by_line(place: Place) -> None:
    _, _, work, look = blocks(WORKER, "sh")
    (config,) = blocks(WORKER, "yaml")
    (place.folder / "connector.yaml").write_text(place.adapt(config), encoding="utf-8")
    worker = place.terminal("worker", work)
    reader = place.terminal("reader", look)
    with place.simulated() as simulator:
        try:
            worker.start()
            wait_for_answer(f"http://{HOST}:{place.admin}/readyz", worker, 60)
            reader.start()
            wait_for_text(reader, "PROCESSED")

            assert "The configuration is right." in worker.log
            assert re.search(r"\b1\b.* acknowledged by topic documents", reader.log)
            assert " inv-1 " in reader.log
            assert interrupt(reader) == CTRL_C
            assert interrupt(worker) == 0
            assert interrupt(simulator) == 0
        finally:
            for process in (reader, worker):
                process.kill()


@pytest.mark.timeout(180)
def test_own_records_become_the_row_that_is_shown(place: Place) -> None:
    plan, generate, work = blocks(OWN_RECORDS, "sh")
    (config,), files, (reader,) = (blocks(OWN_RECORDS, language) for language in ("yaml", "json", "python"))
    for name, text in zip(("orders.yaml", "records.jsonl", "invoice.json"), (config, *files), strict=True):
        (place.folder / name).write_text(place.adapt(text), encoding="utf-8")
    (place.folder / "key").write_text("sk_anything")
    (place.folder / "key").chmod(0o600)
    (exports, _) = plan.splitlines()

    printed = [place.printed("sh", "-e", "-c", plan), place.printed("sh", "-e", "-c", f"{exports}\n{generate}")]
    with place.simulated():
        worker = place.terminal("orders", f"{exports}\n{work}")
        try:
            worker.start()
            wait_for_answer(f"http://{HOST}:{place.admin}/readyz", worker, 60)
            printed.append(place.printed(sys.executable, "-c", place.adapt(reader)))
            assert interrupt(worker) == 0
        finally:
            worker.kill()
    assert "The configuration is right." in worker.log
    assert printed == blocks(OWN_RECORDS, "")
