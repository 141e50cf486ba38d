"""How a version is added."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connector.schema_files import schema_path, version_paths
from tests.schemas.add_version import refresh

FOLDER = schema_path("signal").parent
VERSIONS = version_paths(FOLDER, "signal")


def test_a_new_version_is_kept_with_its_records(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    shutil.copytree(FOLDER, folder)
    shutil.rmtree(folder / "versions" / "signal")
    assert refresh(folder, "signal") == []
    new = folder / "versions" / "signal"
    assert sorted(path.name for path in new.iterdir()) == ["1.avsc", "1.jsonl"]
    assert new.joinpath("1.avsc").read_text() == FOLDER.joinpath("signal.avsc").read_text()
    assert len(new.joinpath("1.jsonl").read_text().splitlines()) == 5


def changed_in(folder: Path, change: Callable[[Any], object]) -> list[str]:
    """Change a copy of the schema of signals, and refresh its versions."""
    shutil.copytree(FOLDER, folder)
    path = folder / "signal.avsc"
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))
    return refresh(folder, "signal")


def test_a_new_field_makes_the_next_version(tmp_path: Path) -> None:
    new = {"name": "route", "type": ["null", "string"], "default": None}
    assert changed_in(tmp_path / "s", lambda schema: schema["fields"].append(new)) == []
    assert [path.stem for path in version_paths(tmp_path / "s", "signal")][-1] == str(len(VERSIONS) + 1)


def test_a_better_doc_makes_no_version(tmp_path: Path) -> None:
    assert changed_in(tmp_path / "s", lambda schema: schema.update(doc="Better.")) == []
    paths = version_paths(tmp_path / "s", "signal")
    assert len(paths) == len(VERSIONS)
    assert json.loads(paths[-1].read_text())["doc"] == "Better."


def test_what_no_version_may_do_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    assert changed_in(tmp_path / "s", lambda schema: schema["fields"].pop()) == ["Signal.message was taken away"]
    assert len(version_paths(tmp_path / "s", "signal")) == len(VERSIONS)
