"""List rows: less than the full object, and for parse, edit and workflow runs also more (their times)."""

from __future__ import annotations

from typing import Any

from connector.simulator.documents import documents_of
from connector.simulator.fields import dashboard_url, failure_fields, file_fields, file_summary, timestamp
from connector.simulator.identifiers import identifier
from connector.simulator.processors import processor_fields
from connector.simulator.run import SimulatedRun
from connector.simulator.usage import metrics_of, usage_of
from connector.simulator.workflows import workflow_times


def row(run: SimulatedRun) -> dict[str, Any]:
    """The run as lists show it."""
    name = run.run_type.name
    if name == "workflow":
        return _workflow_row(run)
    if name in {"parse", "edit"}:
        return _bare_row(run)
    return _processor_row(run)


def _times(run: SimulatedRun) -> dict[str, Any]:
    return {"createdAt": timestamp(run.created_ms), "updatedAt": timestamp(run.updated_ms)}


def _processor_row(run: SimulatedRun) -> dict[str, Any]:
    request = run.request()
    documents = documents_of(run.id, request)
    body: dict[str, Any] = {"object": run.run_type.object, "id": run.id}
    body |= processor_fields(run.run_type, request)
    body["status"] = run.status
    if "metadata" in request:
        body["metadata"] = request["metadata"]
    body |= {"reviewed": False, "edited": False}
    body |= file_fields(run, documents, package="package" in request)
    body["dashboardUrl"] = dashboard_url(run)
    if run.status == "PROCESSED":
        body["parseRunId"] = identifier("pr_", run.id)
        body["usage"] = usage_of(run, documents, breakdown=False)
    return body | _times(run) | failure_fields(run)


def _bare_row(run: SimulatedRun) -> dict[str, Any]:
    request = run.request()
    documents = documents_of(run.id, request)
    body: dict[str, Any] = {
        "object": run.run_type.object,
        "id": run.id,
        "file": file_summary(documents[0], run),
        "status": run.status,
    }
    if "metadata" in request:
        body["metadata"] = request["metadata"]
    if run.status == "PROCESSED":
        body["metrics"] = metrics_of(run, documents)
        body["usage"] = usage_of(run, documents, breakdown=False)
    return body | _times(run) | failure_fields(run)


def _workflow_row(run: SimulatedRun) -> dict[str, Any]:
    request = run.request()
    documents = documents_of(run.id, request)
    body: dict[str, Any] = {"object": "workflow_run", "id": run.id, "status": run.status}
    body |= processor_fields(run.run_type, request)
    body |= {
        "dashboardUrl": dashboard_url(run),
        "files": [file_summary(document, run) for document in documents],
        "batchId": None,
    }
    body |= workflow_times(run)
    if "reviewedAt" in body:
        body["usage"] = usage_of(run, documents, breakdown=False)
    return body | _times(run)
