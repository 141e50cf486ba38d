"""Ending the open transaction of a dead predecessor.

A worker that was killed inside a transaction withholds its partitions until the coordinator times the transaction out
(measured on Kafka 4.4.0: 18.7 s with a timeout of 15 s). ``init_transactions`` with its id ends it in about a second.
The id must come from the open transaction itself: metadata of the last committed offset may name an earlier, healthy
owner, who would be fenced for nothing (measured).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from connector.core.errors import ConnectorError
from connector.core.journal_record import WRITER_HEADER
from connector.core.record import Partition, Record
from connector.journal.questions import LogEnds, known
from connector.logs import logger


class Tails(Protocol):
    """Reads uncommitted records; see ``adapters.kafka.journal_reader``."""

    def read_tail(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        """Everything between the two."""


class Members(LogEnds, Protocol):
    """The questions for the cluster; see ``adapters.kafka.admin``."""

    def members(self, group: str) -> Collection[str]:
        """The client ids of the group's members."""


def release_dead(
    journals: Iterable[Partition],
    *,
    group: str,
    tails: Tails,
    cluster: Members,
    fence: Callable[[str], None],
) -> list[str]:
    """Fence the writers of open transactions that no member of the group is.

    The tail is read before the members are listed: a writer that joins in between is then seen as alive. A member's
    ``client.id`` is its ``transactional.id``, which is what makes the comparison possible.

    Args:
        journals: the journal partitions that are held back.
        group: the group.
        tails: reads the open tail.
        cluster: answers who is alive.
        fence: calls ``init_transactions`` for an id.

    Returns:
        The ids that were fenced; none when the members cannot be listed. A journal partition that does not answer
        keeps nobody in the others alive.
    """

    def unknown(error: ConnectorError) -> None:
        logger.warning("tail_unknown", reason=str(error))

    stable = known(cluster.each_log_end(list(journals), committed=True), unknown)
    ends = known(cluster.each_log_end(list(stable), committed=False), unknown)
    writers = {
        value.decode(errors="replace")
        for line in tails.read_tail(stable, ends)
        for name, value in line.headers
        if name == WRITER_HEADER and value
    }
    if not writers:
        return []
    try:
        alive = set(cluster.members(group))
    except ConnectorError as error:
        logger.warning("members_unknown", reason=str(error))
        return []
    fenced: list[str] = []
    for writer in sorted(writers - alive):
        logger.warning("dead_writer_fenced", writer=writer)
        try:
            fence(writer)
        except ConnectorError as error:  # the next round tries again; the other writers are as dead
            logger.warning("fencing_failed", writer=writer, reason=str(error))
        else:
            fenced.append(writer)
    return fenced
