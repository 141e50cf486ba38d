from __future__ import annotations

import logging

import structlog

from connector.adapters.kafka.client_log import REPEAT_AFTER, ClientLog
from connector.clock import Clock


class _Time:
    now = 1000.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, wall=lambda: self.now)


def _refused(log: ClientLog, took: int) -> None:
    log.log(logging.WARNING, "%s [%s] %s", "FAIL", "x", f"Connect failed (after {took}ms in state CONNECT)")


def test_lines_that_differ_by_a_figure_only_come_once_in_a_while() -> None:
    time = _Time()
    log = ClientLog("invoices-1", time.clock())
    with structlog.testing.capture_logs() as lines:
        for took in range(50):
            _refused(log, took)
        time.now += REPEAT_AFTER
        _refused(log, 7)
        log.log(logging.ERROR, "%s [%s] %s", "ERROR", "x", "All brokers are down")
    assert [line["log_level"] for line in lines] == ["warning", "warning", "error"]
    assert lines[0]["client_id"] == "invoices-1"
    assert "Connect failed (after 0ms" in lines[0]["message"]


def test_consumer_properties_that_a_producer_was_told_are_no_warning() -> None:
    log = ClientLog("invoices-1", _Time().clock())
    with structlog.testing.capture_logs() as lines:
        log.log(logging.WARNING, "%s [%s] %s", "CONFWARN", "x", "fetch.min.bytes is a consumer property")
    assert [line["log_level"] for line in lines] == ["debug"]


def test_the_kinds_that_are_remembered_are_bounded() -> None:
    log = ClientLog("invoices-1", _Time().clock())
    words = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(2000)]
    with structlog.testing.capture_logs() as lines:
        for word in words:
            log.log(logging.WARNING, "%s", word)
    assert len(lines) == len(words)
    assert len(log._shown) <= 256
