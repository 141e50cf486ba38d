"""From a reference as a person writes it to the record that the connector takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.core.accept.field_reader import json_type
from connector.core.accept.reference import EXTRA_FIELDS, ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.errors import RecordRejected
from connector.core.formats.avro import DoesNotFit
from connector.core.formats.framing import Codec
from connector.core.reasons import Reason
from connector.core.record import Headers, OutRecord, Partition, Record
from connector.core.route import Route
from connector.core.tag import HASH_CHARS, Tag

_FAR_OFFSET = 10**15
"""The tag that the connector will add is no longer than with this offset."""


@dataclass(frozen=True, slots=True)
class Submission:
    """How references, or records that a route maps to references, become records of one input topic.

    Attributes:
        name: the connector's name.
        topic: the input topic.
        routes: the configuration's routes.
        decoder: the connector's own, so that what passes here passes there.
        key_field: dotted path of the field that becomes the key, or None for the same key everywhere.
        codec: of ``document_reference`` to send Avro; None sends the JSON text as it is.
        key: of every record, where no field is named; None for no key.
        headers: of every record.
    """

    name: str
    topic: str
    routes: Sequence[Route]
    decoder: ReferenceDecoder
    key_field: str | None = None
    codec: Codec | None = None
    key: bytes | None = None
    headers: Headers = ()

    def record(self, text: bytes) -> OutRecord:
        """The record for one reference.

        Args:
            text: the reference's JSON.

        Raises:
            RecordRejected: the connector would send it to the dead letters, or the key's field is not there.
        """
        if self.key_field is None and self.codec is None:
            self._check(self.key, text)
            return self.unchecked(text)
        reference = self.decoder.value(text)
        if not isinstance(reference, dict):
            raise RecordRejected(Reason.NOT_AN_OBJECT, f"an object belongs here, not {json_type(reference)}")
        key = self.key if self.key_field is None else key_of(reference, self.key_field)
        self._check(key, text)
        if self.codec is None:
            return OutRecord(self.topic, key, text, self.headers)
        try:
            value = self.codec.encode(avro_datum(reference))
        except DoesNotFit as error:
            raise RecordRejected(Reason.BAD_FIELD, str(error)) from None
        self._check(key, value)
        return OutRecord(self.topic, key, value, self.headers)

    def unchecked(self, text: bytes) -> OutRecord:
        """The record for any bytes, right or wrong."""
        return OutRecord(self.topic, self.key, text, self.headers)

    def _check(self, key: bytes | None, value: bytes) -> None:
        partition = Partition(self.topic, 999)
        tag = Tag(self.name, partition, _FAR_OFFSET, "a" * HASH_CHARS)
        resolve(Record(partition, _FAR_OFFSET, key, value, self.headers), self.routes, tag, self.decoder)


def key_of(reference: Mapping[str, object], path: str) -> bytes:
    """The bytes of a text or number in a reference, as a record's key.

    Args:
        reference: the parsed reference.
        path: dotted, e.g. ``metadata.customer``.

    Raises:
        RecordRejected: there is no text or whole number at the path.
    """
    found: object = reference
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise RecordRejected(Reason.BAD_FIELD, "the key needs a text or a whole number here", path=path)
    return str(found).encode()


def avro_datum(reference: Mapping[str, object]) -> dict[str, object]:
    """A reference's JSON in the form of ``document_reference.avsc``: objects without a fixed form become text."""
    datum = {name: value for name, value in reference.items() if value is not None and name not in EXTRA_FIELDS}
    if "config" in datum:
        datum["config"] = _text(datum["config"])
    extras = {name: value for name, value in reference.items() if value is not None and name in EXTRA_FIELDS}
    own = datum.pop("create", None)
    if extras or own:
        datum["create"] = _text({**(own if isinstance(own, Mapping) else {}), **extras})
    metadata = datum.get("metadata")
    if isinstance(metadata, Mapping) and not all(isinstance(value, str) for value in metadata.values()):
        datum["metadata_json"] = _text(datum.pop("metadata"))
    return datum


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
