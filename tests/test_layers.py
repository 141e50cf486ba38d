"""Who imports whom is as the tables in CONTRIBUTING.md say."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "connector"


class Rules(NamedTuple):
    """What the tables allow.

    Attributes:
        parts: part (first name below the package, may hold ``*``) to the names that it may import.
        libraries: import name to the files, or folders with a slash at the end, that may import it.
        impure: dotted names that the core never touches.
    """

    parts: dict[str, tuple[str, ...]]
    libraries: dict[str, tuple[str, ...]]
    impure: frozenset[str]


def table(document: str, heading: str) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yields the names in backticks of every row of the table under a heading, cell by cell."""
    section = document.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    for row in rows:
        yield tuple(tuple(re.findall(r"`([^`]+)`", cell)) for cell in row.strip("|").split("|"))


def read_rules(document: str) -> Rules:
    return Rules(
        parts={part: row[-1] for row in table(document, "Who may import whom") for part in row[0]},
        libraries={name: row[1] for row in table(document, "Who may import a library") for name in row[0]},
        impure=frozenset(name for row in table(document, "What the core may not touch") for name in row[0]),
    )


DOCUMENT = (ROOT / "CONTRIBUTING.md").read_text()
RULES = read_rules(DOCUMENT)


def used_names(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields line and full dotted name of everything that a file imports."""
    package = Path(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def called_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields line and name of every call, as it is written: ``open`` or ``datetime.now``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.lineno, ast.unparse(node.func)


def covers(allowed: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in allowed)


def impure_import(name: str) -> bool:
    """Tells whether a name is listed, inside a listed one, or a module that gives access to a listed one."""
    if name in {"datetime", "datetime.datetime", "datetime.date"}:
        return False  # its classes are values; only the calls that read the clock are refused
    return any(f"{name}.".startswith(f"{bad}.") or bad.startswith(f"{name}.") for bad in RULES.impure)


def impure_call(name: str) -> bool:
    return any(bad == name or ("." in name and bad.endswith(f".{name}")) for bad in RULES.impure)


def violations(path: str, source: str) -> list[str]:
    """Lists what a file of the package may not import or call.

    Args:
        path: relative to the repository, e.g. ``connector/core/tag.py``.
        source: its text.
    """
    tree = ast.parse(source)
    part = Path(path).parts[1].removesuffix(".py")
    pure = part == "core"
    allowed = next((names for pattern, names in RULES.parts.items() if fnmatchcase(part, pattern)), None)
    found = []
    if allowed is None and part != "__init__":
        found.append(f"{path}: CONTRIBUTING.md has no row for the part {part}")
    for line, name in used_names(path, tree):
        root, _, rest = name.partition(".")
        if root == PACKAGE:
            if rest not in {"", "__version__"} and not covers((part, *(allowed or ())), rest):
                found.append(f"{path}:{line}: {part} may not import {name}")
        elif root not in sys.stdlib_module_names:
            places = RULES.libraries.get(root, ())
            if not any(path == place or (place.endswith("/") and path.startswith(place)) for place in places):
                found.append(f"{path}:{line}: {root} may be imported only in {', '.join(places) or 'no file'}")
        elif pure and impure_import(name):
            found.append(f"{path}:{line}: the core may not import {name}")
    if pure:
        found += [
            f"{path}:{line}: the core may not call {name}" for line, name in called_names(tree) if impure_call(name)
        ]
    return found


FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_a_file_imports_only_what_its_row_allows(path: str) -> None:
    assert violations(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("connector/core/tag.py", "from connector.config import load"),
        ("connector/core/tag.py", "from ..adapters import http"),
        ("connector/core/deep/tag.py", "from ...clock import Clock"),
        ("connector/core/tag.py", "import os.path"),
        ("connector/core/tag.py", "from os import path"),
        ("connector/core/tag.py", "import pathlib"),
        ("connector/core/tag.py", "from pathlib import Path"),
        ("connector/core/tag.py", "import urllib.request"),
        ("connector/core/tag.py", "def f():\n    import time"),
        ("connector/core/tag.py", "import datetime\ndatetime.datetime.now()"),
        ("connector/core/tag.py", "from datetime import datetime\ndatetime.now(None)"),
        ("connector/core/tag.py", "open('x')"),
        ("connector/core/tag.py", "import fastavro"),
        ("connector/core/tag.py", "import hypothesis"),
        ("connector/adapters/http.py", "import confluent_kafka"),
        ("connector/adapters/http.py", "import connector.journal.restore"),
        ("connector/adapters/kafka.py", "import confluent_kafka"),
        ("connector/start.py", "from connector import follow"),
        ("connector/start.py", "if TYPE_CHECKING:\n    from connector.worker import Worker"),
        ("connector/client.py", "from connector.adapters.kafka import admin"),
        ("connector/simulator/app.py", "from connector.adapters.server import serve"),
        ("connector/worker.py", "import typer"),
        ("connector/helpers.py", ""),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str) -> None:
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "connector/core/tag.py",
            "from pathlib import PurePosixPath\nfrom urllib.parse import quote\nimport hashlib",
        ),
        ("connector/core/tag.py", "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)"),
        ("connector/core/formats/avro.py", "from fastavro import parse_schema\nfrom .tag import Tag"),
        ("connector/adapters/kafka/admin.py", "import confluent_kafka.admin, time"),
        (
            "connector/client.py",
            "from connector.adapters.http import HttpApi\nfrom connector import __version__",
        ),
        ("connector/demo_table.py", "from connector.simulator.app import app"),
        ("connector/cli/demo.py", "from connector.demo_table import show\nimport rich.live"),
    ],
)
def test_an_allowed_import_is_not_found(path: str, source: str) -> None:
    assert violations(path, source) == []


def test_every_part_in_the_table_exists() -> None:
    parts = {Path(path).parts[1].removesuffix(".py") for path in FILES}

    assert [row for row in RULES.parts if not any(fnmatchcase(part, row) for part in parts)] == []


def test_every_name_that_may_be_imported_has_a_row_itself() -> None:
    named = {name.split(".")[0] for names in RULES.parts.values() for name in names}

    assert named - RULES.parts.keys() == set()


def test_the_libraries_in_the_table_are_the_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", text)[0] for text in project["dependencies"]}
    first_names = [row[0][0] for row in table(DOCUMENT, "Who may import a library")]
    distributions = packages_distributions()

    for_others = {"sniffio"}  # httpcore asks for it at every request; see docs/decisions.md
    assert {distributions[name][0].lower().replace("_", "-") for name in first_names} == declared - for_others
