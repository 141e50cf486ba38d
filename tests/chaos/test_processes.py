"""The process harness against a stand-in for the command: readiness, stop-points, restarts, and nobody left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import Fleet, environment

# Answers as the worker's admin server and as the simulator do, and stops itself as told.
STAND_IN = """\
import http.server, os, signal, sys, threading

PAGES = {"/readyz": b"ok\\n", "/metrics": b'# HELP x y\\nx_total{a="1 2"} 1\\nx_total{a="3"} 2\\n',
         "/_simulator/statistics": b'{"requests": 3}'}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path)
        self.send_response(200 if page else 404)
        self.end_headers()
        self.wfile.write(page or b"")

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if "broken" in sys.argv[-1]:
    sys.exit("there is no such file")
if sys.argv[1] == "simulator":
    open(sys.argv[sys.argv.index("--ledger") + 1], "w").write("{}\\n")
    port = int(sys.argv[sys.argv.index("--port") + 1])
else:
    port = int(os.environ["CONNECTOR__ADMIN__PORT"])
print("started", sys.argv[1:], flush=True)
def end(step, how):
    if how == "exit":
        print(step, flush=True)
        os._exit(1)
    os.kill(os.getpid(), {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}[how])

fate = os.environ.get("CONNECTOR_STOP_AT", "").split(":")
if len(fate) > 1 and fate[1] != "late":
    threading.Timer(0.2, lambda: end(*fate[:2])).start()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "connector.yaml"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    command = tmp_path / "stand-in"
    command.write_text(f"#!{sys.executable}\n{STAND_IN}")
    command.chmod(0o755)
    with Fleet(tmp_path / "logs", command) as fleet:
        yield fleet


def test_a_worker_becomes_ready_and_shows_its_metrics(fleet: Fleet, config: Path) -> None:
    worker = fleet.worker("worker-1", config)

    worker.wait_ready(20)

    assert worker.ready
    assert worker.metric("x_total") == 3.0
    assert worker.metric("nothing_total") == 0.0
    assert f"['run', '--config', '{config}']" in worker.process.log


def test_a_worker_that_ends_before_it_is_ready_is_named_with_its_last_words(fleet: Fleet, tmp_path: Path) -> None:
    worker = fleet.worker("worker-1", tmp_path / "broken.yaml")

    with pytest.raises(TimeoutError, match=r"worker-1 ended with 1\.\nthere is no such file"):
        worker.wait_ready(20)


def test_the_simulator_is_started_with_its_ledger(fleet: Fleet) -> None:
    simulator = fleet.simulator("--median", "0.1")

    assert simulator.statistics() == {"requests": 3}
    assert simulator.ledger == b"{}\n"
    assert "'--median', '0.1'" in simulator.process.log


def test_a_worker_that_kills_itself_at_a_stop_point_starts_again_without_it(fleet: Fleet, config: Path) -> None:
    worker = fleet.worker("worker-1", config, stop_at="after_created:kill")

    fleet.await_kill(worker, 20)
    worker.start()
    worker.wait_ready(20)

    assert [(fault.kind, fault.target, fault.hit) for fault in fleet.faults] == [("kill", "worker-1", True)]
    assert worker.process.log.count("started") == 2
    with pytest.raises(TimeoutError, match="was not stopped within"):
        worker.process.wait_stopped(0.5)


def test_a_worker_that_stops_itself_sleeps_and_goes_on(fleet: Fleet, config: Path) -> None:
    worker = fleet.worker("worker-1", config, stop_at="before_post_write:stop")

    fleet.await_stop(worker, 20, asleep=0.2)
    worker.wait_ready(20)

    (fault,) = fleet.faults
    assert fault.kind == "stop"
    assert fault.until_ms - fault.at_ms >= 200


def test_a_worker_that_ends_in_another_way_than_it_should_have_is_an_error(fleet: Fleet, tmp_path: Path) -> None:
    worker = fleet.worker("worker-1", tmp_path / "broken.yaml")

    with pytest.raises(TimeoutError, match="ended with 1 instead of SIGKILL"):
        fleet.await_kill(worker, 20)
    assert fleet.faults == []


def test_a_restart_is_a_clean_end_and_a_new_process(fleet: Fleet, config: Path) -> None:
    worker = fleet.worker("worker-1", config)
    worker.wait_ready(20)
    pid = worker.process.pid

    assert fleet.restart(worker, 20) == 0

    worker.wait_ready(20)
    assert worker.process.pid != pid
    assert [fault.kind for fault in fleet.faults] == ["restart"]


def test_nobody_is_left_behind_not_even_who_is_stopped(tmp_path: Path, fleet: Fleet, config: Path) -> None:
    with Fleet(tmp_path / "others", tmp_path / "stand-in") as others:
        workers = [others.worker(f"worker-{n}", config) for n in range(2)]
        workers[1].wait_ready(20)
        workers[1].process.pause()

    assert not any(worker.process.running for worker in workers)
    assert fleet.logs() == ""
    assert others.logs(["worker-1"]).startswith("--- worker-1\nstarted")


def test_a_launcher_runs_the_command_with_its_arguments(fleet: Fleet, config: Path) -> None:
    launcher = (sys.executable, "-c", "import sys, tests.chaos.stage; sys.exit(f'launched {sys.argv[1:]}')")
    worker = fleet.worker("worker-1", config, launcher=launcher)

    assert worker.process.wait(20) == 1
    assert f"launched ['run', '--config', '{config}']" in worker.process.log


def test_what_happens_while_a_worker_sleeps_happens_before_it_wakes(fleet: Fleet, config: Path) -> None:
    worker = fleet.worker("worker-1", config, stop_at="after_created:stop")

    with fleet.asleep(worker, 20):
        assert worker.process.stopped
        assert fleet.faults == []

    worker.wait_ready(20)
    assert [(fault.kind, fault.target) for fault in fleet.faults] == [("stop", "worker-1")]


def test_settings_of_the_machine_do_not_reach_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTEND_API_KEY", "sk_real")
    monkeypatch.setenv("CONNECTOR__NAME", "theirs")

    passed = environment({"CONNECTOR__NAME": "ours"})

    assert passed["CONNECTOR__NAME"] == "ours"
    assert "EXTEND_API_KEY" not in passed
    assert "PATH" in passed
