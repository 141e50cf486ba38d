"""`schemas`: what the registry has, and what it would take, before anything is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.schema_files import load_schema
from tests.fakes.registry import FakeRegistry

SCHEMA: dict[str, Any] = load_schema("run_result")
TEXT = json.dumps(SCHEMA)
PROCESSED = "documents.processed-value"


def without(field: str) -> str:
    return json.dumps({**SCHEMA, "fields": [each for each in SCHEMA["fields"] if each["name"] != field]})


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


class Shell:
    """Runs commands beside a configuration without brokers and without a key."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.configure(f"schema_registry: {{url: '{url}'}}")

    def configure(self, registry: str) -> None:
        (self._folder / "connector.yaml").write_text(f"name: invoices\n{registry}\noutput: {{prefix: documents}}\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "connector", "schemas", *arguments],
            cwd=self._folder,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def shell(tmp_path: Path, server: FakeRegistry) -> Shell:
    return Shell(tmp_path, server.url)


def test_a_schema_is_listed_checked_registered_and_shown(shell: Shell, server: FakeRegistry) -> None:
    server.shelf.put(PROCESSED, without("credits"))
    server.shelf.put("documents.failed-value", TEXT)
    states = {
        line["subject"]: line["state"] for line in map(json.loads, shell.run("list", "--json").stdout.splitlines())
    }
    assert states[PROCESSED] == "different"
    assert states["documents.failed-value"] == "equal"
    assert states["documents.rejected-value"] == "missing"

    checked = shell.run("check")
    assert checked.returncode == 0, checked.stdout
    assert (
        f"{PROCESSED}: not registered, and compatible; `extend-connector schemas register` has to come"
        in checked.stdout
    )
    assert "documents.rejected-value: no such subject yet." in checked.stdout
    assert server.shelf.by_subject.keys() == {PROCESSED, "documents.failed-value"}

    registered = shell.run("register")
    assert registered.returncode == 0, registered.stderr
    assert f"{PROCESSED}: registered, id 2." in registered.stdout
    assert "documents.failed-value: there already, version 1, id 2." in registered.stdout
    assert {line["state"] for line in map(json.loads, shell.run("list", "--json").stdout.splitlines())} == {"equal"}

    for what in (PROCESSED, "2"):
        assert json.loads(shell.run("show", what).stdout) == SCHEMA
    assert json.loads(shell.run("show", PROCESSED, "--own").stdout) == SCHEMA


def test_an_incompatible_change_is_refused_before_a_deployment(shell: Shell, server: FakeRegistry) -> None:
    server.shelf.put(PROCESSED, without("run_type"))  # which has no default
    checked = shell.run("check")
    assert checked.returncode == 1
    assert f"{PROCESSED}: not compatible with what is registered.\n  READER_FIELD_MISSING_DEFAULT" in checked.stdout
    (wrong,) = (
        line for line in map(json.loads, shell.run("check", "--json").stdout.splitlines()) if not line["starts"]
    )
    assert (wrong["subject"], wrong["compatible"]) == (PROCESSED, False)

    registered = shell.run("register")
    assert registered.returncode == 1
    assert f"{PROCESSED}: refused." in registered.stderr
    assert "documents.failed-value: registered" in registered.stdout


def test_every_command_says_what_is_wrong(shell: Shell, server: FakeRegistry) -> None:
    assert "has no subject nothing" in shell.run("show", "nothing").stderr
    assert shell.run("show", "7").stderr.endswith("schema id 7: no schema has this id.\n")
    assert "did you mean" in shell.run("show", "documents.procesed-value", "--own").stderr
    server.broken = 503
    down = shell.run("check")
    assert (down.returncode, down.stdout) == (1, "")
    assert down.stderr == f"The schema registry {server.url} answered with 503.\n"
    shell.configure("")
    missing = shell.run("list")
    assert missing.returncode == 2
    assert missing.stderr.startswith("schema_registry.url: is missing")
    assert shell.run("nonsense").returncode == 2
