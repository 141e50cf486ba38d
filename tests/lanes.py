"""Two lanes for ``make test``: what needs a real broker, one after the other; beside it everything else.

A test with real brokers waits most of its time, for elections, sessions and settle windows, and two at a time would
share its time limits. A pure one keeps a core busy and does not care how slow it is. So one process runs all tests with
brokers, and the other one the rest. The long chaos run comes last, when the other lane has come to its end.

The lane is read off the folder: pytest-xdist's own groups do nothing with pytest 9.2, which has closed the attribute
that they are written to.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_WITH_BROKERS = ("tests/acceptance/", "tests/chaos/", "tests/guarantees/", "tests/kafka/")
_LAST = "test_chaos.py"


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Whatever has the same scope runs in the same process."""

    def _split_scope(self, nodeid: str) -> str:
        return "brokers" if nodeid.startswith(_WITH_BROKERS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Tell pytest-xdist, which runs only where ``-n`` is given."""
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long chaos run to the end."""
    items.sort(key=lambda item: item.path.name == _LAST)
