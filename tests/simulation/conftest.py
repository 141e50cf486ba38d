"""Simulated workers log nothing, and the tests after them log again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from connector.logs import silence


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Silence for one test: thousands of worlds would write millions of lines."""
    root, ours = logging.getLogger(), logging.getLogger("connector")
    handlers, level = list(root.handlers), ours.level
    silence()
    yield
    root.handlers[:] = handlers
    ours.setLevel(level)
