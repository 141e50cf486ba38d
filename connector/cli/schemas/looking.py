"""What the registry has of the connector's own schemas; no command here needs Kafka or the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.adapters.registry import Registered, SchemaRegistry
from connector.announce import distinct, find
from connector.cli.loading import load_for_registry
from connector.config import Config
from connector.core.errors import ConfigurationError, Problem
from connector.output_schemas import OutputSchema, output_schemas


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject, as it should be and as it is.

    Attributes:
        name: the subject.
        topics: whose results have this schema.
        text: the schema that this connector writes.
        found: where the subject has this schema, or None.
        latest: its newest version, or None where there is no such subject.
    """

    name: str
    topics: tuple[str, ...]
    text: str
    found: Registered | None
    latest: Registered | None

    @property
    def state(self) -> str:
        """``equal``, ``older`` (a newer version is registered too), ``different`` or ``missing``."""
        if self.latest is None:
            return "missing"
        if self.found is None:
            return "different"
        return "equal" if self.found.version == self.latest.version else "older"


def settings_of(path: Path | None) -> Config:
    """The configuration, which names a registry.

    Raises:
        ConfigurationError: it has problems, or names none.
    """
    config = load_for_registry(path)
    if not config.schema_registry.url:
        raise ConfigurationError(
            [Problem("schema_registry.url", "is missing; set it in the file, or set SCHEMA_REGISTRY_URL")]
        )
    return config


async def look(config: Config, registry: SchemaRegistry) -> list[Subject]:
    """Every subject of this connector.

    Raises:
        RegistryError: the registry cannot be asked.
    """
    outputs = output_schemas(config)
    return [
        Subject(name, topics_of(name, outputs), text, *await find(name, text, registry))
        for name, text in distinct(outputs)
    ]


def topics_of(subject: str, outputs: Sequence[OutputSchema]) -> tuple[str, ...]:
    """The topics whose results have the schema of a subject."""
    return tuple(dict.fromkeys(each.topic for each in outputs if each.subject == subject))
