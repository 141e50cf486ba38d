"""The dead letters of one connector, as commands see them: what there is, and what would come of sending it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.adapters.kafka.exclusive import ExclusiveProducer
from connector.adapters.kafka.properties import producer_properties
from connector.cli.asked_schemas import AskedSchemas
from connector.cli.asking import open_cluster
from connector.cli.topic_look import committed_records, record_at, records_behind
from connector.config import Config
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.replay import (
    DeadLetter,
    Original,
    letter_of,
    newest_by_source,
    original_of,
    replay_record,
    replayed_as,
    restored,
)
from connector.core.accept.request import resolve
from connector.core.entry import Request
from connector.core.errors import ConnectorError, RecordRejected, TopicError
from connector.core.formats.framing import Codec
from connector.core.record import OutRecord, Partition, Record
from connector.core.run_types import dead_letter_topic
from connector.core.sought import Place
from connector.schema_files import load_schemas

_CLIENT = "replay"
_MAX_BYTES = 1_000_000
_SKEW_MS = 600_000
"""By so much the clocks of workers and operators may differ, where an input topic was made again."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a letter that is sent now.

    Attributes:
        letter: the letter.
        record: what would be sent, or None when it is not.
        request: the run that it would buy, or None.
        objection: why it is not sent, or None.
    """

    letter: DeadLetter
    record: OutRecord | None = None
    request: Request | None = None
    objection: str | None = None


class LetterBox:
    """The dead-letter topic and the input topics that its records came from."""

    def __init__(self, config: Config) -> None:
        """Read the topic.

        Raises:
            TopicError: Kafka cannot be asked, or says nothing for 10 s.
        """
        self._config = config
        self._topic = dead_letter_topic(config.output.prefix)
        self._schemas = AskedSchemas(config)
        self._decoder = ReferenceDecoder(Codec(*load_schemas("document_reference")), self._schemas.writers)
        self._inputs = {route.topic for route in config.core_routes()}
        found = map(letter_of, committed_records(config, _CLIENT, [self._topic]))
        ours = (letter for letter in found if letter is not None and letter.connector == config.name)
        self._letters = newest_by_source(ours)

    def letters(self, reason: str | None) -> list[DeadLetter]:
        """All of them, or those with one reason, the oldest first."""
        letters = sorted(self._letters.values(), key=lambda letter: (letter.timestamp or 0, letter.source.offset))
        return [letter for letter in letters if reason is None or letter.reason == reason.upper()]

    def at(self, place: Place) -> DeadLetter:
        """The letter of the record that stood there.

        Raises:
            TopicError: there is none.
        """
        letter = self._letters.get(place)
        if letter is None:
            raise TopicError(
                [f"{self._topic} holds no dead letter of {place}; `extend-connector explain {place}` tells its story."],
            )
        return letter

    def replays(self, letters: Sequence[DeadLetter]) -> Mapping[Place, Place]:
        """Where letters were sent again, by their source. Such a record stands behind its source, in that partition.

        Raises:
            TopicError: a transaction in an input topic does not end, or Kafka cannot be asked.
        """
        offsets: dict[Partition, int] = {}
        for letter in letters:
            partition, offset = letter.source.partition, letter.source.offset
            offsets[partition] = min(offset, offsets.get(partition, offset))
        since = min((letter.timestamp or 0 for letter in letters), default=0) - _SKEW_MS
        sources = {str(copy): letter.source for letter in letters for copy in letter.copies}
        found: dict[Place, Place] = {}
        for record in records_behind(self._config, _CLIENT, offsets, since) if offsets else ():
            source = sources.get(replayed_as(record.headers) or "")
            if source is not None:
                found[source] = Place(record.partition, record.offset)
        return found

    def originals(self, letters: Sequence[DeadLetter]) -> Mapping[Place, Original]:
        """What letters keep of their records, by the letters' own places."""
        wanted = {letter.place for letter in letters}
        records = committed_records(self._config, _CLIENT, [self._topic])
        places = ((Place(record.partition, record.offset), record) for record in records)
        return {place: original_of(record) for place, record in places if place in wanted}

    def fate(
        self,
        letter: DeadLetter,
        kept: Original | None,
        replays: Mapping[Place, Place],
        *,
        mended: bytes | None = None,
        again: bool = False,
        accept_cost: bool = False,
    ) -> Fate:
        """What becomes of a letter that is sent now.

        Args:
            letter: the letter.
            kept: what it keeps of its record; None where it has gone meanwhile.
            replays: what was sent again before.
            mended: a value instead of the original's.
            again: it is no objection that it was sent again before.
            accept_cost: it is no objection that its run may exist.

        Raises:
            RegistryError: its schema cannot be asked for.
        """
        topic, at = letter.source.partition.topic, replays.get(letter.source)
        if topic not in self._inputs:
            return Fate(letter, objection=f"no route takes topic {topic} any more")
        if kept is None:
            return Fate(letter, objection=f"{self._topic} does not hold it any more")
        if at is not None and not again:
            text = f"it was sent again before, as {at}; --again sends it once more, and may pay once more"
            return Fate(letter, objection=text)
        if letter.run_may_exist and not accept_cost:
            text = "an earlier start may have made a run; --accept-cost sends it all the same, and may pay twice"
            return Fate(letter, objection=text)
        try:
            whole = self._whole(letter, kept, mended)
        except ConnectorError as error:
            return Fate(letter, objection=str(error))
        return self._resolved(letter, replay_record(letter, whole, mended))

    def _whole(self, letter: DeadLetter, kept: Original, mended: bytes | None) -> Original:
        if not letter.omitted or (mended is not None and set(letter.omitted) == {"value"}):
            return kept
        return restored(letter, kept, record_at(self._config, _CLIENT, letter.source))

    def _resolved(self, letter: DeadLetter, record: OutRecord) -> Fate:
        if record.value is None:
            return Fate(letter, objection="it has no value")
        as_read = Record(letter.source.partition, letter.source.offset, record.key, record.value, record.headers)
        try:
            request = self._schemas.asked(lambda: resolve(as_read, self._config.core_routes(), None, self._decoder))
        except RecordRejected as error:
            return Fate(letter, objection=f"it would be a dead letter again ({error.reason}): {error}")
        return Fate(letter, record, request)

    def producer(self, letters: Sequence[DeadLetter]) -> ExclusiveProducer:
        """Who sends them; from now on nobody who began before can send any.

        Raises:
            ConnectorError: Kafka does not allow it, or does not answer.
        """
        client_id = f"{self._config.name}-{_CLIENT}"
        with open_cluster(self._config, client_id) as cluster:
            facts = cluster.topics({letter.source.partition.topic for letter in letters})
        most = max((found.max_message_bytes for found in facts.values()), default=_MAX_BYTES)
        return ExclusiveProducer(producer_properties(self._config.kafka, client_id, client_id, most))
