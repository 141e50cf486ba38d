"""The hash-pinned requirement files fit pyproject.toml and each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
RUN = PROJECT["project"]["dependencies"]


def pins(name: str) -> dict[str, tuple[str, list[str]]]:
    """Reads a lock: name to version and hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    read: dict[str, tuple[str, list[str]]] = {}
    for line in lines:
        match = re.fullmatch(r"([\w.-]+)==([^\s;]+)(?: ;[^-]+)?((?:\s+--hash=sha256:[0-9a-f]{64})*)\s*", line)
        assert match, f"requirements/{name}.txt: {line[:80]!r} is no pin"
        read[canonicalize_name(match[1])] = (match[2], match[3].split())
    return read


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("run", RUN),
        ("dev", [*RUN, *GROUPS["dev"]]),
        ("build", [*PROJECT["build-system"]["requires"], *GROUPS["build"]]),
        ("sbom", GROUPS["sbom"]),
        ("lock", GROUPS["lock"]),
    ],
)
def test_a_lock_holds_a_fitting_version_of_everything_that_is_asked_for(lock: str, wanted: list[str]) -> None:
    held = pins(lock)
    requirements = [Requirement(text) for text in wanted]
    missing = [text.name for text in requirements if canonicalize_name(text.name) not in held]
    unfit = [
        str(requirement)
        for requirement in requirements
        if requirement.name not in missing
        and not requirement.specifier.contains(held[canonicalize_name(requirement.name)][0])
    ]

    assert (missing, unfit) == ([], []), "run `make lock`"


@pytest.mark.parametrize("lock", ["run", "dev", "build", "sbom", "lock"])
def test_every_pin_has_hashes(lock: str) -> None:
    assert [name for name, (_, hashes) in pins(lock).items() if not hashes] == []


@pytest.mark.parametrize("name", ["confluent-kafka", "msgspec", "pydantic-core"])
def test_a_compiled_package_is_pinned_for_every_python_and_platform_that_is_supported(name: str) -> None:
    pythons, platforms = 3, 2

    assert len(pins("run")[name][1]) >= pythons * platforms


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    run, dev = pins("run"), pins("dev")

    assert {name: dev.get(name) for name in run} == run


def test_what_builds_the_wheel_fits_into_the_environment_of_the_tests() -> None:
    build, dev = pins("build"), pins("dev")

    assert {name: dev[name] for name in build.keys() & dev.keys()} == {
        name: build[name] for name in build.keys() & dev.keys()
    }
