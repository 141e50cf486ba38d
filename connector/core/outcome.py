"""What became of a POST that buys a run: which answer means what, as types and one function.

Started and refused are certain. Everything that is not certain is unclear, and an unclear start is never
repeated: counting a harmless failure as unclear costs a look-up, the other mistake costs a second paid run.
So the API's ``retryable`` flag plays no part here: it says that one may ask again, not that nothing was
created.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiRefused,
    ApiThrottled,
    ApiUnreadable,
    NotSent,
)
from connector.core.run import Run

FOR_GOOD = frozenset({400, 404, 413, 422})
"""With the API's own error body: this request will never be taken."""


@dataclass(frozen=True, slots=True)
class Started:
    """A run exists."""

    run: Run


@dataclass(frozen=True, slots=True)
class Refused:
    """Certain: nothing was created; the same request may be taken later.

    Attributes:
        reason: ``NOT_SENT`` or ``THROTTLED``.
        retry_after: seconds that the API asked to wait, or None.
    """

    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RefusedForGood:
    """Certain: nothing was created, and this request never will be taken: a dead letter.

    Attributes:
        code: the API's error code.
        message: the API's sentence, without addresses and keys.
        request_id: for the API's support, or None.
    """

    code: str
    message: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Systemic:
    """Certain: nothing was created, and no other start would be: the key or the account is at fault."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """A run may exist.

    Attributes:
        reason: ``NO_ANSWER``, ``HTTP_<status>``, or why a 2xx could not be used (``NO_ID``, ``NOT_JSON``,
            ...).
    """

    reason: str


NEVER_SENT = Refused("NEVER_SENT")
"""The POST was called off before anything was handed to the HTTP client."""

StartOutcome = Started | Refused | RefusedForGood | Systemic | Unclear


def outcome_of(error: ApiError) -> StartOutcome:
    """What an error of a create means; without an error it is ``Started``."""
    if isinstance(error, NotSent):
        return Refused("NOT_SENT")
    if isinstance(error, ApiThrottled):
        return Refused("THROTTLED", error.retry_after)
    if isinstance(error, ApiForbidden):
        return Systemic(error.code or f"HTTP_{error.status}", str(error))
    if isinstance(error, ApiRefused) and error.status in FOR_GOOD:
        return RefusedForGood(error.code or f"HTTP_{error.status}", str(error), error.request_id)
    if isinstance(error, ApiUnreadable):
        return Unclear(error.reason)
    return Unclear("NO_ANSWER" if error.status is None else f"HTTP_{error.status}")
