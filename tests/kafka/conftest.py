"""Projects on the broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName
from tests.kafka.journal_writer import JournalWriter
from tests.kafka.project import Project, project_in


@pytest.fixture
def project(tmp_path: Path, kafka: Kafka, unique_name: UniqueName) -> Project:
    names = [unique_name(part)[:100] for part in ("c", "in", "out")]
    return project_in(tmp_path, kafka.bootstrap_servers, *names)


@pytest.fixture
def made(project: Project) -> Project:
    ended = project.run("topics", "--create", "--input", "--partitions", "2")
    assert ended.code == 0, ended.err
    return project


@pytest.fixture
def journal(made: Project) -> JournalWriter:
    """Writes what a worker of this project would have written."""
    return JournalWriter(made)
