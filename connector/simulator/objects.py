"""Full run objects: what create, get and cancel answer. The official SDK's types are the judge of every key."""

from __future__ import annotations

from typing import Any

from connector.simulator.documents import Document, documents_of
from connector.simulator.fields import dashboard_url, failure_fields, file_fields, file_summary, timestamp
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
from connector.simulator.usage import metrics_of, usage_of
from connector.simulator.workflows import workflow_object

_OUTPUTS = {
    "extract": extract_output,
    "classify": classify_output,
    "split": split_output,
    "parse": parse_output,
}


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
        return workflow_object(run, request, documents)
    if run.run_type.name == "parse":
        return _parse(run, request, documents, base_url if output_by_url else None)
    if run.run_type.name == "edit":
        return _edit(run, request, documents, base_url)
    return _processor_run(run, request, documents)


def output_of(run: SimulatedRun) -> dict[str, Any]:
    """The output of a parse run, for its ``outputUrl``."""
    request = run.request()
    return parse_output(resolved_config(run.run_type, request), documents_of(run.id, request))


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
