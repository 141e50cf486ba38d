"""What operators call, called wrongly or without a key, as processes; there is no broker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TAG = "c/in/0/1#aaaaaaaaaaaaaaaaaaaaaa"
SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "connector", *arguments],
        cwd=folder,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inflight", "--state", "strated"), "did you mean started?"),
        (("inflight", "--state", "gone"), "intent, ready, started, review, parked"),
        (("inflight", "--limit", "0"), "--limit"),
        (("explain",), "Give either WHAT"),
        (("explain", "exr_1", "--key", "k"), "Give either WHAT"),
        (("explain", "a/b"), "topic/partition/offset"),
        (("replay", "--result", "exr_1"), "takes a tag: name/topic/partition/offset#hash"),
        (("replay", "--result", TAG, "--reason", "NO_ROUTE"), "--result goes with --again and --yes alone"),
        (("replay", "send", "in/0/1", "--result", TAG), "--result goes with --again and --yes alone"),
        (("parked", "adop"), "did you mean adopt?"),
        (("parked", "list", TAG), "list takes no TAG"),
        (("parked", "adopt", TAG), "adopt needs one"),
        (("parked", "adopt", TAG, "not a run"), "not the id of a run"),
        (("parked", "adopt", "c/in/0/1", "exr_1"), "TAG is not a tag"),
        (("parked", "drop", TAG, "exr_1"), "RUN_ID goes with adopt"),
        (("parked", "drop"), "TAG is not a tag"),
        (("parked", "drop", TAG, "--accept-cost"), "--accept-cost goes with start"),
        (("parked", "start", TAG), "may pay for a second one"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = run(tmp_path, *arguments)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.replace("│", " ").split())


def test_a_result_of_another_connector_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_test")
    (tmp_path / "connector.yaml").write_text("name: other\nextend: {api_key_file: key}\n")
    ended = run(tmp_path, "replay", "--result", TAG, "--yes")
    assert ended.returncode == 2
    assert "The tag is one of the connector c" in " ".join(ended.stderr.replace("│", " ").split())


def test_what_is_wrong_beside_the_api_is_told(tmp_path: Path) -> None:
    (tmp_path / "connector.yaml").write_text("name: c\nextend: {api_key_file: absent}\nstart: {settle: 1s}\n")
    ended = run(tmp_path, "inflight")
    assert ended.returncode == 2
    assert "start.settle" in ended.stderr
    assert "extend.api_key_file" in ended.stderr


@pytest.mark.parametrize("line", ["inflight", "topics", "results", "submit --url https://x.example/a.pdf"])
def test_without_a_key_the_broker_is_asked_all_the_same(tmp_path: Path, line: str) -> None:
    (tmp_path / "connector.yaml").write_text("name: c\nextend: {api_key_file: absent}\nroutes: {in: {run: parse}}\n")
    ended = run(tmp_path, *line.split())
    assert ended.returncode == 1
    assert ended.stderr.startswith("No broker of kafka.bootstrap_servers (127.0.0.1:1) answered in time")
