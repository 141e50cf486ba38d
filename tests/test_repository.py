"""What must hold for the files of the repository as a whole."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from connector import __version__

ROOT = Path(__file__).parents[1]

# Written so that this file does not match itself.
ADDRESSES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|proxy[.]golang|repo1?[.]maven|"
    r"(?<!no-emit-)(?:index[-]url|find[-]links)|PIP_(?:INDEX|FIND)\w+\s*=",
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(r"(?<![\w.{}~-])/(?:[h]ome|[r]oot|[w]ork|Users)/[\w.]|/tmp[/]team")
FORGOTTEN = re.compile(r"\b(?:TO[D]O|FIX[M]E|HAC[K])\b")


def ignored() -> list[str]:
    return [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Yields what is, or could be, committed; without git, because an unpacked archive has none."""
    names = [".git", *ignored()]
    for path in sorted(folder.iterdir()):
        if any(fnmatchcase(path.name, name) for name in names):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def found(pattern: re.Pattern[str]) -> list[str]:
    places = []
    for path in files():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if pattern.search(line):
                places.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return places


@pytest.mark.parametrize("pattern", [ADDRESSES, MACHINE_PATHS, FORGOTTEN], ids=["address", "path", "forgotten"])
def test_no_file_names_a_registry_or_a_machine_or_unfinished_work(pattern: re.Pattern[str]) -> None:
    assert found(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (ADDRESSES, "--ind" + "ex-url https://packages.example.com/simple"),
        (ADDRESSES, "--find" + "-links /opt/wheels"),
        (ADDRESSES, "https://files.python" + "hosted.org/packages/x.whl"),
        (MACHINE_PATHS, "    #   via -r /" + "work/main/pyproject.toml"),
        (MACHINE_PATHS, "cache = '/" + "root/.cache'"),
        (FORGOTTEN, "# TO" + "DO: later"),
    ],
)
def test_what_must_not_be_committed_would_be_found(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_the_walk_sees_the_files_that_matter() -> None:
    seen = {path.relative_to(ROOT).as_posix() for path in files()}

    assert {
        "Makefile",
        ".ci/run",
        "connector/__init__.py",
        "requirements/run.txt",
        "tests/test_repository.py",
    } <= seen
    assert not any(name.startswith((".git/", ".venv/")) for name in seen)


def version_key(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_the_version_is_the_newest_in_the_changelog_or_newer_while_there_are_unreleased_changes() -> None:
    sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    titles = [section.splitlines()[0].split(" ")[0] for section in sections]
    released = [title for title in titles if title != "Unreleased"]
    unreleased = titles[:1] == ["Unreleased"] and "\n- " in sections[0]

    assert titles.count("Unreleased") <= 1
    assert released == sorted(released, key=version_key, reverse=True)
    if unreleased:
        assert not released or version_key(__version__) > version_key(released[0])
    else:
        assert released
        assert __version__ == released[0]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_make_alone_prints_every_target_with_what_it_does() -> None:
    # The tests may themselves run under make, whose variables change what a make below it prints.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    printed = subprocess.run(
        ["make"],  # noqa: S607 - whichever make the machine has
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    described = {line.split()[1]: line.split(maxsplit=2)[2] for line in printed.splitlines()}

    assert described.keys() == targets()
    assert all(described.values())


def test_every_target_is_phony_so_that_a_file_of_its_name_cannot_hide_it() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)

    assert phony
    assert set(phony[1].split()) == targets()


def test_contributing_lists_every_target() -> None:
    listed = set(re.findall(r"^\| `make ([\w-]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE))

    assert listed == targets()


def test_contributing_says_what_each_folder_of_tests_needs_and_proves() -> None:
    folders = {path.parent.relative_to(ROOT).parts[1] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    listed = set(re.findall(r"^\| `tests/(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE))

    assert folders
    assert folders - listed == set()
