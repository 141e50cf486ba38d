"""What a run was asked to do: its processor, and its config as the API would resolve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.core.run_types import RunType
from connector.simulator.extraction import SAVED_SCHEMA
from connector.simulator.identifiers import identifier

_CLASSIFICATIONS = [
    {"id": "invoice", "type": "invoice", "description": "A supplier invoice"},
    {"id": "receipt", "type": "receipt", "description": "A proof of payment"},
    {"id": "contract", "type": "contract", "description": "An agreement"},
    {"id": "other", "type": "other", "description": "Anything else"},
]
_DEFAULTS: dict[str, dict[str, Any]] = {
    "extract": {"baseProcessor": "extraction_performance", "baseVersion": "4.6.0", "schema": SAVED_SCHEMA},
    "classify": {"baseProcessor": "classification_performance", "classifications": _CLASSIFICATIONS},
    "split": {"baseProcessor": "splitting_performance", "splitClassifications": _CLASSIFICATIONS},
    "parse": {
        "target": "markdown",
        "chunkingStrategy": {"type": "page"},
        "engine": "parse_performance",
        "engineVersion": "2.0.0",
    },
    "edit": {"engineVersion": "1.0.0"},
}
_VERSION_PREFIXES = {"extractor": "exv_", "classifier": "clv_", "splitter": "splv_"}
_NEWEST = "3.0"
_MADE = "2026-03-02T09:15:04.118Z"
_CHANGED = "2026-08-19T14:40:51.302Z"


def resolved_config(run_type: RunType, request: Mapping[str, Any]) -> dict[str, Any]:
    """The config that the run shows: the saved or default one with the given keys laid over it."""
    field = run_type.processor_field
    processor = request.get(field) if field else None
    given = processor.get("overrideConfig", {}) if isinstance(processor, Mapping) else {}
    return {**_DEFAULTS[run_type.name], **given, **request.get("config", {})}


def processor_fields(run_type: RunType, request: Mapping[str, Any]) -> dict[str, Any]:
    """``extractor`` and ``extractorVersion`` (and so on) of a run that names a processor, else nothing."""
    field = run_type.processor_field
    if field is None or run_type.processor_is_id or field not in request:
        return {}
    reference = request[field]
    version = reference.get("version") or "latest"
    if field == "workflow":
        return _workflow_fields(reference["id"], "3" if version == "latest" else version)
    summary = {"object": field, "id": reference["id"], "name": f"Simulated {field}"}
    return {
        field: {**summary, "createdAt": _MADE, "updatedAt": _CHANGED},
        f"{field}Version": {
            "object": f"{field}_version",
            "id": identifier(_VERSION_PREFIXES[field], reference["id"], version),
            "version": _NEWEST if version == "latest" else version,
            f"{field}Id": reference["id"],
            "createdAt": _CHANGED,
        },
    }


def extractor_version(extractor: str, version: str) -> dict[str, Any]:
    """A version of an extractor, with its config."""
    number = _NEWEST if version == "latest" else version
    return {
        "object": "extractor_version",
        "id": identifier(_VERSION_PREFIXES["extractor"], extractor, version),
        "version": number,
        "config": _DEFAULTS["extract"],
        "extractorId": extractor,
        "createdAt": _CHANGED,
    }


def _workflow_fields(workflow_id: str, version: str) -> dict[str, Any]:
    return {
        "workflow": {
            "object": "workflow",
            "id": workflow_id,
            "name": "Simulated workflow",
            "createdAt": _MADE,
            "updatedAt": _CHANGED,
        },
        "workflowVersion": {
            "object": "workflow_version",
            "id": identifier("workflow_version_", workflow_id, version),
            "version": version,
            "createdAt": _CHANGED,
        },
    }
