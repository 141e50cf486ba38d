"""`run` while it starts, as a process; there is no broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "EXTEND_API_KEY": "sk_test"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_topics_are_looked_at_ends_with_0_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "connector", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **SETTINGS},
    ) as process:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["event"] == "starting"
        time.sleep(0.5)  # now it waits for a broker; a look takes much longer
        begun = time.monotonic()
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(30) == 0, rest
        took = time.monotonic() - begun
    assert took < 5
    assert b"Traceback" not in rest
    assert json.loads(rest.splitlines()[-1])["event"] == "stopped_while_starting"
