"""Avro in its single-object encoding: ``C3 01``, the writer schema's fingerprint, the body.

The fingerprint is CRC-64-AVRO of the schema's parsing canonical form, eight bytes, little endian (Avro
specification, "Single-object encoding"). Any reader that has the schema files can find the right one. The
only file that knows fastavro.

Values are plain: logical types are not applied, so a ``timestamp-millis`` is an int of milliseconds in and
out, and a date that Python's datetime cannot hold is a number and not a crash.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form

from connector.core.formats.schema_limits import Schema, SchemaRefused, check_schema
from connector.core.formats.value_check import check_of
from connector.core.reasons import Reason

__all__ = ["MARKER", "Codec", "DoesNotFit", "SchemaRefused", "Undecodable", "load_checked"]

MARKER = b"\xc3\x01"
"""The first two bytes of Avro's single-object encoding, version 1. Never the start of UTF-8 text."""

_HEADER_BYTES = len(MARKER) + 8

_READ_ERRORS = (
    ArithmeticError,  # lengths that overflow
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,  # union and enum indexes
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,  # UTF-8 among them
    struct.error,
)


class Undecodable(ValueError):  # noqa: N818 - it names what the bytes are
    """These bytes cannot be read.

    Attributes:
        reason: ``UNDECODABLE`` or ``UNKNOWN_SCHEMA``.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class DoesNotFit(ValueError):  # noqa: N818 - it names what the value does
    """A value does not fit its schema. The message names the field, never the value."""


class _Parsed:
    """A checked schema, ready for fastavro, and its fingerprint."""

    __slots__ = ("fingerprint", "schema")

    def __init__(self, schema: Schema) -> None:
        self.schema = load_checked(schema)
        canonical = to_parsing_canonical_form(self.schema)
        # fastavro prints the CRC's bytes in little-endian order already (checked against the specification's
        # value for "int").
        self.fingerprint = bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


class Codec:
    """Writes one schema, reads that one and older ones.

    Attributes:
        fingerprint: eight bytes that name the schema.
    """

    __slots__ = ("_check", "_name", "_own", "_prefix", "_writers", "fingerprint")

    def __init__(self, schema: Schema, also_reads: Sequence[Schema] = ()) -> None:
        """A codec.

        Args:
            schema: what is written, and what every read is resolved to.
            also_reads: older (or other) writer schemas that may be met.

        Raises:
            SchemaRefused: a schema is recursive, too large, too deep or no valid Avro.
        """
        self._own = _Parsed(schema)
        others = (_Parsed(other) for other in also_reads)
        self._writers = {parsed.fingerprint: parsed for parsed in (*others, self._own)}
        self.fingerprint = self._own.fingerprint
        self._check = check_of(self._own.schema)
        self._name = str(schema.get("name", "value"))
        self._prefix = MARKER + self.fingerprint

    def encode(self, datum: Mapping[str, object]) -> bytes:
        """The datum in single-object encoding.

        Args:
            datum: one value per field; a field with a default may be left out.

        Raises:
            DoesNotFit: a value is missing, of the wrong type or range, or a text that is no valid Unicode.
        """
        out = BytesIO()
        out.write(self._prefix)
        misfit = self._check(datum)
        if misfit is not None:
            raise DoesNotFit(f"{misfit.inside(self._name).path}: {misfit.complaint}.")
        try:
            schemaless_writer(out, self._own.schema, datum, strict_allow_default=True)
        except UnicodeEncodeError:
            raise DoesNotFit("A text holds a lone surrogate, which UTF-8 cannot hold.") from None
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
            raise DoesNotFit(f"The value does not fit its schema ({type(error).__name__}).") from None
        return out.getvalue()

    def decode(self, data: bytes) -> dict[str, object]:
        """The datum in single-object encoded bytes, resolved to this codec's schema.

        Raises:
            Undecodable: another marker, an unknown fingerprint, bytes missing or left over, or values that
                the schema does not have. Never anything else, whatever the bytes are.
        """
        if len(data) < _HEADER_BYTES or not data.startswith(MARKER):
            raise Undecodable(
                Reason.UNDECODABLE,
                f"These {len(data)} bytes do not begin with the 10 bytes of Avro's single-object encoding.",
            )
        print_of_writer = data[len(MARKER) : _HEADER_BYTES]
        writer = self._writers.get(print_of_writer)
        if writer is None:
            raise Undecodable(
                Reason.UNKNOWN_SCHEMA,
                f"The writer schema with fingerprint {print_of_writer.hex()} is not known; known are "
                f"{', '.join(known.hex() for known in self._writers)} (little-endian CRC-64-AVRO).",
            )
        return self._read(data, writer)

    def _read(self, data: bytes, writer: _Parsed) -> dict[str, object]:
        reader = None if writer is self._own else self._own.schema
        body = BytesIO(data)
        body.seek(_HEADER_BYTES)
        try:
            datum = schemaless_reader(body, writer.schema, reader)
        except SchemaResolutionError:
            raise Undecodable(Reason.UNDECODABLE, "The Avro body does not fit the reader's schema.") from None
        except _READ_ERRORS as error:
            kind = "is cut short" if isinstance(error, EOFError) else f"is damaged ({type(error).__name__})"
            raise Undecodable(Reason.UNDECODABLE, f"The Avro body {kind}.") from None
        left = len(data) - body.tell()
        if left:
            raise Undecodable(Reason.UNDECODABLE, f"{left} bytes are left over after the Avro body.")
        return cast("dict[str, object]", datum)


def load_checked(schema: Schema) -> dict[str, Any]:
    """A schema that is safe to read with, parsed for fastavro and without logical types.

    Args:
        schema: the schema's JSON as Python values.

    Raises:
        SchemaRefused: recursive, too large (256 KiB), too deep (32), too many or too long names (512), arrays
            or maps of items that take no bytes, or no valid Avro schema.
    """
    check_schema(schema)
    try:
        return cast("dict[str, Any]", parse_schema(_plain(schema)))
    except (SchemaParseException, UnknownType, LookupError, TypeError, ValueError) as error:
        raise SchemaRefused(f"The schema is no valid Avro schema ({type(error).__name__}).") from error


def _plain(node: object) -> Any:  # noqa: ANN401 - a piece of JSON
    """The schema without logical types, which are no part of the canonical form and of the fingerprint."""
    if isinstance(node, Mapping):
        # Defaults and docs are data and not schema: they are kept as they are.
        return {
            key: value if key in {"default", "doc"} else _plain(value)
            for key, value in node.items()
            if key not in {"logicalType", "precision", "scale"}
        }
    if isinstance(node, list | tuple):
        return [_plain(each) for each in node]
    return node
