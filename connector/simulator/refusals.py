"""What the API says when it does not do what was asked."""

from __future__ import annotations

import msgspec

_CODES = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    402: "USAGE_BLOCKED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    422: "INVALID_REQUEST",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
}
_MESSAGES = {
    400: "The request is not valid.",
    401: "The API key is missing or not valid.",
    402: "The account has no credits left.",
    403: "The API key lacks the right to do this.",
    404: "No such object.",
    429: "Request rate is over the limit of this organization.",
}


class Refusal(Exception):  # noqa: N818 - an answer of the API, not an error of the simulator
    """An answer with the API's error body.

    Attributes:
        status: HTTP status.
        code: error code.
        message: a sentence; the real API's wording is not documented and must not be relied on.
        headers: more headers, e.g. ``retry-after``.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        code: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.code = code or _CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "INVALID_REQUEST")
        self.message = message or _MESSAGES.get(status, "Something went wrong.")
        self.headers = headers
        super().__init__(self.message)

    def body(self, request_id: str) -> bytes:
        """The JSON of the error body."""
        return msgspec.json.encode(
            {
                "code": self.code,
                "message": self.message,
                "retryable": self.status == 429 or self.status >= 500,
                "requestId": request_id,
            },
        )


def invalid(message: str) -> Refusal:
    """400: the body or the query is wrong."""
    return Refusal(400, message)


def not_found(message: str) -> Refusal:
    """404."""
    return Refusal(404, message)
