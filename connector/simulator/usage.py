"""What a run cost, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.simulator.documents import Document
from connector.simulator.identifiers import identifier
from connector.simulator.run import SimulatedRun

PARSE_CREDITS = 2
"""Credits per page of the parse that most runs begin with."""
OWN_CREDITS = {"extract": 2, "classify": 1, "split": 1, "edit": 3}
"""Credits per page of the run itself."""


def usage_of(run: SimulatedRun, documents: Sequence[Document], *, breakdown: bool) -> dict[str, Any]:
    """Credits of a run: for its own work, and with the parse run that it began with."""
    pages = sum(document.page_count for document in documents)
    name = run.run_type.name
    entries = []
    if name != "edit":
        parse_id = run.id if name == "parse" else identifier("pr_", run.id)
        entries.append(_charge("parse_run", parse_id, "parse_performance", pages, PARSE_CREDITS))
    if name == "workflow":
        entries.append(_charge("extract_run", nested_id(run), "extraction_performance", pages, OWN_CREDITS["extract"]))
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


def nested_id(run: SimulatedRun) -> str:
    """The id of a workflow run's extract run."""
    return identifier("exr_", run.id)
