"""A command to whoever owns a document, and the answers, for a process without a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.producing import RecordProducer
from connector.adapters.kafka.reading import AssignedReader
from connector.clock import Clock
from connector.core.signals.signal import Command, Reply, ReplyOutcome
from connector.core.signals.signals_topic import SignalsTopic

READ_SECONDS = 0.1
ACK_TIMEOUT_MS = 30_000
SETTLE_SECONDS = 30.0


class Conversation:
    """Sends commands and reads the committed replies."""

    def __init__(
        self,
        *,
        topic: SignalsTopic,
        cluster: Cluster,
        reading: Mapping[str, object],
        writing: Mapping[str, object],
        clock: Clock | None = None,
    ) -> None:
        """Connects at the first command.

        Args:
            topic: where signals are.
            cluster: says where the topic ends; stays the caller's.
            reading: from `reader_properties`.
            writing: from `producer_properties`, without a transactional id.
            clock: the time.
        """
        self._topic = topic
        self._cluster = cluster
        self._reading = {**reading, "isolation.level": "read_committed"}
        self._writing = {**writing, "message.timeout.ms": ACK_TIMEOUT_MS}
        self._clock = clock or Clock()

    def ask(self, command: Command, wait: float, settle: float = SETTLE_SECONDS) -> Iterator[Reply]:
        """Send a command and yield what is answered, as it comes.

        Ends after done or refused. When it ends without any reply, no owner has answered in time; when accepted is
        the last, what came of it is not known yet. The command may be sent again in both cases.

        Args:
            command: the command.
            wait: seconds from when the brokers have the command until the first reply.
            settle: seconds from accepted until the outcome.

        Raises:
            ConnectorError: it could not be sent, or replies cannot be read.
        """
        partition = self._topic.of(command.tag.partition)
        # Before it is sent: a reply cannot stand below. Not the stable end, behind which old replies may still come.
        ends = self._cluster.log_ends([partition], committed=False)
        reader = AssignedReader(self._reading, ends)
        try:
            self._send(command)
            yield from self._replies(reader, command, wait, settle)
        finally:
            reader.close()

    def _send(self, command: Command) -> None:
        producer = RecordProducer(self._writing)
        try:
            producer.send(self._topic.record(command, self._clock.wall_ms()), "command")
            refused = producer.flush().refused
        finally:
            producer.close()
        for _, error in refused:
            raise error

    def _replies(
        self,
        reader: AssignedReader,
        command: Command,
        wait: float,
        settle: float,
    ) -> Iterator[Reply]:
        until = self._clock.monotonic() + wait
        while self._clock.monotonic() < until:
            for record in reader.read(READ_SECONDS):
                signal = self._topic.signal(record)
                if not isinstance(signal, Reply) or signal.command_id != command.id:
                    continue
                yield signal
                if signal.outcome is not ReplyOutcome.ACCEPTED:
                    return
                until = self._clock.monotonic() + settle
