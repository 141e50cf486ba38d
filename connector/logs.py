"""Logs: one event per line, with its fields, and without secrets.

``from connector.logs import logger`` everywhere; ``configure`` once, in the command. A line about a document
is written through ``about(entry)``, so that tag, route and run id stand on it. Lines of libraries go the same
way, from WARNING on. Writing a line never raises, whatever became of stderr: the work goes on.
"""

from __future__ import annotations

import json as json_format
import logging
import math
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from connector.core.entry import Entry
from connector.core.redaction import HIDDEN, Redactor, names_a_secret
from connector.core.tag import Tag

LEVELS = ("debug", "info", "warning", "error")

MAX_CHARS = 8192
"""Longest text that a field keeps: a stack trace fits, a document does not."""

_MAX_DEPTH = 6
_redactor = Redactor()

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("connector")


def register_secret(value: str) -> None:
    """Never show this value in a log line again."""
    _redactor.register(value)


def is_debugging() -> bool:
    """Whether lines at level ``debug`` are written; even making one that is not takes 30 us."""
    return logging.getLogger("connector").isEnabledFor(logging.DEBUG)


def redact(text: str) -> str:
    """The text without secrets, for messages that leave by another way than the log."""
    return _redactor.redact(text)


def about(
    document: Entry | Tag,
    *,
    route: str | None = None,
    run_id: str | None = None,
) -> structlog.stdlib.BoundLogger:
    """The logger for lines about one document.

    Args:
        document: its journal entry, or its tag while there is none.
        route: its route, when only the tag is at hand or another one is meant.
        run_id: its run, when it is newer than the entry.
    """
    if isinstance(document, Entry):
        tag, route, run_id = document.tag, route or document.request.route, run_id or document.run_id
    else:
        tag = document
    return logger.bind(tag=str(tag), route=route, run_id=run_id)


def configure(level: str = "info", *, json: bool, stream: TextIO | None = None) -> None:
    """Send log lines to a stream. May be called again; the last call counts.

    Args:
        level: one of ``LEVELS``, for the connector's own lines; libraries speak from WARNING on.
        json: JSON lines, else lines for people.
        stream: where to; stderr by default.

    Raises:
        ValueError: the level is unknown.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"The log level {level!r} is unknown; it is one of {', '.join(LEVELS)}.")
    target = sys.stderr if stream is None else stream
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(handler)
    lines = _Lines(target)
    lines.setFormatter(_Formatter(_JSON if json else _for_people(target)))
    root.addHandler(lines)
    root.setLevel(logging.WARNING)
    logging.getLogger("connector").setLevel(level.upper())


def silence() -> None:
    """Write nothing, for commands whose errors are sentences on the terminal: a line before them would only confuse."""
    root = logging.getLogger()
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())
    logging.getLogger("connector").setLevel(logging.CRITICAL + 1)


def log_uncaught() -> None:
    """Send warnings, and exceptions that nobody caught, through the log: there they are one line, without secrets.

    For the process that belongs to the connector; code that only uses its client keeps its own hooks.
    """
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda thread: _uncaught(
        thread.exc_type, thread.exc_value or thread.exc_type(), thread.exc_traceback
    )


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logger.error("uncaught_exception", exc_info=(kind, error, trace))


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines, and is silent when that fails: there is nowhere left to complain."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line."""

    def flush(self) -> None:
        """Flush the stream, unless it is closed."""
        try:
            super().flush()
        except (OSError, ValueError):
            return


class _Formatter(logging.Formatter):
    """Renders our own records, which come with their fields, and those of libraries alike."""

    def __init__(self, render: structlog.typing.Processor) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields = getattr(record, "fields", None)
        if fields is None:
            fields = _fields_of(record)
        return str(self._render(None, record.levelname.lower(), dict(fields)))


def _fields_of(record: logging.LogRecord) -> EventDict:
    fields: EventDict = {
        "event": record.getMessage(),
        "logger": record.name,
        "level": record.levelname.lower(),
    }
    if record.exc_info and record.exc_info[0] is not None:
        fields["exc_info"] = record.exc_info
    _stamp(None, "", fields, seconds=record.created)
    structlog.processors.format_exc_info(None, "", fields)
    return _clean(None, "", fields)


def _stamp(_: WrappedLogger, __: str, fields: EventDict, *, seconds: float | None = None) -> EventDict:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    fields["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return fields


def _clean(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    return {name: _shown(name, value, _MAX_DEPTH) for name, value in fields.items()}


def _shown(name: str, value: object, depth: int) -> object:
    """A value as it may be shown: JSON's types only, short, and without secrets."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if names_a_secret(name):
        return HIDDEN
    if depth > 0 and isinstance(value, Mapping):
        return {_text(str(key)): _shown(str(key), inner, depth - 1) for key, inner in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_shown("", inner, depth - 1) for inner in value]
    return _text(value if isinstance(value, str) else _described(value))


def _described(value: object) -> str:
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:  # noqa: BLE001 - a broken repr must not lose the line
        return f"<{type(value).__name__}: {type(error).__name__} while being shown>"


def _text(text: str) -> str:
    # Redacted before it is cut, so that the cut cannot make half a secret unrecognisable.
    shown = _redactor.redact(text)
    return shown if len(shown) <= MAX_CHARS else f"{shown[:MAX_CHARS]}… ({len(shown) - MAX_CHARS} more characters)"


def _hand_over(_: WrappedLogger, __: str, fields: EventDict) -> tuple[tuple[str], dict[str, object]]:
    """To the standard library, readable even where nobody configured it."""
    return (str(fields.get("event", "")),), {"extra": {"fields": fields}}


def _to_json(_: WrappedLogger, __: str, fields: EventDict) -> str:
    first = {name: fields.pop(name) for name in ("timestamp", "level", "event") if name in fields}
    return json_format.dumps({**first, **fields}, default=str)


_JSON: structlog.typing.Processor = _to_json


def _for_people(stream: TextIO) -> structlog.typing.Processor:
    isatty = getattr(stream, "isatty", None)
    return structlog.dev.ConsoleRenderer(
        colors=bool(isatty and not stream.closed and isatty()),
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=0,
        sort_keys=False,
    )


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        cast("structlog.typing.Processor", _stamp),
        structlog.processors.format_exc_info,
        _clean,
        cast("structlog.typing.Processor", _hand_over),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=False,
)
