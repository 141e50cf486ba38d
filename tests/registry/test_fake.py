"""The fake registry does what every registry does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.config import Registry
from tests.fakes.registry import FakeRegistry
from tests.registry.contract import RegistryContract


class TestFakeRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> Iterator[SchemaRegistry]:
        with FakeRegistry() as fake:
            yield SchemaRegistry(Registry(url=fake.url))
