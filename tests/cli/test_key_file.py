"""A key that is changed while a worker runs is checked like the first one, and a wrong one changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from connector.cli.key_file import KeyFile

CANARY = "cAnArY"


def complaints(lines: list[Any]) -> list[str]:
    assert all(line["event"] == "api_key_not_read" for line in lines)
    return [line["problem"] for line in lines]


def test_a_new_key_is_read_without_its_line_break(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"sk_old\n")
    key = KeyFile(str(file))
    assert key.read() == "sk_old"
    file.write_bytes(b"\xef\xbb\xbf sk_new \r\n")
    assert key.read() == "sk_new"


def test_a_key_that_comes_from_elsewhere_is_never_read_again() -> None:
    assert KeyFile(None).read() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sk_\xff" + CANARY.encode(), "no UTF-8 text"),
        (f"{CANARY}\n{CANARY}".encode(), "more than one line"),
        (f"sk_ü{CANARY}".encode(), "HTTP header"),
        (f"sk_ {CANARY}".encode(), "HTTP header"),
        (f"sk_{CANARY}\0".encode(), "more than one line"),
        (b"\n", "is empty"),
        (b"x" * 100_000, "more than 65536 bytes"),
        (None, "cannot be read: no such file"),
    ],
)
def test_what_is_no_key_changes_nothing_and_is_said_once(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    key = KeyFile(str(file))
    with capture_logs() as lines:
        assert [key.read(), key.read(), key.read()] == [None, None, None]
    (complaint,) = complaints(lines)
    assert said in complaint
    assert "extend.api_key_file" in complaint
    assert str(file) in complaint
    assert CANARY not in complaint


def test_after_a_good_key_the_same_mistake_is_said_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = KeyFile(str(file))
    with capture_logs() as lines:
        key.read()
        file.write_text("sk_good")
        assert key.read() == "sk_good"
        file.unlink()
        key.read()
    assert len(complaints(lines)) == 2
