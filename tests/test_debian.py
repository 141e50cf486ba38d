"""Programs of Debian packages: used where they are, fetched where that can be, and otherwise not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import debian


def test_a_program_that_is_installed_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "a-program"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert debian.find_program("a-program", ("a-package",)) == program


def test_a_machine_without_apt_has_none_and_the_test_is_skipped_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    with pytest.raises(pytest.skip.Exception, match=r"not installed.*install Debian's package a-package\.$"):
        debian._program("another-program", ("a-package",))


def test_a_package_that_cannot_be_fetched_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apt-get", "dpkg-deb"):
        command = tmp_path / name
        command.write_text("#!/bin/sh\nexit 100\n", encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    assert debian.find_program("a-third-program", ("a-package",)) is None
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_package_that_holds_other_programs_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {
        "apt-get": f'for last; do :; done; echo "$last" >> {tmp_path}/log; touch "$last.deb"',
        "dpkg-deb": 'mkdir -p "$3/usr/bin"; touch "$3/usr/bin/the-program-of-$3"',
    }
    for name, script in commands.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    for _ in range(2):
        debian.find_program.cache_clear()  # as in another run of the tests
        found = debian.find_program("the-program-of-second", ("first", "second"))
        assert found == tmp_path / "cache" / "second" / "usr" / "bin" / "the-program-of-second"
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["first", "second"]


@pytest.mark.parametrize(
    ("answers", "steps", "installed"),
    [
        ([0, 0], ["fetch", "install"], True),
        ([0, 100], ["fetch", "install"], False),
        ([100, 0, 0, 0], ["fetch", "update", "fetch", "install"], True),
        ([100, 0, 100], ["fetch", "update", "fetch"], False),
        ([100, 100], ["fetch", "update"], False),
    ],
)
def test_only_what_waits_for_a_server_is_ever_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[int], steps: list[str], *, installed: bool
) -> None:
    seen: list[tuple[str, bool]] = []

    def run(command: Sequence[str], *, timeout: float | None, **_: object) -> subprocess.CompletedProcess[bytes]:
        step = "fetch" if "--download-only" in command else "update" if "update" in command else "install"
        seen.append((step, timeout is not None))
        return subprocess.CompletedProcess(command, answers[len(seen) - 1])

    monkeypatch.setattr(debian, "CACHE", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(subprocess, "run", run)
    assert debian._install("a-package") is installed
    assert seen == [(step, step != "install") for step in steps]
