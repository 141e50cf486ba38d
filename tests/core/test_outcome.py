"""Row by row: which answer to a POST means what."""

from __future__ import annotations

import pytest

from connector.core.answer import MAX_MESSAGE_CHARS, Answer, error_body, error_of
from connector.core.errors import ApiError, ApiUnreadable, NotSent, PollingTimeoutError
from connector.core.outcome import Refused, RefusedForGood, Systemic, Unclear, outcome_of

NOW = 1_800_000_000.0
OWN = b'{"code": "SOME_CODE", "message": "Because.", "retryable": true, "requestId": "req_1"}'
NESTED = b'{"error": {"code": "SOME_CODE", "message": "Because."}}'
BLOCKED = b'{"code": "USAGE_BLOCKED", "message": "No credits."}'
HTML = b"<html><body>404 Not Found</body></html>"


def error(status: int, body: bytes, **headers: str) -> ApiError:
    found = error_of(
        Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body), "POST /x", NOW
    )
    assert found is not None
    return found


@pytest.mark.parametrize("body", [b"", HTML, OWN, BLOCKED, b"\xff", b"["])
def test_429_is_refused_whatever_its_body(body: bytes) -> None:
    assert outcome_of(error(429, body)) == Refused("THROTTLED", None)
    assert outcome_of(error(429, body, retry_after="12")) == Refused("THROTTLED", 12)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("body", [OWN, NESTED])
def test_the_apis_own_refusal_is_for_good(status: int, body: bytes) -> None:
    outcome = outcome_of(error(status, body))
    assert isinstance(outcome, RefusedForGood)
    assert outcome.code == "SOME_CODE"
    assert f"{status} SOME_CODE: Because." in outcome.message
    assert outcome.request_id == ("req_1" if body == OWN else None)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_is_wrong_with_the_key_or_the_account_is_systemic(status: int) -> None:
    outcome = outcome_of(error(status, OWN))
    assert isinstance(outcome, Systemic)
    assert outcome.code == "SOME_CODE"


@pytest.mark.parametrize("status", [302, 400, 402, 404, 408, 409, 422, 500, 503])
def test_a_blocked_account_is_systemic_under_any_status(status: int) -> None:
    assert isinstance(outcome_of(error(status, BLOCKED)), Systemic)


@pytest.mark.parametrize("status", [301, 307, 308, 405, 408, 409, 410, 415, 418, 500, 501, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"", HTML, OWN])
def test_anything_else_is_unclear(status: int, body: bytes) -> None:
    assert outcome_of(error(status, body)) == Unclear(f"HTTP_{status}")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
@pytest.mark.parametrize(
    "body", [b"", HTML, b"[]", b'"code"', b'{"code": 7}', b'{"message": "no code"}', b'{"code": ""}', b"\xff", b"{"]
)
def test_a_4xx_without_the_apis_own_body_is_unclear(status: int, body: bytes) -> None:
    assert outcome_of(error(status, body)) == Unclear(f"HTTP_{status}")


def test_what_was_not_sent_is_refused() -> None:
    assert outcome_of(NotSent("no route")) == Refused("NOT_SENT")


@pytest.mark.parametrize("reason", ["NO_ID", "NOT_JSON", "TOO_LARGE", "TOO_DEEP", "ENCODED"])
def test_a_2xx_that_cannot_be_used_is_unclear(reason: str) -> None:
    assert outcome_of(ApiUnreadable("2xx", reason=reason, status=200)) == Unclear(reason)


def test_no_answer_is_unclear() -> None:
    assert outcome_of(ApiError("gone")) == Unclear("NO_ANSWER")
    assert outcome_of(PollingTimeoutError("exr_1", 1, 1)) == Unclear("NO_ANSWER")


def test_2xx_is_no_error() -> None:
    assert error_of(Answer(200), "POST /x", NOW) is None
    assert error_of(Answer(299), "POST /x", NOW) is None


@pytest.mark.parametrize(
    ("status", "body", "retryable"),
    [
        (500, HTML, True),
        (404, HTML, True),
        (408, b"", True),
        (307, b"", False),
        (500, b'{"code": "X", "retryable": false}', False),
        (500, b'{"code": "X", "retryable": "yes"}', True),
        (429, b"", True),
        (400, OWN, False),
    ],
)
def test_whether_a_read_may_be_repeated(status: int, body: bytes, *, retryable: bool) -> None:
    assert error(status, body).retryable is retryable


def test_a_503_may_say_how_long_to_wait() -> None:
    assert getattr(error(503, HTML, retry_after="9"), "retry_after", None) == 9


def test_the_request_id_comes_from_the_body_or_the_header() -> None:
    assert error(400, OWN, x_extend_request_id="req_2").request_id == "req_1"
    assert error(400, NESTED, x_extend_request_id="req_2").request_id == "req_2"
    assert error(500, HTML, x_extend_request_id="req_2").request_id == "req_2"
    assert error(500, HTML, x_extend_request_id="req\r\n2").request_id is None


def test_a_message_brings_no_address_no_key_and_no_line_break() -> None:
    said = error_body(
        b'{"code": "X", "message": "Bad\\r\\nurl https://files.example.com/a?sig=canary, s3://canary/b, key sk_canary"}'
    )
    assert said is not None
    assert said.message == "Bad url (address) (address) key sk_***"


def test_a_long_message_is_cut_and_html_is_never_quoted() -> None:
    said = error_body(b'{"code": "X", "message": "' + b"m" * 10_000 + b'"}')
    assert said is not None
    assert len(said.message) == MAX_MESSAGE_CHARS + 3
    assert "html" not in str(error(502, HTML))
