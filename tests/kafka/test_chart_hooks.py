"""What the chart's hooks run, in the order of a release, on a real broker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from connector.simulator.server import SimulatorServer
from tests.chart.engine import config, smallest
from tests.chart.inside import Container, containers_of
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


def ended(container: Container) -> tuple[int, str]:
    """Run it as a process: its exit code and what it said."""
    process = subprocess.run(
        [sys.executable, "-m", "connector", *container.args],
        env={**os.environ, **container.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return process.returncode, process.stdout + process.stderr


async def test_the_job_makes_the_topics_and_the_test_finds_them_right(
    kafka: Kafka, unique_name: UniqueName, tmp_path: Path
) -> None:
    name, topic = unique_name("hooks"), unique_name("input")
    async with SimulatorServer() as simulator:
        sections = {
            "name": name,
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
            "extend": {"api_key_file": "/run/secrets/extend-connector/extend-api-key", "base_url": simulator.base_url},
            "routes": {"documents": {"topic": topic, "run": "parse"}},
        }
        release = smallest(config=config(**sections), topics={"create": True, "createInputs": True, "partitions": 2})
        found = containers_of(release, tmp_path)
        (job,) = [each for each in found if "--create" in each.args]
        (check,) = [each for each in found if each.command == "check"]
        (doctor,) = [each for each in found if each.command == "doctor"]

        code, _ = await asyncio.to_thread(ended, check)
        assert code == 0
        code, said = await asyncio.to_thread(ended, doctor)
        assert code == 1
        assert topic in said
        code, said = await asyncio.to_thread(ended, job)
        assert code == 0, said
        assert f"{name}.journal (2 x 1)" in said
        code, said = await asyncio.to_thread(ended, doctor)
        assert code == 0, said
        # An upgrade runs it again.
        code, said = await asyncio.to_thread(ended, job)
        assert code == 0
        assert "Nothing was made" in said
