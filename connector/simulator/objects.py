"""Full run objects: what create, get and cancel answer. The official SDK's types are the judge of every key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connector.core.run_types import NEEDS_REVIEW, RUN_TYPES
from connector.simulator.documents import Document, documents_of
from connector.simulator.identifiers import identifier
from connector.simulator.outputs import (
    classify_output,
    edit_output,
    extract_output,
    parse_output,
    split_output,
)
from connector.simulator.processors import processor_fields, resolved_config
from connector.simulator.run import SimulatedRun
from connector.simulator.timeline import FAILURES

_OUTPUTS = {
    "extract": extract_output,
    "classify": classify_output,
    "split": split_output,
    "parse": parse_output,
}
_WITH_OUTPUT = frozenset({"PROCESSED", NEEDS_REVIEW, "REJECTED"})
_UNREADABLE = frozenset({"FAILED_TO_PROCESS_FILE"})
PARSE_CREDITS = 2
"""Credits per page of the parse that most runs begin with."""
OWN_CREDITS = {"extract": 2, "classify": 1, "split": 1, "edit": 3}
"""Credits per page of the run itself."""


def full_object(run: SimulatedRun, base_url: str, *, output_by_url: bool = False) -> dict[str, Any]:
    """The run as ``GET`` shows it.

    Args:
        run: the run, at the time that counts.
        base_url: where this simulator answers, for links that work.
        output_by_url: parse: ``responseType=url``.
    """
    request = run.request()
    documents = documents_of(run.id, request)
    if run.run_type.name == "workflow":
        return _workflow(run, request, documents)
    if run.run_type.name == "parse":
        return _parse(run, request, documents, base_url if output_by_url else None)
    if run.run_type.name == "edit":
        return _edit(run, request, documents, base_url)
    return _processor_run(run, request, documents)


def output_of(run: SimulatedRun) -> dict[str, Any]:
    """The output of a parse run, for its ``outputUrl``."""
    request = run.request()
    return parse_output(resolved_config(run.run_type, request), documents_of(run.id, request))


def timestamp(ms: int) -> str:
    """Milliseconds since the epoch as the API writes them."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_summary(document: Document, run: SimulatedRun) -> dict[str, Any]:
    """A ``file`` object."""
    at = timestamp(run.created_ms)
    summary: dict[str, Any] = {"object": "file", "id": document.id, "name": document.name}
    if document.type is not None:
        summary["type"] = document.type
    summary["metadata"] = {"pageCount": document.page_count} if document.type in {"PDF", "DOCX"} else {}
    return {**summary, "createdAt": at, "updatedAt": at}


def file_fields(run: SimulatedRun, documents: Sequence[Document], *, package: bool) -> dict[str, Any]:
    """``file`` (null until it was read, and for packages) and, for extract runs, ``files``."""
    readable = run.step > 0 and not (run.status == "FAILED" and run.failure_reason in _UNREADABLE)
    fields: dict[str, Any] = {"file": file_summary(documents[0], run) if readable and not package else None}
    if run.run_type.name == "extract":
        fields["files"] = [file_summary(document, run) for document in documents] if package else None
    return fields


def failure_fields(run: SimulatedRun) -> dict[str, Any]:
    """Reason and message of a FAILED run, else nothing."""
    if run.status != "FAILED":
        return {}
    reason = run.failure_reason or "INTERNAL_ERROR"
    message = FAILURES[run.run_type.name].get(reason, "The run failed.")
    return {"failureReason": reason, "failureMessage": message}


def usage_of(run: SimulatedRun, documents: Sequence[Document], *, breakdown: bool) -> dict[str, Any]:
    """Credits of a run: for its own work, and with the parse run that it began with."""
    pages = sum(document.page_count for document in documents)
    name = run.run_type.name
    entries = []
    if name != "edit":
        parse_id = run.id if name == "parse" else identifier("pr_", run.id)
        entries.append(_charge("parse_run", parse_id, "parse_performance", pages, PARSE_CREDITS))
    if name == "workflow":
        entries.append(_charge("extract_run", _nested_id(run), "extraction_performance", pages, OWN_CREDITS["extract"]))
    elif name != "parse":
        product = {"extract": "extraction_performance", "classify": "classification_performance"}
        entries.append(
            _charge(run.run_type.object, run.id, product.get(name, f"{name}_performance"), pages, OWN_CREDITS[name])
        )
    total = sum(entry["credits"] for entry in entries)
    own = total if name == "workflow" else entries[-1]["credits"]
    usage: dict[str, Any] = {"credits": own, "totalCredits": total}
    if breakdown:
        usage["breakdown"] = entries
    return usage


def _charge(kind: str, run_id: str, product: str, pages: int, rate: int) -> dict[str, Any]:
    credits_ = pages * rate
    charge = {"product": product, "unit": "page", "quantity": pages, "credits": credits_}
    return {"object": kind, "id": run_id, "credits": credits_, "charges": [charge]}


def dashboard_url(run: SimulatedRun) -> str:
    """Where a person would look at the run."""
    section = "workflows" if run.run_type.name == "workflow" else "runs"
    return f"https://dashboard.extend.ai/{section}/{run.id}"


def _processor_run(run: SimulatedRun, request: dict[str, Any], documents: list[Document]) -> dict[str, Any]:
    config = resolved_config(run.run_type, request)
    body: dict[str, Any] = {"object": run.run_type.object, "id": run.id, "status": run.status}
    if "metadata" in request:
        body["metadata"] = request["metadata"]
    body |= {"reviewed": False, "edited": False, "config": config}
    body |= processor_fields(run.run_type, request)
    body |= file_fields(run, documents, package="package" in request)
    body |= {
        "dashboardUrl": dashboard_url(run),
        "createdAt": timestamp(run.created_ms),
        "updatedAt": timestamp(run.updated_ms),
    }
    if run.status == "PROCESSED":
        body["output"] = _OUTPUTS[run.run_type.name](config, documents)
        body["parseRunId"] = identifier("pr_", run.id)
        body["usage"] = usage_of(run, documents, breakdown=True)
    return body | failure_fields(run)


def _parse(
    run: SimulatedRun,
    request: dict[str, Any],
    documents: list[Document],
    base_url: str | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "object": "parse_run",
        "id": run.id,
        "file": file_summary(documents[0], run),
        "status": run.status,
    }
    if "metadata" in request:
        body["metadata"] = request["metadata"]
    config = resolved_config(run.run_type, request)
    body["config"] = config
    if run.status == "PROCESSED":
        if base_url is None:
            body["output"] = parse_output(config, documents)
        else:
            body["outputUrl"] = f"{base_url}/_simulator/outputs/{run.id}"
        body["metrics"] = metrics_of(run, documents)
        body["usage"] = usage_of(run, documents, breakdown=True)
    return body | failure_fields(run)


def _edit(
    run: SimulatedRun,
    request: dict[str, Any],
    documents: list[Document],
    base_url: str,
) -> dict[str, Any]:
    config = resolved_config(run.run_type, request)
    body: dict[str, Any] = {
        "object": "edit_run",
        "id": run.id,
        "file": file_summary(documents[0], run),
        "status": run.status,
        "config": config,
    }
    if run.status == "PROCESSED":
        body["output"] = edit_output(config, documents, base_url)
        body["metrics"] = metrics_of(run, documents)
        body["usage"] = usage_of(run, documents, breakdown=True)
    return body | failure_fields(run)


def metrics_of(run: SimulatedRun, documents: Sequence[Document]) -> dict[str, Any]:
    """``metrics`` of a parse or edit run."""
    took = run.first_end_ms - run.created_ms
    metrics = {"processingTimeMs": took, "pageCount": documents[0].page_count}
    if run.run_type.name == "edit":
        schema = run.request().get("config", {}).get("schema", {})
        fields = len(schema.get("properties", {}))
        metrics |= {
            "fieldCount": fields,
            "fieldsDetectedCount": fields,
            "fieldsAnnotatedCount": fields,
            "fieldDetectionTimeMs": took // 2,
            "fieldAnnotationTimeMs": took // 4,
            "fieldFillingTimeMs": took // 4,
        }
    return metrics


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


def _workflow(run: SimulatedRun, request: dict[str, Any], documents: list[Document]) -> dict[str, Any]:
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


def _nested_id(run: SimulatedRun) -> str:
    return identifier("exr_", run.id)


def _extract_step(run: SimulatedRun, documents: list[Document], request: dict[str, Any]) -> dict[str, Any]:
    """The step that every simulated workflow has: an extract run of its own."""
    files = [file_summary(document, run) for document in documents]
    extract = RUN_TYPES["extract"]
    reference = {"extractor": {"id": identifier("ex_", request["workflow"]["id"])}}
    config = resolved_config(extract, reference)
    ended = timestamp(run.first_end_ms)
    pages = sum(document.page_count for document in documents)
    credits_ = pages * OWN_CREDITS["extract"]
    nested: dict[str, Any] = {"object": "extract_run", "id": _nested_id(run), "status": "PROCESSED"}
    if "metadata" in request:
        nested["metadata"] = request["metadata"]
    nested |= {"reviewed": False, "edited": False, "config": config}
    nested |= processor_fields(extract, reference)
    nested |= {
        "file": files[0] if len(files) == 1 else None,
        "files": None if len(files) == 1 else files,
        "dashboardUrl": f"https://dashboard.extend.ai/runs/{_nested_id(run)}",
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
