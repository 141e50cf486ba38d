"""Avro framing: what is written can be read by others, and no bytes bring the reader down."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.avro import DoesNotFit, Undecodable
from connector.core.formats.framing import MARKER, Codec, confluent_header, confluent_schema_id, framed_schema_id
from connector.core.reasons import Reason
from connector.schema_files import load_schema
from tests.factories.records import reference_codec, result_codec

POINT: dict[str, object] = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "x", "type": "long"}, {"name": "label", "type": ["null", "string"], "default": None}],
}
OLD_POINT: dict[str, object] = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}
point = Codec(POINT, also_reads=[OLD_POINT])


def crc_64_avro(data: bytes) -> int:
    """The specification's algorithm, written down again."""
    empty = 0xC15D213AA4D7A795
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = (value >> 1) ^ (empty & -(value & 1))
        table.append(value)
    result = empty
    for byte in data:
        result = (result >> 8) ^ table[(result ^ byte) & 0xFF]
    return result


def test_the_fingerprint_is_the_specifications_crc_in_little_endian() -> None:
    canonical = b'{"name":"Point","type":"record","fields":[{"name":"x","type":"int"}]}'
    assert Codec(OLD_POINT).fingerprint == crc_64_avro(canonical).to_bytes(8, "little")
    assert crc_64_avro(b'"int"') == 0x7275D51A3F395C8F  # the value in the specification's own test data


def test_an_independent_reader_finds_marker_fingerprint_and_body() -> None:
    data = point.encode({"x": 7, "label": "ü"})
    assert data[:2] == MARKER == b"\xc3\x01"
    assert data[2:10] == point.fingerprint
    assert fastavro.schemaless_reader(BytesIO(data[10:]), POINT, None) == {"x": 7, "label": "ü"}


def test_an_older_writer_schema_is_found_by_its_fingerprint_and_resolved() -> None:
    assert point.decode(Codec(OLD_POINT).encode({"x": 5})) == {"x": 5, "label": None}


def test_timestamps_are_plain_milliseconds_in_and_out() -> None:
    schema: dict[str, object] = {
        "type": "record",
        "name": "T",
        "fields": [{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}],
    }
    codec = Codec(schema)
    beyond_datetime = 2**62
    assert codec.decode(codec.encode({"at": beyond_datetime})) == {"at": beyond_datetime}
    others = fastavro.schemaless_reader(BytesIO(codec.encode({"at": 0})[10:]), schema, None)
    assert others == {"at": datetime(1970, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("datum", "said"),
    [
        ({"x": 1.5}, "Point.x"),
        ({"x": True}, "Point.x"),
        ({"x": 2**63}, "Point.x"),
        ({"x": None}, "Point.x"),
        ({}, "Point.x"),
        ({"x": 1, "label": b"bytes"}, "Point.label"),
        ({"x": 1, "label": "\ud800"}, "surrogate"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(datum: dict[str, object], said: str) -> None:
    with pytest.raises(DoesNotFit, match=said):
        point.encode(datum)


def test_an_error_never_shows_the_value() -> None:
    with pytest.raises(DoesNotFit) as caught:
        point.encode({"x": "canary-secret"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (b"", Reason.UNDECODABLE, "0 bytes"),
        (MARKER + point.fingerprint[:7], Reason.UNDECODABLE, "9 bytes"),
        (b"\xc3\x02" + point.fingerprint + b"\x02\x00", Reason.UNDECODABLE, "do not begin"),
        (MARKER + b"\0" * 8 + b"\x02\x00", Reason.UNKNOWN_SCHEMA, "0000000000000000"),
        (point.encode({"x": 300, "label": "abc"})[:-1], Reason.UNDECODABLE, "cut short"),
        (point.encode({"x": 3}) + b"\0", Reason.UNDECODABLE, "1 bytes are left over"),
        (MARKER + point.fingerprint + b"\x02\x09", Reason.UNDECODABLE, "damaged"),
        (MARKER + point.fingerprint + b"\x02\x02\x04\xff\xff", Reason.UNDECODABLE, "damaged"),
    ],
)
def test_bytes_that_cannot_be_read_have_a_reason(data: bytes, reason: Reason, said: str) -> None:
    with pytest.raises(Undecodable, match=said) as caught:
        point.decode(data)
    assert caught.value.reason == reason


def refusal(codec: Codec, data: bytes) -> Reason | None:
    try:
        codec.decode(data)
    except Undecodable as error:
        return error.reason
    return None


@pytest.mark.parametrize("codec", [reference_codec, result_codec, point], ids=["reference", "result", "point"])
@given(body=st.binary(max_size=200))
def test_no_body_makes_the_reader_raise_anything_else(codec: Codec, body: bytes) -> None:
    assert refusal(codec, MARKER + codec.fingerprint + body) in {None, Reason.UNDECODABLE}


@given(body=st.binary(max_size=100))
def test_no_body_of_an_older_schema_makes_the_reader_raise_anything_else(body: bytes) -> None:
    assert refusal(point, MARKER + Codec(OLD_POINT).fingerprint + body) in {None, Reason.UNDECODABLE}


@given(cut=st.integers(0, 400), flipped=st.integers(0, 400), bit=st.integers(0, 7))
def test_damaged_references_are_read_or_refused(cut: int, flipped: int, bit: int) -> None:
    whole = bytearray(
        reference_codec.encode(
            {
                "files": [{"url": "https://a.example/1.pdf"}, {"file_id": "file_1"}],
                "metadata": {"a": "b" * 80},
                "config": "{}",
            }
        )
    )
    whole[10 + flipped % (len(whole) - 10)] ^= 1 << bit
    for data in (bytes(whole), bytes(whole[: 10 + cut % len(whole)])):
        assert refusal(reference_codec, data) in {None, Reason.UNDECODABLE}


@given(x=st.integers(-(2**63), 2**63 - 1), label=st.none() | st.text())
def test_what_is_written_is_read_back(x: int, label: str | None) -> None:
    assert point.decode(point.encode({"x": x, "label": label})) == {"x": x, "label": label}


# The value is 4.8 kB. Without the check the process does not raise: it is gone, with SIGSEGV.
_RECURSIVE = """
import sys
from io import BytesIO
schema = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}
body = b"\\x02" * 40000 + b"\\x00"
if sys.argv[1] == "checked":
    from connector.core.formats.avro import SchemaRefused
    from connector.core.formats.framing import Codec
    try:
        Codec(schema)
    except SchemaRefused as error:
        print(error)
else:
    import fastavro
    fastavro.schemaless_reader(BytesIO(body), fastavro.parse_schema(schema), None)
"""


def _in_a_process_of_its_own(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _RECURSIVE, how], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_record_that_kills_the_bare_reader_is_refused_with_its_schema() -> None:
    bare = _in_a_process_of_its_own("bare")
    assert bare.returncode != 0, "the bare reader survived: the danger that this test is about is gone"
    checked = _in_a_process_of_its_own("checked")
    assert (checked.returncode, checked.stdout.strip()) == (0, "The schema is recursive: N contains itself.")


def test_the_shipped_schemas_are_read_by_their_own_codecs() -> None:
    for name in ("document_reference", "run_result"):
        assert Codec(load_schema(name)).fingerprint


def test_an_id_that_no_registry_gives_is_none_to_ask_for() -> None:
    largest = confluent_header(2**31 - 1)
    assert framed_schema_id(largest) == confluent_schema_id(largest) == 2**31 - 1
    for schema_id in (2**31, 2**32 - 1):
        header = confluent_header(schema_id)
        assert framed_schema_id(header) is None
        with pytest.raises(Undecodable, match=f"No schema registry gives the id {schema_id}"):
            confluent_schema_id(header)
