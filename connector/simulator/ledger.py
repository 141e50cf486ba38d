"""The books: every run that was ever created, and every create that a fault withheld, before anybody hears of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from connector.simulator.fields import timestamp
from connector.simulator.run import SimulatedRun, tag_in


class Book:
    """JSON lines in the order of what happened, in memory and in a file. Lines never change again."""

    def __init__(self, path: Path | None) -> None:
        self._lines: list[bytes] = []
        # Unbuffered: a line has left the process when `append` returns.
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Note something.

        Raises:
            OSError: the file cannot be written.
        """
        line = msgspec.json.encode(entry) + b"\n"
        self._lines.append(line)
        if self._file is not None:
            os.write(self._file, line)

    def lines(self) -> bytes:
        """The whole book as JSON lines."""
        return b"".join(self._lines)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Ledger(Book):
    """A line for each run. It is what money was spent on."""

    def write(self, run: SimulatedRun) -> None:
        """Note a run.

        Raises:
            OSError: the file cannot be written.
        """
        self.append(
            {
                "tag": run.tag(),
                "run_id": run.id,
                "run_type": run.run_type.name,
                "metadata": run.request().get("metadata"),
                "file_name": run.file_name,
                "time": timestamp(run.created_ms),
            },
        )


class Withheld(Book):
    """A line for each create that came in whole, and that a fault kept from creating a run, for ever or at first."""

    def write(self, run_type: str, body: Mapping[str, Any], file_name: str, now_ms: int) -> None:
        """Note a create.

        Raises:
            OSError: the file cannot be written.
        """
        self.append({"tag": tag_in(body, file_name), "run_type": run_type, "time": timestamp(now_ms)})
