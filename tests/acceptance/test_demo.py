"""The demo as a newcomer runs it: the installed command, nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from connector.core.run_types import RUN_TYPES, STATUSES
from connector.demo.stage import references
from tests.chaos.processes import COMMAND, environment

SECONDS = 60


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """What the demo printed, and how long it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [COMMAND, "demo"],
        cwd=tmp_path_factory.mktemp("demo"),
        env=environment({"COLUMNS": "200", "TERM": "dumb"}),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, time.monotonic() - begun


def test_it_takes_less_than_a_minute(played: tuple[str, float]) -> None:
    assert played[1] < SECONDS


def test_the_counts_are_what_was_submitted(played: tuple[str, float]) -> None:
    output = played[0]
    lines = re.findall(r"^(documents\.[a-z-]+)\s+(\d+) records$", output, re.MULTILINE)
    records = {name: int(count) for name, count in lines}
    reviews = sum("needs-review" in json.dumps(reference) for reference in references().values())

    assert f"{len(references())} references submitted, {len(references())} with their final result" in output
    assert records["documents.needs-review"] == reviews
    assert sum(records.values()) == len(references()) + reviews
    assert records["documents.dead-letter"] == 1


def test_all_run_types_and_all_terminal_statuses_are_shown(played: tuple[str, float]) -> None:
    output = played[0]

    assert {str(reference["run"]) for reference in references().values()} == set(RUN_TYPES)
    for word in (*RUN_TYPES, *STATUSES):
        assert word in output


def test_results_look_like_results(played: tuple[str, float]) -> None:
    assert "A-20931" in played[0]
    assert "Nordwind Paper" in played[0]


def test_it_says_nothing_on_stderr_that_a_newcomer_would_worry_about(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "demo"],
        cwd=tmp_path,
        env=environment({"TERM": "dumb"}),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )

    assert not done.stderr
