"""A real registry does what every registry does, and keeps it when it is killed."""

from __future__ import annotations

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.config import Registry
from connector.core.errors import RegistryUnavailable
from tests.kafka.apicurio import Apicurio
from tests.registry.contract import RegistryContract, same, schema


class TestApicurio(RegistryContract):
    @pytest.fixture
    def registry(self, apicurio: Apicurio) -> SchemaRegistry:
        return SchemaRegistry(Registry(url=apicurio.url))

    async def test_what_was_registered_outlives_a_kill(self, apicurio: Apicurio, subject: str) -> None:
        settings = Registry(url=apicurio.url)
        text = schema("number")
        schema_id = await SchemaRegistry(settings).register(subject, text)
        apicurio.process.kill()
        try:
            with pytest.raises(RegistryUnavailable, match="refused"):
                await SchemaRegistry(settings).schema_by_id(schema_id)
        finally:
            apicurio.start()
        assert same(await SchemaRegistry(settings).schema_by_id(schema_id), text)
