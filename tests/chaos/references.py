"""A thousand references: all six run types, every end of a run, and a few that can never become one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle, islice

from tests.chaos.writer import Reference

STATUSES = frozenset({"PROCESSED", "FAILED", "CANCELLED", "NEEDS_REVIEW", "REJECTED", "ARCHIVED"})
"""What the results of at least ``CYCLE`` references must show; ``ARCHIVED`` is a status that nobody knows."""

CYCLE = 30
"""After so many references everything begins again."""

_BUCKET = "https://bucket.example.com"
_RUNS: tuple[dict[str, object], ...] = (
    {"run": "extract", "processor": "ex_invoices"},
    {"run": "classify", "processor": "cl_mail", "priority": 10},
    {"run": "split", "processor": "spl_scans"},
    {"run": "parse"},
    {"run": "edit"},
    {"run": "workflow", "processor": "workflow_intake"},
)
# Where a type does not have an end, the simulated API ends as PROCESSED. Prime to the number of types, so that in
# one cycle every type meets every end.
_ENDS = ("", "-simulate-failed", "-simulate-needs-review-rejected", "-simulate-cancelled", "-simulate-status-ARCHIVED")
_IMPOSSIBLE = (b"\xff\xfe not a reference", b'{"run": "shred", "url": "https://bucket.example.com/x.pdf"}', b"[1, 2]")


def references(topic: str, count: int, partitions: int, impossible_every: int = 40) -> Iterator[Reference]:
    """References in a fixed order, spread evenly over the partitions.

    Args:
        topic: the input topic.
        count: how many.
        partitions: of the topic.
        impossible_every: one in so many can never become a run; it gets a dead letter.
    """
    shapes = cycle((run, end) for end in _ENDS for run in _RUNS)
    impossible = cycle(_IMPOSSIBLE)
    for number, (run, end) in enumerate(islice(shapes, count)):
        key = f"customer-{number % 97}".encode()
        if number % impossible_every == impossible_every - 1:
            yield Reference(topic, key, next(impossible), None, number % partitions)
            continue
        document_id = f"doc-{number}"
        url = f"{_BUCKET}/{document_id}{end}.pdf"
        value = {"url": url, "document_id": document_id, "metadata": {"batch": "chaos"}, **run}
        if run["run"] == "edit":
            del value["metadata"]  # edit runs take none
        yield Reference(topic, key, json.dumps(value).encode(), document_id, number % partitions)
