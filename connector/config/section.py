"""What every section of the configuration has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, PlainValidator

from connector.config.frozen import freeze, thaw

MAX_TOPIC_CHARS = 249
"""Kafka's limit for the name of a topic."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Section(BaseModel):
    """One mapping of the file. It never changes, knows all its keys, and takes nothing for something else."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )


def is_name(text: str) -> bool:
    """Whether a text can be a part of topic names and tags."""
    return _NAME.fullmatch(text) is not None and text not in {".", ".."} and len(text) <= MAX_TOPIC_CHARS


def _named(text: str) -> str:
    if not is_name(text):
        raise ValueError(
            "must be 1 to 249 letters (A-Z, a-z), digits, dots, hyphens and underscores: it becomes a part of "
            "topic names"
        )
    return text


def _present(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("must not be empty, nor begin or end with a space, nor hold control characters")
    return text


def _mapping(value: object) -> object:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be a mapping")
    return freeze(dict(value))


Name = Annotated[str, AfterValidator(_named)]
"""Fits into the names of topics, groups and tags."""

Text = Annotated[str, AfterValidator(_present)]
"""One line that is not empty."""

FilePath = Annotated[str, AfterValidator(_present)]
"""Path of a file; relative ones start at the working directory."""

FreeMapping = Annotated[
    Mapping[str, Any],
    PlainValidator(_mapping, json_schema_input_type=dict[str, Any]),
    PlainSerializer(thaw),
]
"""A mapping that is passed on as it is, read-only to the last level."""
