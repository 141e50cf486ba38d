"""How the following of a run ends: the API shows its end, or the connector has to say one."""

from __future__ import annotations

from dataclasses import dataclass

from connector.core.result import RESULT_TOO_LARGE
from connector.core.run import Run


@dataclass(frozen=True, slots=True)
class OwnEnd:
    """An end that is ours and not the API's; the result's status is ``FAILED``.

    Attributes:
        reason: the result's ``failure_reason``; begins with ``CONNECTOR_``.
        message: one sentence for the reader of the topic.
        outcome: the status as metrics count it and topics are named after it.
    """

    reason: str
    message: str
    outcome: str = "FAILED"


Ending = Run | OwnEnd

RUN_NOT_FOUND = OwnEnd(
    "CONNECTOR_RUN_NOT_FOUND",
    "The API does not know this run any more; it was deleted before its result was read.",
)
RESULT_UNREADABLE = OwnEnd(
    "CONNECTOR_RESULT_UNREADABLE",
    "The API's answer about this run is too large or too deeply nested to be read; the run's id fetches it.",
)
TIMED_OUT = OwnEnd(
    "CONNECTOR_TIMED_OUT",
    "The run had not ended after follow.max_wait_ms; it goes on at the API and its id fetches what becomes of it.",
    "TIMED_OUT",
)

OWN_REASONS = (RUN_NOT_FOUND.reason, RESULT_UNREADABLE.reason, TIMED_OUT.reason, RESULT_TOO_LARGE)
"""Every reason of ours."""


def outcome_name(ending: Ending) -> str:
    """The API's status, or what stands for it: it names the topic and is counted."""
    return ending.status if isinstance(ending, Run) else ending.outcome
