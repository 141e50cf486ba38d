"""The ledger: every run that was ever created, written before anybody hears of it. It is what money was spent on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from connector.simulator.fields import timestamp
from connector.simulator.run import SimulatedRun


class Ledger:
    """A line for each run in the order of their creation, in memory and in a file. Lines never change again."""

    def __init__(self, path: Path | None) -> None:
        self._lines: list[bytes] = []
        # Unbuffered: a line has left the process when `write` returns.
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, run: SimulatedRun) -> None:
        """Note a run.

        Raises:
            OSError: the file cannot be written.
        """
        line = _line(run)
        self._lines.append(line)
        if self._file is not None:
            os.write(self._file, line)

    def lines(self) -> bytes:
        """The whole ledger as JSON lines."""
        return b"".join(self._lines)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _line(run: SimulatedRun) -> bytes:
    entry: dict[str, Any] = {
        "tag": run.tag(),
        "run_id": run.id,
        "run_type": run.run_type.name,
        "metadata": run.request().get("metadata"),
        "file_name": run.file_name,
        "time": timestamp(run.created_ms),
    }
    return msgspec.json.encode(entry) + b"\n"
