"""The official SDK's types as the judge of our objects.

The SDK itself does not validate what it reads, so this does: required fields, wire names, types and enums by full
pydantic validation, and no key that the types do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import extend_ai
import pydantic
from extend_ai.types.edit_run_summary import EditRunSummary
from extend_ai.types.parse_run_summary import ParseRunSummary

FULL: dict[str, type[pydantic.BaseModel]] = {
    "extract": extend_ai.ExtractRun,
    "classify": extend_ai.ClassifyRun,
    "split": extend_ai.SplitRun,
    "parse": extend_ai.ParseRun,
    "edit": extend_ai.EditRun,
    "workflow": extend_ai.WorkflowRun,
}
ROW: dict[str, type[pydantic.BaseModel]] = {
    "extract": extend_ai.ExtractRunSummary,
    "classify": extend_ai.ClassifyRunSummary,
    "split": extend_ai.SplitRunSummary,
    "parse": ParseRunSummary,
    "edit": EditRunSummary,
    "workflow": extend_ai.WorkflowRunSummary,
}
CREATE_BODIES: dict[str, dict[str, Any]] = {
    "extract": {"extractor": {"id": "ex_1", "version": "2.1"}, "file": {"text": "Invoice A-1 total 12.50"}},
    "classify": {"classifier": {"id": "cl_1"}, "file": {"url": "https://files.example.com/inv-1.pdf"}},
    "split": {"splitter": {"id": "spl_1"}, "file": {"id": "file_1"}},
    "parse": {"file": {"url": "https://files.example.com/inv-1.pdf"}},
    "edit": {
        "file": {"url": "https://files.example.com/form-1.pdf"},
        "config": {"schema": {"type": "object", "properties": {"total": {"type": "number"}}}},
    },
    "workflow": {"workflow": {"id": "workflow_1"}, "file": {"url": "https://files.example.com/inv-1.pdf"}},
}
"""A good create body of every run type."""


def judge(model: type[pydantic.BaseModel], body: dict[str, Any]) -> pydantic.BaseModel:
    """Validate an object.

    Raises:
        pydantic.ValidationError: something is missing or of the wrong type.
        AssertionError: a key is unknown.
    """
    found = model.model_validate(body)
    unknown = list(_unknown_keys(found, ""))
    assert not unknown, unknown
    return found


def _unknown_keys(value: object, path: str) -> Iterator[str]:
    if isinstance(value, pydantic.BaseModel):
        for key in value.model_extra or {}:
            yield f"{path}.{key}"
        for name in type(value).model_fields:
            yield from _unknown_keys(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _unknown_keys(item, f"{path}[{place}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_keys(item, f"{path}.{key}")
