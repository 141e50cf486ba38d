"""Records that can never become a run: dead letters byte for byte, and the good ones between them go on."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from connector.core.formats.framing import Codec
from connector.core.record import Headers
from connector.schema_files import load_schema
from tests.chaos.readers import Raw
from tests.guarantees.scene import Scene, Written, assert_once, reference

HEADERS: Headers = (
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x", None),
    ("x", b""),
)
URL = "https://bucket.example.com/a.pdf"


class Bad(NamedTuple):
    """A record, and what its dead letter must say."""

    value: bytes
    reason: str
    key: bytes | None = b"customer-7"


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def _avro() -> bytes:
    return Codec(load_schema("document_reference")).encode({"url": URL})


BAD = (
    Bad(b"\xff\xfe\x00 no text", "UNDECODABLE"),
    Bad(b"", "UNDECODABLE"),
    Bad(b'{"url": ', "UNDECODABLE"),
    Bad(_avro()[:-3], "UNDECODABLE"),
    Bad(b"\xc3\x01", "UNDECODABLE"),
    Bad(b"\xc3\x01" + b"\x07" * 8 + _avro()[10:], "UNKNOWN_SCHEMA"),
    Bad(b"\x00\x00\x00\x00\x07" + _avro()[10:], "UNKNOWN_SCHEMA"),
    Bad(b'[{"url": "https://bucket.example.com/a.pdf"}]', "NOT_AN_OBJECT"),
    Bad(b"42", "NOT_AN_OBJECT"),
    Bad(b"null", "NOT_AN_OBJECT"),
    Bad(_json(document_id="no-file"), "NO_FILE"),
    Bad(_json(url=URL, text="and a text"), "SEVERAL_FILES"),
    Bad(_json(url=URL, run="shred"), "UNKNOWN_RUN_TYPE"),
    Bad(_json(url=URL, run="classify"), "NO_PROCESSOR"),
    Bad(_json(url=URL, metadata={"long": "x" * 10_240}), "METADATA_TOO_LARGE"),
    Bad(_json(url=URL, metadata={"kafka_connector": {"tag": "forged"}}), "METADATA_RESERVED"),
    Bad(_json(url=URL, surprise=1), "UNKNOWN_FIELD"),
    Bad(_json(url=f"{URL}\r\nX-Injected: 1"), "URL_NOT_ALLOWED"),
    Bad(_json(url=URL, document_id="a\r\nb"), "BAD_FIELD"),
    Bad(_json(url="file:///etc/passwd"), "URL_NOT_ALLOWED"),
    Bad(_json(url=URL, run="shred"), "UNKNOWN_RUN_TYPE", key=b"k" * 900_000),
    Bad(_json(url=URL, run="shred"), "UNKNOWN_RUN_TYPE", key=None),
)


async def test_bad_records_are_kept_byte_for_byte_and_good_ones_between_them_go_on(scene: Scene) -> None:
    bad: list[tuple[Written, str]] = []
    names = [f"good-{number}" for number in range(len(BAD))]
    for each, name in zip(BAD, names, strict=True):
        bad.append((await scene.write_record(each.value, key=each.key, headers=HEADERS), each.reason))
        await scene.write_record(reference(name))
    await scene.write_record(None, key=b"tombstone")

    async with scene.worker() as worker:
        count = 2 * len(BAD) + 1
        history = await scene.until(
            lambda h: len(h.results) == len(names) and not h.open_entries and sum(h.committed.values()) == count
        )
        letters = await scene.dead_letters()
        await worker.until_is("records_skipped_total", 1, reason="tombstone")
        await worker.until_is("dead_letters_total", len(BAD))

    assert_once(history, names)
    assert history.committed == history.marks == {scene.partition(0): count}
    by_offset = {int(_header(letter, "__connect.errors.offset")): letter for letter in letters}
    assert len(letters) == len(by_offset) == len(BAD)
    for record, reason in bad:
        letter = by_offset[record.offset]
        assert (letter.key, letter.value) == (record.key, record.value)
        assert letter.headers[: len(HEADERS)] == HEADERS
        assert _header(letter, "extend.reason") == reason, _header(letter, "__connect.errors.exception.message")
        assert _header(letter, "__connect.errors.topic") == scene.topic
        assert _header(letter, "__connect.errors.partition") == "0"
        assert _header(letter, "__connect.errors.connector.name") == scene.name
        assert _header(letter, "__connect.errors.exception.message")


@pytest.mark.parametrize("part", ["key", "value"])
async def test_what_the_journal_cannot_hold_is_a_dead_letter_and_no_stall(scene: Scene, part: str) -> None:
    # The topics' limits hold for compressed batches: this record is small in its topic and large everywhere else.
    large = 4_000_000
    value = _json(text="a" * large, run="extract") if part == "value" else reference("large-key")
    await scene.write_record(value, key=b"k" * large if part == "key" else b"key", headers=HEADERS)
    await scene.write_record(reference("good"))

    async with scene.worker():
        history = await scene.until_results(1)
        (letter,) = await scene.dead_letters()

    assert_once(history, ["good"])
    assert history.committed == history.marks == {scene.partition(0): 2}
    assert _header(letter, "extend.reason") == "TOO_LARGE"
    omitted = value if part == "value" else b"k" * large
    assert _header(letter, f"extend.{part}.omitted.size") == str(len(omitted))
    assert letter.headers[: len(HEADERS)] == HEADERS or part == "key"


def _header(letter: Raw, name: str) -> str:
    """The last header of a name: earlier ones may be the input's own."""
    return [(value or b"").decode() for known, value in letter.headers if known == name][-1]
