"""The command, as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from connector.cli.simulator import Plan, simulator
from connector.core.errors import ConfigurationError, ConnectorError
from tests.simulator.conftest import HEADERS

COMMAND = "import typer; from connector.cli.simulator import simulator; typer.run(simulator)"


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Simulated Extend API at http://127.0.0.1:"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_answers_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    ledger = tmp_path / "ledger.jsonl"
    options = ("--ledger", str(ledger), "--limits", "custom", "--limit-get", "0", "--fault", "kind=error,nth=1")
    with running(*options) as (process, url):
        with httpx.Client(base_url=url, headers=HEADERS) as http:
            body = {"file": {"id": "file_1"}}
            assert [http.post("/parse_runs", json=body).status_code for _ in range(2)] == [500, 200]
            assert http.get("/parse_runs").status_code == 429
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    assert len(ledger.read_text().splitlines()) == 1


def test_wrong_options_are_refused_with_their_name() -> None:
    with pytest.raises(ConfigurationError, match="--limits custom"):
        simulator(limit_get=5, limits=Plan.SCALE)
    with pytest.raises(ConfigurationError, match="kind=explode"):
        simulator(fault=["kind=explode"])
    with pytest.raises(ConfigurationError, match="more than all"):
        simulator(failed=0.7, cancelled=0.7)


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="missing/ledger"):
        simulator(port=0, ledger=tmp_path / "missing" / "ledger")


def test_a_taken_port_is_named() -> None:
    with running() as (_, url):
        port = int(url.rpartition(":")[2])
        with pytest.raises(ConnectorError, match=f"127.0.0.1:{port}"):
            simulator(port=port)
