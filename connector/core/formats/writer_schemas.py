"""Writer schemas by the ids of a schema registry: what was learnt of each, within bounds.

Nothing is asked here: a schema that is not known is awaited, and somebody who can ask learns it (``connector.learn``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from connector.core.errors import SchemaAwaited
from connector.core.formats.avro import AvroSchema, SchemaRefused, Undecodable
from connector.core.formats.schema_limits import MAX_BYTES
from connector.core.formats.strict_json import NotJson, parse_json
from connector.core.reasons import Reason

MOST_SCHEMAS = 1_000
MOST_BYTES = 16 * 1024 * 1024
"""Of all texts together; a parsed schema takes several times its text."""
REMEMBERED = 16
"""So many times as many fingerprints are kept as schemas."""
ABSENT_SECONDS = 60.0
"""For so long an id that the registry does not have is not asked for again."""


class Learnt(StrEnum):
    """What an answer of the registry was good for."""

    KNOWN = "known"
    REFUSED = "refused"
    """The schema is hostile, or no Avro schema."""
    CHANGED = "changed"
    """The id had another schema before."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of one id: its schema, or why values that name it cannot be read."""

    schema: AvroSchema | None
    refusal: str
    reason: Reason
    size: int
    until: float | None = None


class WriterSchemas:
    """The newest used ones. An id never changes its schema: where it does, its values are refused."""

    def __init__(
        self, monotonic: Callable[[], float], *, most: int = MOST_SCHEMAS, most_bytes: int = MOST_BYTES
    ) -> None:
        """Know nothing.

        Args:
            monotonic: the time in seconds.
            most: schemas that are kept.
            most_bytes: what their texts may take together.
        """
        self._monotonic = monotonic
        self._most = most
        self._most_bytes = most_bytes
        self._answers: dict[int, _Answer] = {}  # the longest unused first
        self._size = 0
        self._fingerprints: dict[int, bytes] = {}

    def of(self, schema_id: int) -> AvroSchema:
        """The schema with an id.

        Raises:
            SchemaAwaited: it is not known yet.
            Undecodable: it is known that it cannot be used, or does not exist.
        """
        if not self.knows(schema_id):
            raise SchemaAwaited(schema_id)
        answer = self._answers[schema_id] = self._answers.pop(schema_id)
        if answer.schema is None:
            raise Undecodable(answer.reason, answer.refusal)
        return answer.schema

    def knows(self, schema_id: int) -> bool:
        """Whether there is nothing to ask about an id."""
        answer = self._answers.get(schema_id)
        return answer is not None and (answer.until is None or self._monotonic() < answer.until)

    def refusal(self, schema_id: int) -> str:
        """Why a schema cannot be used; empty where it can, or nothing is known."""
        answer = self._answers.get(schema_id)
        return "" if answer is None else answer.refusal

    def learn(self, schema_id: int, text: str) -> Learnt:
        """The registry answered.

        Args:
            schema_id: the id.
            text: the schema's JSON.
        """
        try:
            schema = schema_of(text)
        except SchemaRefused as error:
            message = f"The schema registry's schema {schema_id} is not read with. {error}"
            self._keep(schema_id, _Answer(None, message, Reason.UNDECODABLE, len(message)))
            return Learnt.REFUSED
        before = self._fingerprints.pop(schema_id, schema.fingerprint)
        self._fingerprints[schema_id] = before
        if len(self._fingerprints) > REMEMBERED * self._most:
            del self._fingerprints[next(iter(self._fingerprints))]
        if before != schema.fingerprint:
            message = (
                f"The schema registry answers another schema for id {schema_id} than before (fingerprint "
                f"{schema.fingerprint.hex()}, it was {before.hex()}): it is another registry, or its ids were given "
                "out anew."
            )
            self._keep(schema_id, _Answer(None, message, Reason.UNKNOWN_SCHEMA, len(message)))
            return Learnt.CHANGED
        self._keep(schema_id, _Answer(schema, "", Reason.UNKNOWN_SCHEMA, len(text)))
        return Learnt.KNOWN

    def absent(self, schema_id: int) -> None:
        """The registry has no schema with this id; it may have one later."""
        message = f"The schema registry has no schema with id {schema_id}."
        until = self._monotonic() + ABSENT_SECONDS
        self._keep(schema_id, _Answer(None, message, Reason.UNKNOWN_SCHEMA, len(message), until))

    def refuse(self, schema_id: int, why: str) -> None:
        """The schema with this id is none that can be read with.

        Args:
            schema_id: the id.
            why: a sentence.
        """
        self._keep(schema_id, _Answer(None, why, Reason.UNDECODABLE, len(why)))

    def _keep(self, schema_id: int, answer: _Answer) -> None:
        self._size += answer.size - self._dropped(schema_id)
        self._answers[schema_id] = answer
        while len(self._answers) > 1 and (len(self._answers) > self._most or self._size > self._most_bytes):
            self._size -= self._dropped(next(iter(self._answers)))

    def _dropped(self, schema_id: int) -> int:
        answer = self._answers.pop(schema_id, None)
        return 0 if answer is None else answer.size


def schema_of(text: str) -> AvroSchema:
    """The schema that a registry's text says.

    Raises:
        SchemaRefused: it is no Avro schema, or a hostile one.
    """
    # Before it is parsed: what a registry sends may be any size.
    size = len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise SchemaRefused(f"The schema takes {size} bytes; {MAX_BYTES} are allowed.")
    try:
        return AvroSchema(parse_json(text))
    except NotJson as error:
        raise SchemaRefused(f"It is no Avro schema: {error}.") from None
