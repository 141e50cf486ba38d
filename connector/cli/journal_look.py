"""The journal, as a command reads it: committed records up to the end, and no worker needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import typer

from connector.adapters.kafka.journal_reader import HeldBack, JournalReader
from connector.adapters.kafka.properties import reader_properties
from connector.cli.asking import open_cluster
from connector.config import Config
from connector.core.entry import Entry
from connector.core.errors import JournalError, TopicError
from connector.core.formats.framing import Codec
from connector.core.journal_record import JournalCodec, Mark, mark_key
from connector.core.record import Partition, Record
from connector.core.tag import Tag
from connector.core.topics import companion_partition, journal_topic
from connector.schema_files import load_schemas

PATIENCE_SECONDS = 3.0
"""How long an open transaction may stand in the way; transactions of a worker take milliseconds."""


@dataclass(frozen=True, slots=True)
class OpenDocuments:
    """What the journal says is open.

    Attributes:
        entries: the open documents, in no order.
        unreadable: sentences about records that are damaged or of a newer version.
    """

    entries: tuple[Entry, ...]
    unreadable: tuple[str, ...]


class JournalLook:
    """The journal of one connector. Where an open transaction holds its end back, what is stable is shown.

    Attributes:
        held_back: that was so: what was read is not all that is committed.
    """

    def __init__(self, config: Config, command: str) -> None:
        """Ask where the journal ends.

        Args:
            config: the configuration.
            command: names the client in the brokers' logs.

        Raises:
            TopicError: there is no journal, or Kafka cannot be asked.
        """
        client_id = f"{config.name}-{command}"
        self.topic = journal_topic(config.name)
        self.codec = JournalCodec(Codec(*load_schemas("journal_entry")), config.name)
        self._name = config.name
        self._properties = reader_properties(config.kafka, client_id, client_id)
        self.held_back = False
        with open_cluster(config, client_id) as cluster:
            facts = cluster.topics([self.topic]).get(self.topic)
            if facts is None:
                raise TopicError(
                    [f"The journal {self.topic} does not exist: `extend-connector topics` shows what is missing."],
                )
            partitions = [Partition(self.topic, number) for number in range(facts.partitions)]
            self._ends = cluster.log_ends(partitions, committed=False)

    def records(self, inputs: Iterable[int] | None = None) -> Iterator[Record]:
        """The committed records of open and closed documents that the journal still holds.

        Args:
            inputs: numbers of the input partitions that are asked for; all when None.

        Raises:
            TopicError: a partition cannot be read, or no broker says anything.
        """
        numbers = None if inputs is None else {companion_partition(each, len(self._ends)) for each in inputs}
        ends = {each: end for each, end in self._ends.items() if numbers is None or each.number in numbers}
        reader = JournalReader(self._properties)
        try:
            yield from reader.read(ends, PATIENCE_SECONDS)
        except HeldBack:
            self._say_held_back()
        except TimeoutError as error:
            raise TopicError([f"The journal could not be read: {error}."]) from None
        finally:
            reader.close()

    def open_documents(self) -> OpenDocuments:
        """Everything that is open now."""
        return self._decoded(self._folded(self.records()))

    def open_document(self, tag: Tag) -> Entry | None:
        """One document, or None when it is not open.

        Raises:
            JournalError: its record is damaged, or of a newer version.
        """
        key = str(tag).encode()
        known = self.codec.tag_of(key)
        value = self._folded(record for record in self.records([tag.partition.number]) if record.key == key).get(key)
        return None if value is None or known is None else self.codec.entry(known, value)

    def mark(self, partition: Partition) -> Mark | None:
        """How far an input partition is accounted for, or None when nothing was ever accepted from it.

        Raises:
            JournalError: the mark is damaged, or of a newer version.
        """
        key = mark_key(self._name, partition)
        folded = self._folded(record for record in self.records([partition.number]) if record.key == key)
        restored = self.codec.restore(folded, [partition])[partition]
        if isinstance(restored, JournalError):
            raise restored
        return restored.mark

    def _decoded(self, folded: Mapping[bytes, bytes]) -> OpenDocuments:
        entries, unreadable = [], []
        for key, value in folded.items():
            tag = self.codec.tag_of(key)
            if tag is None:
                continue
            try:
                entries.append(self.codec.entry(tag, value))
            except JournalError as error:
                unreadable.append(str(error))
        return OpenDocuments(tuple(entries), tuple(unreadable))

    @staticmethod
    def _folded(records: Iterable[Record]) -> dict[bytes, bytes]:
        folded: dict[bytes, bytes] = {}
        for record in records:
            if record.key is None:
                continue
            if record.value is None:
                folded.pop(record.key, None)
            else:
                folded[record.key] = record.value
        return folded

    def _say_held_back(self) -> None:
        if not self.held_back:
            typer.echo(
                f"A transaction that has not ended holds back the end of {self.topic}: what follows is how it was "
                "before. A worker that was killed leaves one, for kafka.transaction_timeout at the most; then ask "
                "again.",
                err=True,
            )
        self.held_back = True
