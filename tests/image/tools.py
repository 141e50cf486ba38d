"""Programs, run by the tests of the image."""

from __future__ import annotations

import subprocess

import pytest


def run(*command: str, within: float = 300) -> str:
    """What a command prints. Fails the test with its last words when it fails."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    if ended.returncode != 0:
        said = (ended.stdout + ended.stderr)[-3000:]
        pytest.fail(f"{' '.join(command[:6])} ... ended with {ended.returncode}:\n{said}")
    return ended.stdout
