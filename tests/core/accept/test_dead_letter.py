"""Dead letters: the original byte for byte, and why, without a secret."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.dead_letter import MAX_HEADER_CHARS, dead_letter, header_text
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Headers, OutRecord, Partition

ROOM = 1_000_000
ORIGINAL: Headers = (("traceparent", b"00-1-2-01"), ("x", None), ("x", b"\xff"))


def letter_of(
    error: RecordRejected | None = None,
    *,
    key: bytes | None = b"\xff\x00key",
    value: bytes | None = b"\x00poison",
    headers: Headers = ORIGINAL,
    max_bytes: int = ROOM,
) -> OutRecord:
    return dead_letter(
        key,
        value,
        headers,
        Partition("documents", 3),
        41,
        error or RecordRejected(Reason.NO_FILE, "name the file", path="url", stage="request"),
        topic="documents.dead-letter",
        connector="invoices",
        max_bytes=max_bytes,
    )


def test_key_value_and_headers_stay_byte_for_byte_before_ours() -> None:
    letter = letter_of()
    assert (letter.topic, letter.key, letter.value) == ("documents.dead-letter", b"\xff\x00key", b"\x00poison")
    assert letter.headers[: len(ORIGINAL)] == ORIGINAL
    assert letter.headers[len(ORIGINAL) :] == (
        ("__connect.errors.topic", b"documents"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"41"),
        ("__connect.errors.connector.name", b"invoices"),
        ("__connect.errors.stage", b"request"),
        ("__connect.errors.exception.class.name", b"connector.core.errors.RecordRejected"),
        ("__connect.errors.exception.message", b"url: name the file"),
        ("extend.reason", b"NO_FILE"),
    )


def test_a_refusal_of_the_api_carries_its_code_and_request_id() -> None:
    error = RecordRejected(Reason.REFUSED_BY_API, "no", stage="start", api_code="INVALID_REQUEST", request_id="req_1")
    assert letter_of(error).headers[-3:] == (
        ("extend.reason", b"REFUSED_BY_API"),
        ("extend.api.code", b"INVALID_REQUEST"),
        ("extend.api.request_id", b"req_1"),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nX-Evil: 1\x00\x1b[31m\u2028b", "a X-Evil: 1 [31m b"),
        ("  a \t b ", "a b"),
        ("ü\ud800b", "ü b"),
        ("get https://u:canary@e.com/p?sig=canary now", "get https://e.com/… now"),
        ("Authorization: Bearer canary", "Authorization: ***"),
        ("key sk_canary", "key sk_***"),
        ("", ""),
    ],
)
def test_header_texts_are_one_clean_line(text: str, shown: str) -> None:
    assert header_text(text).decode() == shown


def test_a_long_header_text_is_cut() -> None:
    assert header_text("a" * 10_000).decode() == "a" * (MAX_HEADER_CHARS - 1) + "…"
    assert header_text("a" * MAX_HEADER_CHARS).decode() == "a" * MAX_HEADER_CHARS


@given(st.text())
def test_any_text_becomes_a_header_without_control_characters(text: str) -> None:
    shown = header_text(text).decode()
    assert shown.isprintable()
    assert len(shown) <= MAX_HEADER_CHARS


def size_and_hash(part: str, content: bytes) -> Headers:
    return (
        (f"extend.{part}.omitted.size", str(len(content)).encode()),
        (f"extend.{part}.omitted.sha256", hashlib.sha256(content).hexdigest().encode()),
    )


def test_what_the_topic_cannot_take_is_left_out_and_can_be_found_again() -> None:
    key, value, headers = b"k" * 2000, b"v" * 2000, (("h", b"x" * 2000),)
    for room, gone in ((5500, "value"), (3500, "headers"), (1800, "key")):
        letter = letter_of(key=key, value=value, headers=headers, max_bytes=room)
        assert letter.wire_size <= room
        assert letter.headers[-2:] == size_and_hash(
            gone, {"value": value, "headers": b"h" + b"x" * 2000, "key": key}[gone]
        )
        assert set(size_and_hash("value", value)) <= set(letter.headers)
        assert letter.value is None
        assert (letter.key is None) == (gone == "key")
        assert (headers[0] in letter.headers) == (gone == "value")
    assert letter_of(key=key, value=value, headers=headers).value == value


def test_a_letter_at_the_limit_stays_whole() -> None:
    whole = letter_of()
    assert letter_of(max_bytes=whole.wire_size) == whole
    assert letter_of(max_bytes=whole.wire_size - 1).value is None


def test_a_tombstone_stays_one_without_a_header_that_says_it_was_left_out() -> None:
    letter = letter_of(value=None)
    assert letter.value is None
    assert not [name for name, _ in letter.headers if "omitted" in name]
