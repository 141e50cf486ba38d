"""What every schema registry does, the fake one and the real one. Subclasses say where it is."""

from __future__ import annotations

import json
from secrets import token_hex

import pytest

from connector.adapters.registry import SchemaRegistry
from connector.core.errors import RegistryRefused, SchemaNotFound


def schema(*fields: str, default: str | None = None, name: str = "Invoice") -> str:
    """A record of texts; with ``default`` the last field has it."""
    listed: list[dict[str, object]] = [{"name": each, "type": "string"} for each in fields]
    if default is not None:
        listed[-1]["default"] = default
    return json.dumps({"type": "record", "name": name, "namespace": "org.example", "fields": listed})


def decimal(places: int) -> str:
    """A record of an amount."""
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": places}
    listed = [{"name": "amount", "type": amount}]
    return json.dumps({"type": "record", "name": "Invoice", "namespace": "org.example", "fields": listed})


def same(one: str, other: str) -> bool:
    """Whether two texts are one schema; a registry may write it in its own way."""
    return bool(json.loads(one) == json.loads(other))


class RegistryContract:
    """The tests; each with a subject of its own."""

    @pytest.fixture
    def registry(self) -> SchemaRegistry:
        raise NotImplementedError

    @pytest.fixture
    def subject(self) -> str:
        return f"orders/{token_hex(4)} é-value"

    async def test_a_registered_schema_is_found_by_id_and_by_subject(
        self, registry: SchemaRegistry, subject: str
    ) -> None:
        text = schema("number", "total")
        schema_id = await registry.register(subject, text)
        latest = await registry.latest(subject)
        assert latest is not None
        assert (latest.subject, latest.version, latest.schema_id) == (subject, 1, schema_id)
        assert same(latest.schema_text, text)
        assert same(await registry.schema_by_id(schema_id), text)
        found = await registry.look_up(subject, text)
        assert found is not None
        assert (found.subject, found.version, found.schema_id) == (subject, 1, schema_id)
        assert subject in await registry.subjects()

    async def test_a_schema_that_is_registered_twice_keeps_its_id(self, registry: SchemaRegistry, subject: str) -> None:
        text = schema("number")
        assert await registry.register(subject, text) == await registry.register(subject, text)
        latest = await registry.latest(subject)
        assert latest is not None
        assert latest.version == 1

    async def test_what_does_not_exist_is_none(self, registry: SchemaRegistry, subject: str) -> None:
        assert await registry.latest(subject) is None
        assert await registry.look_up(subject, schema("number")) is None
        await registry.register(subject, schema("number"))
        assert await registry.look_up(subject, schema("number", "other")) is None

    async def test_another_scale_of_a_decimal_is_another_schema(self, registry: SchemaRegistry, subject: str) -> None:
        cents, mills = (decimal(places) for places in (2, 3))
        schema_id = await registry.register(subject, cents)
        assert await registry.look_up(subject, mills) is None
        assert await registry.register(f"{subject} too", mills) != schema_id

    async def test_an_id_that_does_not_exist_is_said_by_the_registry(self, registry: SchemaRegistry) -> None:
        with pytest.raises(SchemaNotFound, match="schema id 2000000000: no schema has this id"):
            await registry.schema_by_id(2_000_000_000)

    async def test_a_subject_that_does_not_exist_takes_every_schema(
        self, registry: SchemaRegistry, subject: str
    ) -> None:
        assert (await registry.compatibility(subject, schema("number"))).compatible

    async def test_a_field_without_a_default_is_incompatible(self, registry: SchemaRegistry, subject: str) -> None:
        await registry.register(subject, schema("number"))
        refused = await registry.compatibility(subject, schema("number", "more"))
        assert not refused.compatible
        assert (await registry.compatibility(subject, schema("number", "more", default=""))).compatible

    async def test_an_incompatible_schema_is_refused(self, registry: SchemaRegistry, subject: str) -> None:
        await registry.register(subject, schema("number"))
        with pytest.raises(RegistryRefused, match=r"409") as refused:
            await registry.register(subject, schema("number", "more"))
        assert refused.value.status == 409
        latest = await registry.latest(subject)
        assert latest is not None
        assert latest.version == 1
