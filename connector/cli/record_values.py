"""Where `plan` takes records' values from that are not in Kafka."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from connector.cli.reference_lines import MOST_BYTES, goes_on, other_form
from connector.core.formats.framing import MARKER

_AVRO = (MARKER, b"\x00")


def values_from(source: str) -> list[tuple[str, bytes]]:
    """The values of a file or of standard input, each with what to call it.

    Args:
        source: a file's name, or ``-``.

    Returns:
        One value for each line that is not empty; the whole content where it is one JSON value over several lines, or
        begins like Avro.

    Raises:
        BadParameter: there is no such file, it is too large, or it holds several JSON values over several lines.
    """
    content = _content(source)
    if content.startswith(_AVRO):
        return [(_name(source), content)]
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and goes_on(lines[0][1]):
        if _is_json(content):
            return [(_name(source), content)]
        form = other_form(lambda: iter(lines))
        if form is not None:
            raise typer.BadParameter(f"{_name(source)}: {form}.")
    return [(f"line {number}", line) for number, line in lines]


def _content(source: str) -> bytes:
    if source == "-":
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    elif not Path(source).is_file():
        raise typer.BadParameter(f"There is no file {source}.")
    else:
        with Path(source).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise typer.BadParameter(f"{_name(source)} is larger than {MOST_BYTES // 2**20} MiB: plan a part of it.")
    return content


def _name(source: str) -> str:
    return "standard input" if source == "-" else source


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
