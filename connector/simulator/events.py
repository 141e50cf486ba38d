"""Webhook events of runs, as the API sends them: which change is one, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.core.run_types import NEEDS_REVIEW
from connector.simulator.fields import failure_fields
from connector.simulator.objects import full_object
from connector.simulator.run import SimulatedRun

_ENDS: Mapping[str, str] = {"PROCESSED": "processed", "FAILED": "failed"}
_WORKFLOW_ENDS: Mapping[str, str] = {
    "PROCESSED": "completed",
    "FAILED": "failed",
    NEEDS_REVIEW: "needs_review",
    "REJECTED": "rejected",
    "CANCELLED": "cancelled",
}


def event_of(run: SimulatedRun) -> str | None:
    """The event that the run's status raises, or None: nobody is told that a processor's run was cancelled."""
    ends = _WORKFLOW_ENDS if run.run_type.name == "workflow" else _ENDS
    end = ends.get(run.status)
    return None if end is None else f"{run.run_type.object}.{end}"


def payload_of(run: SimulatedRun, base_url: str) -> dict[str, Any]:
    """What the event holds: the run as ``GET`` shows it; of a parse run only how it ended.

    Args:
        run: the run.
        base_url: where the simulator answers, for links.
    """
    if run.run_type.name != "parse":
        return full_object(run, base_url)
    body: dict[str, Any] = {"object": "parse_run_status", "id": run.id, "status": run.status}
    request = run.request()
    if "metadata" in request:
        body["metadata"] = request["metadata"]
    return body | failure_fields(run)


def payload_by_address(payload: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """What the event holds instead, where the endpoint wants large payloads by address."""
    run_id = payload["id"]
    body = {"object": "signed_data_url", "id": run_id, "data": f"{base_url}/_simulator/payloads/{run_id}?sig=0"}
    return body | ({"metadata": payload["metadata"]} if "metadata" in payload else {})
