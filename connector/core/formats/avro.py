"""Avro bodies: a checked schema that writes and reads them. The only file that knows fastavro.

Values are plain: logical types are not applied, so a ``timestamp-millis`` is an int of milliseconds in and
out, and a date that Python's datetime cannot hold is a number and not a crash.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form

from connector.core.formats.avro_writer import Unfit, Write, writer_of
from connector.core.formats.schema_limits import SchemaRefused, check_schema
from connector.core.reasons import Reason

__all__ = ["AvroSchema", "DoesNotFit", "SchemaRefused", "Undecodable", "load_checked"]

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


class AvroSchema:
    """A schema that is safe to use.

    Attributes:
        schema: as fastavro wants it, without logical types.
        name: the full name of its type; ``value`` where it has none.
        fingerprint: CRC-64-AVRO of its parsing canonical form, eight bytes, little endian.
    """

    __slots__ = ("_write", "fingerprint", "name", "schema")

    def __init__(self, schema: object) -> None:
        """Check and parse a schema.

        Args:
            schema: its JSON as Python values: an object, or the name of a primitive type, or a list for a union.

        Raises:
            SchemaRefused: it is recursive, too large, too deep or no valid Avro.
        """
        self.schema = load_checked(schema)
        # fastavro prints the CRC's bytes in little-endian order already (checked against the specification's
        # value for "int").
        self.fingerprint = bytes.fromhex(fingerprint(to_parsing_canonical_form(self.schema), "CRC-64-AVRO"))
        self._write: Write | None = None  # most schemas of a registry are only read
        self.name = str(self.schema.get("name", "value")) if isinstance(self.schema, Mapping) else "value"

    @property
    def is_record(self) -> bool:
        """Whether its values have fields; a text or a fixed may have a name too."""
        return isinstance(self.schema, Mapping) and self.schema.get("type") == "record"

    def encode(self, datum: object, prefix: bytes = b"") -> bytes:
        """A value's body.

        Args:
            datum: for a record one value per field; a field with a default may be left out.
            prefix: what stands before the body.

        Raises:
            DoesNotFit: a value is missing, of the wrong type or range, or a text that is no valid Unicode.
        """
        write = self._write = self._write or writer_of(self.schema)
        out = bytearray(prefix)
        try:
            write(datum, out)
        except UnicodeEncodeError:
            raise DoesNotFit("A text holds a lone surrogate, which UTF-8 cannot hold.") from None
        except Unfit as error:
            misfit = error.misfit.inside(self.name.rpartition(".")[2])
            raise DoesNotFit(f"{misfit.path}: {misfit.complaint}.") from None
        return bytes(out)

    def decode(self, data: bytes, start: int = 0, reader: AvroSchema | None = None) -> object:
        """The value whose body begins at ``start`` and takes the rest of the bytes.

        Args:
            data: written with this schema.
            start: where the body begins.
            reader: what the value is resolved to; None: it stays as it was written.

        Raises:
            Undecodable: bytes are missing or left over, or hold values that the schema does not have. Never
                anything else, whatever the bytes are.
        """
        body = BytesIO(data)
        body.seek(start)
        try:
            datum = schemaless_reader(body, self.schema, None if reader is None or reader is self else reader.schema)
        except SchemaResolutionError:
            raise Undecodable(Reason.UNDECODABLE, "The Avro body does not fit the reader's schema.") from None
        except _READ_ERRORS as error:
            kind = "is cut short" if isinstance(error, EOFError) else f"is damaged ({type(error).__name__})"
            raise Undecodable(Reason.UNDECODABLE, f"The Avro body {kind}.") from None
        left = len(data) - body.tell()
        if left:
            raise Undecodable(Reason.UNDECODABLE, f"{left} bytes are left over after the Avro body.")
        return datum


def load_checked(schema: object) -> Any:  # noqa: ANN401 - an object, a name or a list
    """A schema that is safe to read with, parsed for fastavro and without logical types.

    Args:
        schema: the schema's JSON as Python values.

    Raises:
        SchemaRefused: recursive, too large (256 KiB), too deep (32), too many or too long names (512), arrays
            or maps of items that take no bytes, or no valid Avro schema.
    """
    try:
        check_schema(schema)
        return parse_schema(_plain(schema))
    except SchemaRefused:
        raise
    except RecursionError:
        raise SchemaRefused("The schema has attributes that nest too deep.") from None
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
