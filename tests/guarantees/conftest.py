"""Fixtures for tests that run the worker against the real broker."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import Fleet
from tests.guarantees.running import Lines
from tests.guarantees.scene import Scene, open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName


@pytest.fixture
async def scene(kafka: Kafka, unique_name: UniqueName) -> AsyncIterator[Scene]:
    """A connector with two input partitions whose runs end at the first look."""
    async with open_scene(kafka, unique_name("g")) as made:
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Processes that do not outlive the test."""
    with Fleet(tmp_path) as made:
        yield made


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the connector logs meanwhile."""
    handler = Lines()
    logger = logging.getLogger("connector")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
