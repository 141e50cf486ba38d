"""The demo as a newcomer runs it: the installed command, nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from connector.cli.demo import documents_table
from connector.core.run_types import RUN_TYPES, STATUSES
from connector.demo.stage import Progress, references
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


def test_the_dead_letter_is_shown_with_its_reason(played: tuple[str, float]) -> None:
    (row,) = [line for line in played[0].splitlines() if line.startswith("no-file-at-all")]
    assert "dead letter" in row
    assert "NO_FILE" in row


def test_the_end_says_what_to_do_next(played: tuple[str, float]) -> None:
    after = played[0].split("\nNext:\n", 1)[1]
    assert "make demo ARGS=--keep" in after
    assert "extend-connector simulator" in after
    section = re.search(r'README.md, "(.+?)"', after)
    assert section is not None
    assert f"\n## {section[1]}\n" in (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The demo on 80 columns."""
    return subprocess.run(
        [COMMAND, "demo"],
        cwd=tmp_path_factory.mktemp("narrow"),
        env=environment({"COLUMNS": "80", "TERM": "dumb"}),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )


def test_on_80_columns_only_outputs_are_cut(narrow: subprocess.CompletedProcess[str]) -> None:
    output = narrow.stdout
    assert all(f"{document} " in output for document in references())
    assert max(map(len, output.splitlines()), default=0) <= 80
    assert "NO_FILE" in output
    assert "revision 2: " in output


def test_on_80_columns_the_live_table_is_whole() -> None:
    console = Console(width=80, file=StringIO(), force_terminal=False)
    console.print(documents_table(Progress(references())))
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[1].split() == ["run", "type", "open", *STATUSES, "dead", "letter"]
    assert [line.split()[0] for line in lines[2:]] == list(RUN_TYPES)


def test_it_says_nothing_on_stderr_that_a_newcomer_would_worry_about(
    narrow: subprocess.CompletedProcess[str],
) -> None:
    assert not narrow.stderr
