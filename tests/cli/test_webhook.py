"""`webhook` while it starts, as a process; there is no broker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "wss_EXAMPLE_ONLY_not_a_real_secret"


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "connector", "webhook", *words],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"EXTEND_WEBHOOK_SECRET": ""},
        {"EXTEND_WEBHOOK_SECRET": "short"},
        {"CONNECTOR__WEBHOOK__SECRET_FILES": "[no]"},
    ],
    ids=["none", "empty", "short", "no file"],
)
def test_without_a_secret_it_refuses_to_start(tmp_path: Path, environ: dict[str, str]) -> None:
    ended = run(tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", CONNECTOR__NAME="invoices", **environ)
    assert ended.returncode == 2
    assert "webhook" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_broker_it_ends_with_a_sentence_and_needs_no_api_key(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    files = {"CONNECTOR__WEBHOOK__SECRET_FILES": "[secret]", "CONNECTOR__NAME": "invoices"}
    ended = run(tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", **files)
    assert ended.returncode == 1
    assert "127.0.0.1:1" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr


def test_a_test_event_to_nowhere_ends_with_a_sentence(tmp_path: Path) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CONNECTOR__NAME": "invoices", "EXTEND_WEBHOOK_SECRET": SECRET}
    assert run(tmp_path, "send", **environ).returncode == 2
    assert run(tmp_path, "throw", **environ).returncode == 2
    assert run(tmp_path, "send", "http://127.0.0.1:1/", "--tag", "none", **environ).returncode == 2
    ended = run(tmp_path, "send", "http://127.0.0.1:1/", **environ)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
