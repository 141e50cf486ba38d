"""What every benchmark on a broker needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import Stage
from tests.chaos.processes import COMMAND, Fleet
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName

COMMAND_VARIABLE = "BENCHMARK_COMMAND"
"""Another command than the installed one, e.g. one with a profiler around it."""


@pytest.fixture
def stage(kafka: Kafka, unique_name: UniqueName, tmp_path: Path) -> Iterator[Stage]:
    """A connector of this benchmark's own; its processes end with the benchmark."""
    command = Path(os.environ.get(COMMAND_VARIABLE, COMMAND))
    with Fleet(tmp_path, command=command) as fleet:
        yield Stage(kafka, unique_name("bench"), tmp_path, fleet, command=command)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Figures]]:
    """Makes this benchmark's table, which is printed at its end."""
    made: list[Figures] = []

    def make(title: str) -> Figures:
        made.append(Figures(title, f'make bench ARGS="-k {request.node.name}"'))
        return made[-1]

    yield make
    for each in made:
        print(each)  # noqa: T201 - printing is what a benchmark is for
