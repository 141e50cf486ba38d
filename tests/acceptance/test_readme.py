"""The README's worker example, word for word, against a real broker and the simulated API."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chaos.processes import COMMAND, Fleet, environment
from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka
from tests.ports import HOST, free_ports

README = Path(__file__).parents[2] / "README.md"
EXAMPLE = README.read_text(encoding="utf-8").partition("## A worker of your own")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", EXAMPLE, re.DOTALL)


def commands() -> list[list[str]]:
    """The commands of the example, without their comments."""
    lines = (line.partition("#")[0].split() for line in blocks("sh")[0].splitlines())
    return [line for line in lines if line]


@pytest.fixture
def folder(kafka: Kafka, tmp_path: Path) -> Iterator[Path]:
    """A folder with the README's configuration, adapted to where broker, key and API are here."""
    key = tmp_path / "key"
    key.write_text("sk_readme\n", encoding="utf-8")
    with Fleet(tmp_path) as fleet:
        simulator = fleet.simulator("--median", "0.5")
        (port,) = free_ports(1)
        config = yaml.safe_load(blocks("yaml")[0])
        config["kafka"]["bootstrap_servers"] = kafka.bootstrap_servers
        config["extend"] |= {"api_key_file": str(key), "base_url": simulator.base_url}
        config["admin"] = {"port": port, "host": HOST}
        (tmp_path / "connector.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        yield tmp_path


def call(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [COMMAND, *command],
        cwd=folder,
        env=environment({"COLUMNS": "200"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_works_as_it_stands(folder: Path) -> None:
    example = {line[1]: line[2:] for line in commands()}
    assert list(example) == ["check", "topics", "run", "submit", "results"]

    call(folder, "check", *example["check"])
    call(folder, "topics", *example["topics"])
    in_folder = f"cd '{folder}' && exec '{COMMAND}' run"
    worker = ChildProcess("worker", ["sh", "-c", in_folder], folder / "worker.log", environment({}))
    worker.start()
    try:
        call(folder, "submit", *example["submit"])
        lines = call(folder, "results", "--json", "--limit", "1", "--timeout", "40", "--follow").splitlines()
        result = json.loads(lines[0])
        assert worker.terminate(within=25) == 0
    finally:
        worker.kill()

    assert result["document_id"] == "inv-1"
    assert result["status"] == "PROCESSED"
    assert result["run_type"] == "extract"
