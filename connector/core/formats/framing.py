"""How a record says which schema its Avro body has.

Single-object encoding: ``C3 01``, the schema's fingerprint, the body; the fingerprint is CRC-64-AVRO of the schema's
parsing canonical form, eight bytes, little endian (Avro specification, "Single-object encoding"). Any reader that has
the schema files can find the right one. Confluent framing: ``00``, the id that a schema registry gave the schema, four
bytes, big endian, the body (Confluent, "Wire format").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import cast

from connector.core.formats.avro import AvroSchema, Undecodable
from connector.core.formats.schema_limits import Schema
from connector.core.reasons import Reason

MARKER = b"\xc3\x01"
"""The first two bytes of Avro's single-object encoding, version 1. Never the start of UTF-8 text."""
CONFLUENT_MARKER = b"\x00"
"""The first byte of Confluent's framing. Never the start of JSON."""

HEADER_BYTES = len(MARKER) + 8
CONFLUENT_HEADER_BYTES = 5
SCHEMA_IDS = range(2**31)
"""What a schema registry gives: its ids are Java's ``int``, and it understands no question about another one."""


def as_single_object(data: bytes, fingerprint: bytes) -> bytes:
    """A value in Confluent's framing as one in single-object encoding; the body is the same in both.

    Args:
        data: in Confluent's framing.
        fingerprint: of the schema that its id names.
    """
    return MARKER + fingerprint + data[CONFLUENT_HEADER_BYTES:]


def confluent_header(schema_id: int) -> bytes:
    """What stands before a body whose schema the registry knows by this id."""
    return struct.pack(">bI", 0, schema_id)


def confluent_schema_id(data: bytes) -> int:
    """The id in bytes that begin with Confluent's marker.

    Raises:
        Undecodable: there are fewer than five bytes, or they hold no id that a registry gives.
    """
    if len(data) < CONFLUENT_HEADER_BYTES:
        raise Undecodable(
            Reason.UNDECODABLE,
            f"These {len(data)} bytes are too few for the 5 bytes of a schema registry's framing.",
        )
    schema_id = _id(data)
    if schema_id not in SCHEMA_IDS:
        raise Undecodable(
            Reason.UNDECODABLE, f"No schema registry gives the id {schema_id}: the largest is 2147483647."
        )
    return schema_id


def framed_schema_id(data: bytes) -> int | None:
    """The id in bytes that may be framed for a schema registry; None where they are not."""
    if not data.startswith(CONFLUENT_MARKER) or len(data) < CONFLUENT_HEADER_BYTES:
        return None
    schema_id = _id(data)
    return schema_id if schema_id in SCHEMA_IDS else None


def _id(data: bytes) -> int:
    return int.from_bytes(data[1:CONFLUENT_HEADER_BYTES], "big")


class FramedCodec:
    """Writes one schema in Confluent's framing."""

    __slots__ = ("_header", "_schema")

    def __init__(self, schema: AvroSchema, schema_id: int) -> None:
        """A codec.

        Args:
            schema: what is written.
            schema_id: the id that a schema registry gave it.
        """
        self._schema = schema
        self._header = confluent_header(schema_id)

    def encode(self, datum: Mapping[str, object]) -> bytes:
        """The datum in Confluent's framing; raises as ``Codec.encode``."""
        return self._schema.encode(datum, self._header)


class Codec:
    """Writes one schema in single-object encoding, reads that one and older ones.

    Attributes:
        fingerprint: eight bytes that name the schema.
    """

    __slots__ = ("_own", "_prefix", "_writers", "fingerprint")

    def __init__(self, schema: Schema, also_reads: Sequence[Schema] = ()) -> None:
        """A codec.

        Args:
            schema: what is written, and what every read is resolved to.
            also_reads: older (or other) writer schemas that may be met.

        Raises:
            SchemaRefused: a schema is recursive, too large, too deep or no valid Avro.
        """
        self._own = AvroSchema(schema)
        others = (AvroSchema(other) for other in also_reads)
        self._writers = {known.fingerprint: known for known in (*others, self._own)}
        self.fingerprint = self._own.fingerprint
        self._prefix = MARKER + self.fingerprint

    @property
    def schema(self) -> AvroSchema:
        """What is written, and what every read is resolved to."""
        return self._own

    def framed(self, schema_id: int) -> FramedCodec:
        """The same schema's writer in Confluent's framing.

        Args:
            schema_id: the id that a schema registry gave it.
        """
        return FramedCodec(self._own, schema_id)

    def encode(self, datum: Mapping[str, object]) -> bytes:
        """The datum in single-object encoding.

        Args:
            datum: one value per field; a field with a default may be left out.

        Raises:
            DoesNotFit: a value is missing, of the wrong type or range, or a text that is no valid Unicode.
        """
        return self._own.encode(datum, self._prefix)

    def decode(self, data: bytes) -> dict[str, object]:
        """The datum in single-object encoded bytes, resolved to this codec's schema.

        Raises:
            Undecodable: another marker, an unknown fingerprint, bytes missing or left over, or values that
                the schema does not have. Never anything else, whatever the bytes are.
        """
        if len(data) < HEADER_BYTES or not data.startswith(MARKER):
            raise Undecodable(
                Reason.UNDECODABLE,
                f"These {len(data)} bytes do not begin with the 10 bytes of Avro's single-object encoding.",
            )
        print_of_writer = data[len(MARKER) : HEADER_BYTES]
        writer = self._writers.get(print_of_writer)
        if writer is None:
            raise Undecodable(
                Reason.UNKNOWN_SCHEMA,
                f"The writer schema with fingerprint {print_of_writer.hex()} is not known; known are "
                f"{', '.join(known.hex() for known in self._writers)} (little-endian CRC-64-AVRO).",
            )
        return cast("dict[str, object]", writer.decode(data, HEADER_BYTES, self._own))
