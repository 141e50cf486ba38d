"""Where `submit` takes its references from: each can be gone through twice, first to check and then to send."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

MOST_BYTES = 64 * 1024 * 1024
"""Of standard input, which is kept in memory because it cannot be read twice."""

_JQ = "one JSON object per line is needed; `jq -c` makes that of"

Lines = Callable[[], Iterator[tuple[int, bytes]]]
"""Goes through the references from the beginning: each with its number, and without empty lines."""


def from_file(path: Path) -> Lines:
    """The lines of a file, which is opened anew each time."""

    def lines() -> Iterator[tuple[int, bytes]]:
        with path.open("rb") as file:
            yield from _numbered(file)

    return lines


def from_stdin() -> Lines:
    """The lines of standard input.

    Raises:
        BadParameter: it is larger than ``MOST_BYTES``.
    """
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise typer.BadParameter(
            f"Standard input is larger than {MOST_BYTES // 2**20} MiB, and is checked to its end before anything is "
            "sent: put it into a file and name that."
        )
    return lambda: _numbered(content.splitlines())


def from_options(references: list[bytes]) -> Lines:
    """References that were put together from options."""
    return lambda: iter(enumerate(references, 1))


def other_form(lines: Lines) -> str | None:
    """What the references are when they are JSON, but not one object per line; None when it does not look like that.

    Said instead of a complaint about each line of a pretty-printed file.
    """
    numbered = lines()
    first = next(numbered, (0, b""))[1]
    if first.startswith(b"["):
        return f"It is a JSON array: {_JQ} it: jq -c '.[]' FILE"
    if first.startswith(b"{") and next(numbered, None) is not None and goes_on(first):
        return f"It holds JSON objects over several lines: {_JQ} them: jq -c . FILE"
    return None


def goes_on(line: bytes) -> bool:
    """Whether a line is the beginning of a JSON text and not a whole one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc.rstrip())
    except (UnicodeDecodeError, RecursionError):
        return False
    return False


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line.strip()


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in short: ``1-3, 7``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
