"""Fixtures of this folder."""

from __future__ import annotations

import pytest

from tests.journal.thread_world import ThreadWorld


@pytest.fixture
def w() -> ThreadWorld:
    return ThreadWorld()
