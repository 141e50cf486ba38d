"""Workflow runs: their reviews, and the extract step that every simulated workflow has."""

from __future__ import annotations

from typing import Any

from connector.core.run_types import NEEDS_REVIEW, RUN_TYPES
from connector.simulator.documents import Document
from connector.simulator.fields import dashboard_url, failure_fields, file_summary, timestamp
from connector.simulator.identifiers import identifier
from connector.simulator.outputs import extract_output
from connector.simulator.processors import processor_fields, resolved_config
from connector.simulator.run import SimulatedRun
from connector.simulator.usage import OWN_CREDITS, PARSE_CREDITS, nested_id, usage_of

_WITH_OUTPUT = frozenset({"PROCESSED", NEEDS_REVIEW, "REJECTED"})


def workflow_object(run: SimulatedRun, request: dict[str, Any], documents: list[Document]) -> dict[str, Any]:
    """The full object of a workflow run."""
    done = run.status in _WITH_OUTPUT
    body: dict[str, Any] = {"object": "workflow_run", "id": run.id}
    body |= processor_fields(run.run_type, request)
    body |= {
        "dashboardUrl": dashboard_url(run),
        "status": run.status,
        "metadata": request.get("metadata", {}),
        "files": [file_summary(document, run) for document in documents],
        "reviewed": is_reviewed(run),
        "stepRuns": [_extract_step(run, documents, request)] if done else [],
    }
    body |= workflow_times(run)
    if done:
        body["usage"] = usage_of(run, documents, breakdown=True)
    return body | failure_fields(run)


def workflow_times(run: SimulatedRun) -> dict[str, Any]:
    """When a workflow run began, ended and was reviewed: the fields that object and row share."""
    times: dict[str, Any] = {"initialRunAt": timestamp(run.created_ms)}
    if run.status != "PENDING":
        times["startTime"] = timestamp(run.timeline[1].at_ms)
    if run.status not in _WITH_OUTPUT:
        return times | ({"endTime": timestamp(run.ended_ms)} if run.ended_ms is not None else {})
    reviewed = is_reviewed(run)
    ended = run.ended_ms if run.status != NEEDS_REVIEW else None
    return times | {
        "reviewedByUser": "reviewer@example.com" if reviewed else None,
        "reviewedAt": timestamp(run.updated_ms) if reviewed else None,
        "rejectionNote": "Rejected by the simulated reviewer." if run.status == "REJECTED" else None,
        "endTime": None if ended is None else timestamp(ended),
    }


def is_reviewed(run: SimulatedRun) -> bool:
    """Whether a person has decided."""
    return any(step.status == NEEDS_REVIEW for step in run.timeline[: run.step])


def _extract_step(run: SimulatedRun, documents: list[Document], request: dict[str, Any]) -> dict[str, Any]:
    """The step that every simulated workflow has: an extract run of its own."""
    files = [file_summary(document, run) for document in documents]
    extract = RUN_TYPES["extract"]
    reference = {"extractor": {"id": identifier("ex_", request["workflow"]["id"])}}
    config = resolved_config(extract, reference)
    ended = timestamp(run.first_end_ms)
    pages = sum(document.page_count for document in documents)
    credits_ = pages * OWN_CREDITS["extract"]
    nested: dict[str, Any] = {"object": "extract_run", "id": nested_id(run), "status": "PROCESSED"}
    if "metadata" in request:
        nested["metadata"] = request["metadata"]
    nested |= {"reviewed": False, "edited": False, "config": config}
    nested |= processor_fields(extract, reference)
    nested |= {
        "file": files[0] if len(files) == 1 else None,
        "files": None if len(files) == 1 else files,
        "dashboardUrl": f"https://dashboard.extend.ai/runs/{nested_id(run)}",
        "createdAt": timestamp(run.timeline[1].at_ms),
        "updatedAt": ended,
        "output": extract_output(config, documents),
        "parseRunId": identifier("pr_", run.id),
        "usage": {"credits": credits_, "totalCredits": credits_ + pages * PARSE_CREDITS},
    }
    return {
        "stepType": "EXTRACT",
        "object": "workflow_step_run",
        "id": identifier("workflow_step_run_", run.id),
        "workflowRunId": run.id,
        "status": "PROCESSED",
        "files": files,
        "step": {
            "object": "workflow_step",
            "id": "step_extract_1",
            "name": "extract_document",
            "type": "EXTRACT",
        },
        "result": {"extractRun": nested},
    }
