"""Programs of Debian packages: used where they are, fetched where that can be, and otherwise not there."""

from __future__ import annotations

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
