"""The signals topic as values: which partition belongs to a document, and signals as its records."""

from __future__ import annotations

from dataclasses import dataclass

from connector.core.record import OutRecord, Partition, Record
from connector.core.signals.signal import Signal, SignalCodec, signal_key
from connector.core.topics import companion_partition


@dataclass(frozen=True, slots=True)
class SignalsTopic:
    """The topic ``<name>.signals`` of one connector.

    Attributes:
        name: the topic's name.
        partitions: how many it has; as many as the journal.
        codec: signals as record values.
    """

    name: str
    partitions: int
    codec: SignalCodec

    def of(self, partition: Partition) -> Partition:
        """The signals partition of an input partition."""
        return Partition(self.name, companion_partition(partition.number, self.partitions))

    def record(self, signal: Signal, now_ms: int) -> OutRecord:
        """The record to write.

        Args:
            signal: the signal.
            now_ms: milliseconds since the epoch.
        """
        number = self.of(signal.tag.partition).number
        value = self.codec.encode(signal, now_ms)
        return OutRecord(self.name, signal_key(signal.tag), value, partition=number)

    def signal(self, record: Record) -> Signal | None:
        """The signal in a record, or None when this connector cannot read it."""
        return None if record.value is None else self.codec.decode(record.value)
