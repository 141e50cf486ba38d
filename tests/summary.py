"""What tests measured is part of what the suite says: it stands at its end, whichever process ran the test."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from _pytest.terminal import TerminalReporter

_PROPERTY = "figures"
_COUNTED = "counted"
_NAMES = 300
_SHORT_SECONDS = 120.0

Say = Callable[[str], None]
Count = Callable[..., None]


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """A function for the figures of a test. Reports carry them from the process that ran it to the terminal."""
    return lambda figures: record_property(_PROPERTY, figures)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """A function that counts different things, over all tests: ``count("kinds validated", "Job", "Pod")``."""

    def _count(what: str, *things: str) -> None:
        for thing in things:
            record_property(_COUNTED, [what, thing])

    return _count


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what the tests said."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.getreports(outcome)]
    properties = [(*each, report) for report in reports if report.when == "call" for each in report.user_properties]
    said = [str(text) for name, text, _ in properties if name == _PROPERTY]
    counted: dict[str, set[str]] = {}
    for name, pair, report in properties:
        if name == _COUNTED and report.outcome == "passed":
            what, thing = pair
            counted.setdefault(what, set()).add(thing)
    said += _shares(terminalreporter)
    if said or counted:
        terminalreporter.section("figures")
        for text in [*said, *(_counted(what, things) for what, things in sorted(counted.items()))]:
            terminalreporter.line(text)


def _shares(terminalreporter: TerminalReporter) -> list[str]:
    """What each folder of tests took of all processes' time, fixtures included; nothing of a short run."""
    spent: dict[str, float] = {}
    for each in (each for reports in terminalreporter.stats.values() for each in reports):
        if isinstance(each, pytest.TestReport):
            folder = "/".join(each.nodeid.split("/")[1:-1]) or "tests"
            spent[folder.partition("/")[0]] = spent.get(folder.partition("/")[0], 0.0) + each.duration
    total = sum(spent.values())
    if total < _SHORT_SECONDS:
        return []
    largest = sorted(spent.items(), key=lambda item: -item[1])
    shares = ", ".join(
        f"{folder} {100 * seconds / total:.0f} %" for folder, seconds in largest if seconds > total / 100
    )
    return [f"{total / 60:.0f} minutes of tests: {shares}"]


def _counted(what: str, things: Collection[str]) -> str:
    names = ", ".join(sorted(things))
    return f"{what}: {len(things)}" + (f" ({names})" if len(names) <= _NAMES else "")
