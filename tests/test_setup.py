"""The set-up of a checkout names what is missing, in one sentence; CI fails whenever the tests do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Stands for a Python: answers the version check, makes .venv out of itself, and lets pip fail as told.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit {old} ;;
    *ensurepip*) exit {no_venv} ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip --version") exit 0 ;;
    "-m pip install"*) echo "{pip}" >&2; exit {pip_code} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, in a folder whose name has a space."""
    folder = tmp_path / "a checkout"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "requirements/install.sh", folder / "requirements")
    return folder


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def install(checkout: Path, *, old: int = 0, no_venv: int = 0, pip: str = "", pip_code: int = 0) -> tuple[int, str]:
    """Runs the set-up with a Python that behaves as told; returns its exit code and stderr."""
    text = PYTHON.format(old=old, no_venv=no_venv, pip=pip, pip_code=pip_code)
    python = program(checkout.parent / "bin" / "python3", text)
    done = subprocess.run(
        ["/bin/sh", "requirements/install.sh"],
        cwd=checkout,
        env={"PATH": os.defpath, "HOME": str(checkout.parent / "nowhere"), "PYTHON": str(python)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


def one_sentence(text: str) -> bool:
    return text.endswith(".\n") and text.count("\n") == 1


def test_a_set_up_that_succeeds_leaves_its_stamp_and_says_nothing_on_stderr(checkout: Path) -> None:
    assert install(checkout) == (0, "")
    assert (checkout / ".venv/.installed").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"old": 1}, "Python 3.11 or newer"),
        ({"no_venv": 1}, "python3-venv"),
        ({"pip_code": 1, "pip": "Retrying (Retry(total=0)) after connection broken"}, "check the network"),
        ({"pip_code": 1, "pip": "THESE PACKAGES DO NOT MATCH THE HASHES"}, "by its hash"),
        ({"pip_code": 1, "pip": "No space left on device"}, ".venv/install.log"),
    ],
    ids=["old python", "no venv", "no network", "wrong hash", "disk full"],
)
def test_a_missing_piece_is_named_in_one_sentence(checkout: Path, fault: dict[str, int | str], words: str) -> None:
    code, said = install(checkout, **fault)  # type: ignore[arg-type] # the values differ in type by key

    assert code == 1
    assert words in said
    assert one_sentence(said)
    assert not (checkout / ".venv/.installed").exists()


def test_no_python_at_all_is_named_in_one_sentence(checkout: Path) -> None:
    tools = checkout.parent / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to(shutil.which("dirname") or "/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", "requirements/install.sh"],
        cwd=checkout,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert "was not found" in done.stderr
    assert one_sentence(done.stderr)


@pytest.mark.parametrize(("ends_with", "expected"), [(0, 0), (1, 1), (2, 2), (5, 5)])
def test_ci_ends_as_make_test_ends(tmp_path: Path, ends_with: int, expected: int) -> None:
    program(tmp_path / "make", f'#!/bin/sh\n[ "$*" = test ] || exit 99\nexit {ends_with}\n')
    done = subprocess.run(
        [ROOT / ".ci/run"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        timeout=30,
        check=False,
    )

    assert done.returncode == expected


def test_make_fails_when_pytest_finds_no_test() -> None:
    # The tests may themselves run under make, with flags and arguments that a make below it would take over.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", "test"],  # noqa: S607 - whichever make the machine has
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pytests = [line for line in recipe.splitlines() if " pytest " in line]
    for_all = pytests[-1]

    assert len(pytests) > 1, "make check belongs to make test"
    assert "||" not in for_all
    assert ";" not in for_all
    makefile = (ROOT / "Makefile").read_text()
    assert not re.search(r"^\t@?-[^-]", makefile, flags=re.MULTILINE), (
        "a recipe line that starts with - hides its failure"
    )
    assert ".IGNORE" not in makefile
