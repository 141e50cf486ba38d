"""How results and dead letters look on a terminal and in a pipe."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import typer

from connector.cli.framed_results import Reads
from connector.core.accept.dead_letter import CONNECT
from connector.core.formats.avro import Undecodable
from connector.core.record import Record

_RESULT_WIDTHS = {"emitted": 20, "status": 13, "run_type": 9, "revision": 8, "document_id": 20, "run_id": 28}
_LETTER_WIDTHS = {"time": 20, "reason": 22, "source": 32}
_OUTPUT_CHARS = 80


class Lines(Protocol):
    """Prints one record at a time; False means that the record could not be decoded."""

    def result(self, record: Record, reader: Reads) -> bool:
        """Print a result."""

    def dead_letter(self, record: Record) -> bool:
        """Print a dead letter."""


class TableLines:
    """A table whose rows appear as they come: a table that waits for its end cannot be followed.

    Its head comes with the first row: where no broker answers, the error stands alone.
    """

    def __init__(self, *, dead_letters: bool) -> None:
        """Choose a table.

        Args:
            dead_letters: which of the two.
        """
        self._widths = _LETTER_WIDTHS if dead_letters else _RESULT_WIDTHS
        self._last = "message" if dead_letters else "output"
        self._begun = False

    def result(self, record: Record, reader: Reads) -> bool:
        """Print a result."""
        try:
            found = reader.decode(record.value or b"")
        except Undecodable as error:
            typer.echo(f"{record.partition}, offset {record.offset}: {error}", err=True)
            return False
        times = found["times"]
        shown = {
            **found,
            "emitted": moment(times.get("emitted") if isinstance(times, Mapping) else None),
            "run_id": found["run_id"] or "-",
            "document_id": found["document_id"] or "-",
        }
        self._print_row(shown, _summary(found))
        return True

    def dead_letter(self, record: Record) -> bool:
        """Print a dead letter."""
        headers = _last_headers(record)
        source = "/".join(headers.get(f"{CONNECT}{part}", "?") for part in ("topic", "partition", "offset"))
        cells = {
            "time": moment(record.timestamp),
            "reason": headers.get("extend.reason", "?"),
            "source": source,
        }
        self._print_row(cells, headers.get(f"{CONNECT}exception.message", ""))
        return True

    def _print_row(self, cells: Mapping[str, object], last: str) -> None:
        if not self._begun:
            self._begun = True
            typer.echo(_row([*self._widths.items(), (self._last, 0)]))
        typer.echo(_row([*((str(cells[name]), width) for name, width in self._widths.items()), (last, 0)]))


class JsonLines:
    """JSON lines: a result's fields, `output` and `metadata` as JSON and not as text, and its `record`."""

    def result(self, record: Record, reader: Reads) -> bool:
        """Print a result."""
        try:
            found = reader.decode(record.value or b"")
        except Undecodable as error:
            _print({"undecodable": str(error), "record": _record(record)})
            return False
        for name in ("output", "metadata"):
            found[name] = _embedded(found[name])
        _print({**found, "record": _record(record)})
        return True

    def dead_letter(self, record: Record) -> bool:
        """Print a dead letter: what the connector says of it, and the original."""
        headers = _last_headers(record)
        _print(
            {
                "reason": headers.get("extend.reason"),
                "message": headers.get(f"{CONNECT}exception.message"),
                "stage": headers.get(f"{CONNECT}stage"),
                "source": {
                    "topic": headers.get(f"{CONNECT}topic"),
                    "partition": _number(headers.get(f"{CONNECT}partition")),
                    "offset": _number(headers.get(f"{CONNECT}offset")),
                },
                "value": readable(record.value),
                "record": _record(record),
            },
        )
        return True


def _print(line: Mapping[str, object]) -> None:
    typer.echo(to_json(line))


def to_json(value: object) -> str:
    """A value as one line of JSON; exact numbers are numbers."""
    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()


def _record(record: Record) -> dict[str, object]:
    return {
        "topic": record.partition.topic,
        "partition": record.partition.number,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": readable(record.key),
        "headers": [[name, readable(content)] for name, content in record.headers],
    }


def _embedded(text: object) -> object:
    """JSON text as a part of the line: its numbers and texts as they are, on one line."""
    if not isinstance(text, str):
        return None
    try:
        return msgspec.Raw(msgspec.json.format(text, indent=-1).encode())
    except msgspec.DecodeError:
        return text


def readable(content: bytes | None) -> str | dict[str, str] | None:
    """Text where it is text, else an object that says that it is base64."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _last_headers(record: Record) -> dict[str, str]:
    """Headers by name; the connector's own come after the original's of the same name."""
    return {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _summary(found: Mapping[str, object]) -> str:
    if found["failure_reason"]:
        return f"{found['failure_reason']}: {found['failure_message'] or ''}".rstrip(": ")
    output, value = found["output"], found.get("value")
    if value is not None:
        output = to_json(value)
    if not isinstance(output, str):
        return str(found["output_state"])
    line = " ".join(output.split())
    return line if len(line) <= _OUTPUT_CHARS else f"{line[: _OUTPUT_CHARS - 1]}…"


def moment(milliseconds: object) -> str:
    """Milliseconds since the epoch as people read them."""
    if not isinstance(milliseconds, int):
        return "-"
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a timestamp that another producer made up
        return str(milliseconds)


def _row(cells: list[tuple[str, int]]) -> str:
    return "  ".join(printable(text).ljust(width) for text, width in cells).rstrip()


def printable(text: str) -> str:
    """A text without control characters: a file name must not paint the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
