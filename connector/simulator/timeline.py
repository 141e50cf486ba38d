"""What will become of a run: drawn when it is created, from the seed and from what its input asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp
from random import Random
from typing import NamedTuple

from connector.core.run_types import NEEDS_REVIEW, RunType
from connector.simulator.settings import Lifetimes

STUCK_MS = 10 * 365 * 86_400_000
"""A run that never ends ends in ten years."""

FAILURES = {
    "extract": {
        "FAILED_TO_PROCESS_FILE": "The file could not be downloaded from the URL.",
        "PARSING_ERROR": "The document could not be parsed.",
        "INTERNAL_ERROR": "An unexpected error occurred.",
    },
    "classify": {
        "FAILED_TO_PROCESS_FILE": "The file could not be downloaded from the URL.",
        "INVALID_CONFIGURATION": "The classifications are not usable.",
        "INTERNAL_ERROR": "An unexpected error occurred.",
    },
    "split": {
        "FAILED_TO_PROCESS_FILE": "The file could not be downloaded from the URL.",
        "PRE_PROCESSING_FAILURE": "The pages could not be prepared.",
        "INTERNAL_ERROR": "An unexpected error occurred.",
    },
    "parse": {
        "PASSWORD_PROTECTED_FILE": "The file needs a password.",
        "CORRUPT_FILE": "The file is damaged.",
        "OCR_ERROR": "The text could not be read.",
    },
    "edit": {
        "FIELD_DETECTION_ERROR": "No form fields were found.",
        "CORRUPT_FILE": "The file is damaged.",
        "INTERNAL_ERROR": "An unexpected error occurred.",
    },
    "workflow": {
        "DOCUMENT_PROCESSOR_ERROR": "A step of the workflow failed.",
        "FAILED_TO_PROCESS_FILE": "The file could not be downloaded from the URL.",
        "INTERNAL_ERROR": "An unexpected error occurred.",
    },
}
"""Documented failure reasons of each run type that are drawn, with a message. The API's lists are longer, and open."""

_ENDS = {
    "extract": frozenset({"PROCESSED", "FAILED", "CANCELLED", "STUCK"}),
    "classify": frozenset({"PROCESSED", "FAILED", "CANCELLED", "STUCK"}),
    "split": frozenset({"PROCESSED", "FAILED", "CANCELLED", "STUCK"}),
    "parse": frozenset({"PROCESSED", "FAILED", "CANCELLED", "STUCK"}),
    "edit": frozenset({"PROCESSED", "FAILED", "STUCK"}),
    "workflow": frozenset({"PROCESSED", "FAILED", "CANCELLED", "STUCK", NEEDS_REVIEW, "REJECTED"}),
}
"""The ends that runs of a type have; any other wish ends as PROCESSED unless it is forced."""

_WISH = re.compile(
    r"simulate-(status-(?P<status>[A-Z0-9_]+)"
    r"|needs-review-(?P<decision>processed|rejected|failed)"
    r"|(?P<end>needs-review|processed|failed|cancelled|rejected|stuck)(?:-(?P<reason>[A-Z]+(?:_[A-Z]+)+|ABORTED))?)",
)


class Step(NamedTuple):
    """From this moment (milliseconds since the epoch) the run has this status."""

    at_ms: int
    status: str


@dataclass(frozen=True, slots=True)
class Fate:
    """All that will happen to a run unless somebody interferes.

    Attributes:
        timeline: the steps in the order of time; the first is the creation.
        failure_reason: the reason, when a step is FAILED.
    """

    timeline: tuple[Step, ...]
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How a run is to end, as its file name, processor or metadata asks.

    Attributes:
        end: the terminal status, or ``STUCK``.
        decision: how a review ends, or None for the drawn one.
        reason: the failure reason, or None for a drawn one.
        forced: also when runs of this type have no such status.
    """

    end: str
    decision: str | None = None
    reason: str | None = None
    forced: bool = False


def wish_in(text: str) -> Wish | None:
    """The wish in a text such as ``invoice-simulate-failed-OCR_ERROR.pdf``, or None."""
    match = _WISH.search(text)
    if match is None:
        return None
    if match["status"]:
        return Wish(match["status"], forced=True)
    if match["decision"]:
        return Wish(NEEDS_REVIEW, decision=match["decision"].upper())
    return Wish(match["end"].upper().replace("-", "_"), reason=match["reason"])


def draw_fate(run_type: RunType, now_ms: int, wish: Wish | None, lifetimes: Lifetimes, random: Random) -> Fate:
    """What will become of a run that is created now.

    Args:
        run_type: its type; only workflow runs begin as PENDING and have reviews.
        now_ms: when it is created.
        wish: what its input asks for, or None.
        lifetimes: the distributions.
        random: seeded for this run alone.
    """
    life = _duration_ms(lifetimes.median, lifetimes, random)
    review = _duration_ms(lifetimes.review_median, lifetimes, random)
    if wish is None:
        wish = _drawn_wish(run_type, lifetimes, random)
    end = wish.end if wish.forced or wish.end in _ENDS[run_type.name] else "PROCESSED"
    end_ms = now_ms + (STUCK_MS if end == "STUCK" else life)
    steps = [Step(now_ms, "PENDING" if run_type.name == "workflow" else "PROCESSING")]
    # The file is known, or the run leaves the queue, some time before its end: `updatedAt` moves while it runs.
    steps.append(Step(now_ms + life // 5, "PROCESSING"))
    steps.append(Step(end_ms, "PROCESSED" if end == "STUCK" else end))
    if end == NEEDS_REVIEW:
        decision = wish.decision or ("REJECTED" if random.random() < lifetimes.rejected else "PROCESSED")
        steps.append(Step(end_ms + review, decision))
    reason = None
    if steps[-1].status == "FAILED":
        reason = wish.reason or random.choice(list(FAILURES[run_type.name]))
    return Fate(tuple(steps), reason)


def _duration_ms(median: float, lifetimes: Lifetimes, random: Random) -> int:
    return round(1000 * min(median * exp(random.gauss(0, lifetimes.spread)), lifetimes.longest))


def _drawn_wish(run_type: RunType, lifetimes: Lifetimes, random: Random) -> Wish:
    u = random.random()
    if u < lifetimes.failed:
        return Wish("FAILED")
    if u < lifetimes.failed + lifetimes.cancelled:
        return Wish("CANCELLED")
    if run_type.name == "workflow" and random.random() < lifetimes.needs_review:
        return Wish(NEEDS_REVIEW)
    return Wish("PROCESSED")
