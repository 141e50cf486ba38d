"""The run types: one table. A seventh type is one more row.

Source: Extend API version 2026-02-09, as its official Python SDK 1.20.0 sends and reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

FileForm = Literal["url", "id", "text"]

RUNNING = frozenset({"PENDING", "PROCESSING", "CANCELLING"})
"""Every other status is terminal, unknown ones too: the SDK's rule."""

FAILED = "FAILED"
NEEDS_REVIEW = "NEEDS_REVIEW"
REVIEWED = frozenset({"PROCESSED", "REJECTED", FAILED, "CANCELLED"})
"""What counts as the end of a review; any other status means that the person is still at it."""

STATUSES = ("PROCESSED", FAILED, "CANCELLED", NEEDS_REVIEW, "REJECTED")
"""Terminal statuses with a topic of their own; any other goes to ``<prefix>.other``."""

TIMED_OUT = "TIMED_OUT"
"""Not the API's: ``follow.max_wait_ms`` is over and ``follow.on_timeout`` is ``emit``."""


@dataclass(frozen=True, slots=True)
class RunType:
    """One kind of run at the API.

    Attributes:
        name: ``extract``; what routes, references and results call it.
        path: ``/extract_runs``; create, get, list and cancel live under it.
        sync_path: ``/extract``, or None where there is no synchronous form.
        object: the ``object`` field of its full runs.
        processor_field: the create field that names what to run (``extractor``), or None.
        processor_query: the list parameter that filters by it (``extractorId``), or None.
        processor_required: the create needs the processor (or a ``config``, where ``config`` is accepted).
        processor_is_id: the processor field is a bare id and not ``{id, version}`` (edit's ``templateId``).
        override_field: where a reference's ``config`` goes when a processor is named, or None.
        config: an inline ``config`` is accepted.
        file_forms: forms of a single file that the create accepts.
        package_field: the field for several files, or None.
        package_min: fewest files of a package; the most are 50.
        processor_brings_file: the processor has a file of its own, and excludes another (edit's template).
        metadata: the create accepts ``metadata``, and runs show it.
        priority: the create accepts ``priority`` (1 to 100, lower first).
        extra_fields: every other field of the create body.
        rows_carry_metadata: list rows show the metadata; otherwise the tag is looked for in the file name.
        sortable: its list accepts ``sortBy`` and ``sortDir``.
        output_by_url: its GET shows a link instead of the output where that is asked for.
        cancellable: statuses in which a cancel is accepted; empty where there is no cancel.
        events: webhook event names that say that something about a run changed.
    """

    name: str
    path: str
    sync_path: str | None
    object: str
    processor_field: str | None = None
    processor_query: str | None = None
    processor_required: bool = False
    processor_is_id: bool = False
    override_field: str | None = None
    config: bool = True
    file_forms: frozenset[FileForm] = frozenset({"url", "id"})
    package_field: str | None = None
    package_min: int = 1
    processor_brings_file: bool = False
    metadata: bool = True
    priority: bool = False
    extra_fields: frozenset[str] = frozenset()
    rows_carry_metadata: bool = True
    sortable: bool = True
    output_by_url: bool = False
    cancellable: frozenset[str] = frozenset({"PROCESSING"})
    events: frozenset[str] = field(default_factory=frozenset)


def _events(name: str, *ends: str) -> frozenset[str]:
    return frozenset(f"{name}.{end}" for end in ends)


_ROWS = (
    RunType(
        name="extract",
        path="/extract_runs",
        sync_path="/extract",
        object="extract_run",
        processor_field="extractor",
        processor_query="extractorId",
        override_field="overrideConfig",
        file_forms=frozenset({"url", "id", "text"}),
        package_field="package",
        priority=True,
        events=_events("extract_run", "processed", "failed"),
    ),
    RunType(
        name="classify",
        path="/classify_runs",
        sync_path="/classify",
        object="classify_run",
        processor_field="classifier",
        processor_query="classifierId",
        processor_required=True,
        override_field="overrideConfig",
        file_forms=frozenset({"url", "id", "text"}),
        priority=True,
        events=_events("classify_run", "processed", "failed"),
    ),
    RunType(
        name="split",
        path="/split_runs",
        sync_path="/split",
        object="split_run",
        processor_field="splitter",
        processor_query="splitterId",
        processor_required=True,
        override_field="overrideConfig",
        priority=True,
        events=_events("split_run", "processed", "failed"),
    ),
    RunType(
        name="parse",
        path="/parse_runs",
        sync_path="/parse",
        object="parse_run",
        extra_fields=frozenset({"dataRetention"}),
        sortable=False,
        output_by_url=True,
        events=_events("parse_run", "processed", "failed"),
    ),
    RunType(
        name="edit",
        path="/edit_runs",
        sync_path="/edit",
        object="edit_run",
        processor_field="templateId",
        processor_is_id=True,
        processor_brings_file=True,
        metadata=False,
        rows_carry_metadata=False,
        cancellable=frozenset(),
        events=_events("edit_run", "processed", "failed"),
    ),
    RunType(
        name="workflow",
        path="/workflow_runs",
        sync_path=None,
        object="workflow_run",
        processor_field="workflow",
        processor_query="workflowId",
        processor_required=True,
        config=False,
        file_forms=frozenset({"url", "id", "text"}),
        package_field="package",
        package_min=2,
        priority=True,
        extra_fields=frozenset({"outputs", "secrets"}),
        rows_carry_metadata=False,
        cancellable=frozenset({"PENDING", "PROCESSING"}),
        events=_events(
            "workflow_run",
            "completed",
            "failed",
            "needs_review",
            "rejected",
            "cancelled",
            "step_run.processed",
        ),
    ),
)

RUN_TYPES: Mapping[str, RunType] = MappingProxyType({row.name: row for row in _ROWS})
"""The run types by name."""


def is_terminal(status: str) -> bool:
    """Whether a status ends the polling of a run."""
    return status not in RUNNING


def ends_review(status: str) -> bool:
    """Whether a status decides a run that was under review."""
    return status in REVIEWED


def has_event(run_type: str, status: str) -> bool:
    """Whether a webhook tells that a run of a type came to a status. Runs of processors are cancelled in silence."""
    words = ("processed", "completed") if status == "PROCESSED" else (status.lower(),)
    return any(event.rpartition(".")[2] in words for event in RUN_TYPES[run_type].events)


def topic_of(prefix: str, status: str) -> str:
    """``<prefix>.<status>`` in lower case with hyphens where a status has its own topic, else ``<prefix>.other``."""
    known = status if status in (*STATUSES, TIMED_OUT) else "OTHER"
    return f"{prefix}.{known.lower().replace('_', '-')}"


def status_topics(prefix: str) -> tuple[str, ...]:
    """Every topic that results can go to."""
    return tuple(topic_of(prefix, status) for status in (*STATUSES, "OTHER", TIMED_OUT))


def dead_letter_topic(prefix: str) -> str:
    """Where records go that never became a run."""
    return f"{prefix}.dead-letter"
