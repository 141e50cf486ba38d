"""The dead letters of one connector, as commands see them: what there is, and what would come of sending it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.adapters.kafka.exclusive import ExclusiveProducer
from connector.adapters.kafka.properties import producer_properties
from connector.cli.asking import open_cluster
from connector.cli.topic_look import committed_records, record_at
from connector.config import Config
from connector.core.entry import Request
from connector.core.errors import RecordRejected, TopicError
from connector.core.framing import Codec
from connector.core.record import OutRecord, Record
from connector.core.reference import ReferenceDecoder
from connector.core.replay import (
    RUN_MAY_EXIST,
    DeadLetter,
    letter_of,
    newest_by_source,
    replay_record,
    replayed_as,
    restored,
)
from connector.core.request import resolve
from connector.core.run_types import dead_letter_topic
from connector.core.sought import Place
from connector.schema_files import load_schema

_CLIENT = "replay"
_MAX_BYTES = 1_000_000


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
        self._decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
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

    def replays(self, letters: Sequence[DeadLetter]) -> Mapping[str, Place]:
        """Where letters were sent again, by the letter's own place. Such a record is younger than its letter."""
        topics = {letter.source.partition.topic for letter in letters}
        since = min((letter.timestamp or 0 for letter in letters), default=0)
        found: dict[str, Place] = {}
        for record in committed_records(self._config, _CLIENT, topics, since) if topics else ():
            origin = replayed_as(record.headers)
            if origin is not None:
                found[origin] = Place(record.partition, record.offset)
        return found

    def fate(
        self,
        letter: DeadLetter,
        replays: Mapping[str, Place],
        *,
        mended: bytes | None = None,
        again: bool = False,
        accept_cost: bool = False,
    ) -> Fate:
        """What becomes of a letter that is sent now.

        Args:
            letter: the letter.
            replays: what was sent again before.
            mended: a value instead of the original's.
            again: it is no objection that it was sent again before.
            accept_cost: it is no objection that its run may exist.
        """
        topic, at = letter.source.partition.topic, replays.get(str(letter.place))
        if topic not in self._inputs:
            return Fate(letter, objection=f"no route takes topic {topic} any more")
        if at is not None and not again:
            text = f"it was sent again before, as {at}; --again sends it once more, and may pay once more"
            return Fate(letter, objection=text)
        if letter.reason in RUN_MAY_EXIST and not accept_cost:
            text = "a person dropped it, and its run may exist; --accept-cost sends it all the same, and may pay twice"
            return Fate(letter, objection=text)
        whole = letter
        if letter.omitted and (mended is None or set(letter.omitted) != {"value"}):
            whole = restored(letter, record_at(self._config, _CLIENT, letter.source))
        return self._resolved(letter, replay_record(whole, mended))

    def _resolved(self, letter: DeadLetter, record: OutRecord) -> Fate:
        if record.value is None:
            return Fate(letter, objection="it has no value")
        as_read = Record(letter.source.partition, letter.source.offset, record.key, record.value, record.headers)
        try:
            request = resolve(as_read, self._config.core_routes(), None, self._decoder)
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
