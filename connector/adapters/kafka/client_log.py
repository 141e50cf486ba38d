"""librdkafka's own log lines, brought to our log.

A broker that is away makes twenty lines a second, all the same but for a figure: each kind comes once in
ten seconds.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from connector.clock import Clock
from connector.logs import logger

REPEAT_AFTER: Final = 10.0
"""Seconds until a line of the same kind is shown again."""

_FIGURES = re.compile(r"\d+")
_KINDS_KEPT = 256
_NOISE = frozenset({"CONFWARN"})
"""A property for consumers that a producer is told too; users write them once for all clients."""


class ClientLog:
    """What confluent-kafka takes as `logger`: an object with `log`, called while the client is polled."""

    def __init__(self, client_id: str, clock: Clock | None = None) -> None:
        self._client_id = client_id
        self._clock = clock or Clock()
        self._shown: dict[str, float] = {}

    def log(self, level: int, form: str, *words: object) -> None:
        """Take one line.

        Args:
            level: a level of the standard library's `logging`.
            form: a %-format.
            words: facility, thread or client name, message.
        """
        kind = str(words[0]) if words else ""
        if kind in _NOISE:
            level = logging.DEBUG
        line = form % words
        if self._shown_lately(_FIGURES.sub("0", line)):
            return
        if level >= logging.ERROR:
            logger.error("kafka_client", client_id=self._client_id, message=line)
        elif level >= logging.WARNING:
            logger.warning("kafka_client", client_id=self._client_id, message=line)
        else:
            logger.debug("kafka_client", client_id=self._client_id, message=line)

    def _shown_lately(self, line: str) -> bool:
        now = self._clock.monotonic()
        if now - self._shown.get(line, -REPEAT_AFTER) < REPEAT_AFTER:
            return True
        if len(self._shown) >= _KINDS_KEPT:
            self._shown.clear()
        self._shown[line] = now
        return False
