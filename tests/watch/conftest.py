"""Fixtures for tests that watch processes."""

from __future__ import annotations

from tests.guarantees.conftest import fleet

__all__ = ["fleet"]
