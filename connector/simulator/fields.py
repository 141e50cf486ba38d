"""Fields that full objects and list rows share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connector.simulator.documents import Document
from connector.simulator.run import SimulatedRun
from connector.simulator.timeline import FAILURES

_UNREADABLE = frozenset({"FAILED_TO_PROCESS_FILE"})


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


def dashboard_url(run: SimulatedRun) -> str:
    """Where a person would look at the run."""
    section = "workflows" if run.run_type.name == "workflow" else "runs"
    return f"https://dashboard.extend.ai/{section}/{run.id}"
