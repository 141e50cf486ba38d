"""What the commands that run until SIGTERM have in common at their start."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from connector import logs
from connector.config import Config

ENDS = (signal.SIGTERM, signal.SIGINT)


def end_at_once_on_signals() -> None:
    """Until something has begun that would have to be ended in order."""
    for number in ENDS:
        signal.signal(number, _end)


def _end(*_: object) -> NoReturn:
    sys.exit(0)


def start_log(settings: Config) -> None:
    """Write log lines as configured, without any secret in them, and say that the service starts."""
    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    logs.configure(settings.log.level, json=as_json)
    logs.log_uncaught()
    for secret in settings.secrets():
        logs.register_secret(secret.reveal())
    logs.logger.info("starting", name=settings.name, bootstrap_servers=settings.kafka.bootstrap_servers)
