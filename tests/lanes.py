"""Two lanes for ``make test``, which has two processes: what needs real brokers, in two parts, then everything else.

A test with real brokers waits most of its time, for elections, sessions and settle windows, and has time limits; a pure
one keeps a core busy and does not care how slow it is. So at most two tests with brokers run at a time: one of those in
which something breaks, and one of those in which there is much to do. Each lane starts its own broker; what needs a
schema registry is in the second. Who comes to the end of a lane goes on with the pure tests, so that both processes end
together. The long chaos run comes after all others, and has the machine for itself.

The lane is read off the file: pytest-xdist's own groups do nothing with pytest 9.2, which has closed the attribute
that they are written to.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_LAST = "tests/chaos/test_chaos.py"
_TRAFFIC = (
    "tests/acceptance/",
    "tests/chaos/test_webhooks.py",
    "tests/guarantees/test_registry.py",
    "tests/image/",
    "tests/kafka/",
)
_FAULTS = ("tests/chaos/", "tests/guarantees/", "tests/watch/")


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """What has the same scope runs in the same process; scopes begin in the order of their size."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_LAST):
            return nodeid
        if nodeid.startswith(_TRAFFIC):
            return "traffic"
        return "faults" if nodeid.startswith(_FAULTS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Tell pytest-xdist, which runs only where ``-n`` is given."""
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long chaos run to the end."""
    items.sort(key=lambda item: item.nodeid.startswith(_LAST))
