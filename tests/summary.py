"""What tests measured is part of what the suite says: it stands at its end, whichever process ran the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.terminal import TerminalReporter

_PROPERTY = "figures"

Say = Callable[[str], None]


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """A function for the figures of a test. Reports carry them from the process that ran it to the terminal."""
    return lambda figures: record_property(_PROPERTY, figures)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what the tests said."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.getreports(outcome)]
    said = [text for each in reports if each.when == "call" for name, text in each.user_properties if name == _PROPERTY]
    if said:
        terminalreporter.section("figures")
        for text in said:
            terminalreporter.line(str(text))
