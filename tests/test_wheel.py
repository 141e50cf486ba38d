"""The wheel that is shipped works without the checkout that it was built from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*build, "--wheel-dir", folder, ROOT],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_the_schemas_and_the_licence_and_nothing_else(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "schemas").rglob("*") if path.is_file()]
    schemas = {f"connector/{path.relative_to(ROOT).as_posix()}" for path in files}

    assert schemas
    assert schemas <= names
    assert {"connector/__init__.py", "connector/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"connector", "extend_kafka_connector"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_wheel_runs_on_every_platform(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_code_in_the_wheel_finds_its_schemas_there(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path)
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]);"
        "import connector, connector.schema_files as files;"
        "assert pathlib.Path(connector.__file__).is_relative_to(sys.argv[1]);"
        "print(files.load_schema('run_result')['name'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.strip()
