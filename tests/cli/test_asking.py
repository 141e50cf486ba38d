"""A person who waits for a broker sees for which."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "EXTEND_API_KEY": "sk_test", "TERM": "xterm"}


def test_on_a_terminal_the_wait_is_shown_and_then_one_sentence(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "connector", "topics"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, **SETTINGS},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # Linux' way to say that nobody holds the other end
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        assert process.wait(30) == 1
    assert b"Asking 127.0.0.1:1" in shown
    assert b"kafka_client" not in shown
    assert shown.count(b"No broker of kafka.bootstrap_servers") == 1
