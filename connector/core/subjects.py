"""Under which subject of a schema registry a topic's schema stands (Confluent, "Subject name strategy")."""

from __future__ import annotations

from typing import Literal

from connector.core.formats.schema_limits import Schema

Naming = Literal["topic", "record", "topic-record"]


def subject_of(naming: Naming, topic: str, schema: Schema) -> str:
    """The subject.

    Args:
        naming: by the topic, the record's full name, or both.
        topic: the topic.
        schema: a record's.
    """
    if naming == "topic":
        return f"{topic}-value"
    record = full_name(schema)
    return record if naming == "record" else f"{topic}-{record}"


def full_name(schema: Schema) -> str:
    """A record's name with its namespace."""
    name, namespace = str(schema["name"]), schema.get("namespace")
    return name if "." in name or not namespace else f"{namespace}.{name}"
