"""A real registry does what every registry does."""

from __future__ import annotations

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.config import Registry
from tests.kafka.apicurio import Apicurio
from tests.registry.contract import RegistryContract


class TestApicurio(RegistryContract):
    @pytest.fixture
    def registry(self, apicurio: Apicurio) -> SchemaRegistry:
        return SchemaRegistry(Registry(url=apicurio.url))
