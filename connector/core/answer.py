"""What an HTTP answer says: the run we asked for, or which error. The only place that reads status codes.

The API's own error body is a JSON object with a text ``code`` (also one level down, under ``error``). Only
with it is a 4xx the API's word; without it a proxy, a load balancer or a wrong address may have spoken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from connector.core.budgets.retry import instant_of, retry_after
from connector.core.errors import (
    ApiError,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
)
from connector.core.formats.json_limits import is_too_deep

MAX_MESSAGE_CHARS = 300
"""How much of the API's sentence goes into an error; it may end in a Kafka header."""

USAGE_BLOCKED = "USAGE_BLOCKED"

# The API's sentence may repeat what was sent: signed URLs and keys must not travel on in it.
_ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://\S+")
_KEY = re.compile(r"\bsk_\w+")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer.

    Attributes:
        status: the HTTP status.
        headers: names in lower case; of a repeated name the last.
        body: the bytes.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def date(self) -> float | None:
        """When it was made, by the API's clock: seconds since the epoch; None when it does not say."""
        return instant_of(self.headers.get("date", ""))


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The API's own error body: what of it matters. It names a run where one exists although the call failed."""

    code: str
    message: str
    retryable: bool | None = None
    request_id: str | None = None
    run_id: str | None = None


def error_body(body: bytes) -> ErrorBody | None:
    """The API's own error body in these bytes, or None when it is something else."""
    if not body or is_too_deep(body):
        return None
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    if not isinstance(content.get("code"), str) and isinstance(content.get("error"), dict):
        content = content["error"]
    code = content.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    message, retryable, request_id = (content.get(key) for key in ("message", "retryable", "requestId"))
    return ErrorBody(
        code=code,
        message=_harmless(message) if isinstance(message, str) else "",
        retryable=retryable if isinstance(retryable, bool) else None,
        request_id=_request_id(request_id),
        run_id=_request_id(content.get("runId")),
    )


def error_of(answer: Answer, asked: str, wall: float) -> ApiError | None:
    """The error that an answer means, or None for a 2xx.

    Args:
        answer: the answer.
        asked: what was asked, for the message: ``GET /extract_runs/exr_1``.
        wall: seconds since the epoch, for ``Retry-After`` dates in answers without ``Date``.
    """
    if answer.ok:
        return None
    status = answer.status
    said = error_body(answer.body)
    code = said.code if said else None
    request_id = _request_id(answer.headers.get("x-extend-request-id"))
    if said and said.request_id:
        request_id = said.request_id
    wait = retry_after(answer.headers, wall)
    if said:
        text = f"{asked}: the API answered {status} {said.code}: {said.message or '(no message)'}"
    elif 300 <= status < 400:
        text = f"{asked}: a redirect ({status}) was answered and is not followed; check extend.base_url."
    else:
        text = f"{asked}: {status} was answered, without the API's own error body."
    names = {"request": request_id, "run": said.run_id if said else None}
    if known := ", ".join(f"{name} {value}" for name, value in names.items() if value):
        text = f"{text} ({known})"
    if status == 429:
        return ApiThrottled(text, retry_after=wait, code=code, request_id=request_id)
    refused = said is not None and 400 <= status < 500 and status not in {408, 409}
    # Whether the account is blocked does not depend on the status it is told with.
    if code == USAGE_BLOCKED or (refused and status in {401, 402, 403}):
        return ApiForbidden(text, status=status, code=code, request_id=request_id)
    if refused and status == 404:
        return ApiNotFound(text, status=status, code=code, request_id=request_id)
    if refused:
        return ApiRefused(text, status=status, code=code, request_id=request_id)
    retryable = not 300 <= status < 400 if said is None or said.retryable is None else said.retryable
    return ApiUnavailable(text, status=status, code=code, retryable=retryable, request_id=request_id, retry_after=wait)


def _request_id(text: object) -> str | None:
    return text if isinstance(text, str) and _REQUEST_ID.fullmatch(text) else None


def _harmless(message: str) -> str:
    text = _KEY.sub("sk_***", _ADDRESS.sub("(address)", message))
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}..."
