"""``extend-connector`` with a bug planted into it, to prove that the checker sees what it says it sees.

``python -m tests.chaos.planted [--bug BUG] [--asleep-before-result] run --config connector.yaml``

The product has no hook for any of this: its functions are replaced before the command starts.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from confluent_kafka import TopicPartition

from connector.adapters.kafka.journal_reader import JournalReader
from connector.adapters.kafka.transactions import TransactionalProducer
from connector.core.record import OutRecord, Partition
from connector.journal.journal import Journal

ASLEEP_BEFORE_RESULT = "--asleep-before-result"
"""Stop this process (SIGSTOP) when the first transaction with a result was decided on and nothing of it was sent."""

_DAZED_SECONDS = 2.5
_JUMP_SECONDS = 1.0
_WATERMARK_SECONDS = 5.0


def send_only_moved_offsets() -> None:
    """An offset that has not moved needs no commit. So the transaction of a result is not fenced by the group."""
    send = TransactionalProducer._send_offsets
    sent: dict[Partition, int] = {}

    def send_moved(
        producer: TransactionalProducer,
        offsets: Mapping[Partition, int],
        metadata: object,
        deadline: float,
    ) -> None:
        moved = {partition: offset for partition, offset in offsets.items() if sent.get(partition) != offset}
        sent.update(moved)
        if moved:
            send(producer, moved, metadata, deadline)

    _replace(TransactionalProducer, "_send_offsets", send_moved)


def write_no_tombstone() -> None:
    """The result is written, and the journal goes on to hold the document."""
    write = Journal._write

    def write_result_alone(journal: Journal, kind: str, holding: Any, records: Sequence[OutRecord], *more: Any) -> Any:  # noqa: ANN401 - handed on as they are
        kept = [record for record in records if record.value is not None]
        return write(journal, kind, holding, kept, *more)  # type: ignore[arg-type]  # handed on as it is

    _replace(Journal, "_write", write_result_alone)


def restore_to_the_stable_offset() -> None:
    """A reader that reads committed records asks for "the end" and gets the last stable offset."""
    read = JournalReader.read

    def read_what_is_stable(reader: JournalReader, ends: Mapping[Partition, int], patience: float) -> Any:  # noqa: ANN401
        stable = {each: _last_stable_offset(reader, each) for each in ends}
        return read(reader, stable, patience)

    _replace(JournalReader, "read", read_what_is_stable)


BUGS: Mapping[str, Callable[[], None]] = {
    "no-offsets": send_only_moved_offsets,
    "no-tombstone": write_no_tombstone,
    "restore-to-stable-offset": restore_to_the_stable_offset,
}


def sleep_before_the_first_result() -> None:
    """No stop-point of the product is there: behind ``before_result_commit`` the successor ends the transaction itself.

    Here nothing is open that it could end: the group alone keeps this process from writing a second result. After
    it wakes it is dazed for longer than a heartbeat, so that the client has heard that it is no member any more.
    """
    write = TransactionalProducer.write
    slept = False

    def sleep(producer: TransactionalProducer, records: Sequence[OutRecord], *more: Any) -> Any:  # noqa: ANN401
        nonlocal slept
        if not slept and any(record.value is None for record in records):  # a tombstone comes with a result
            slept = True
            _stop_this_process()
            time.sleep(_DAZED_SECONDS)
        return write(producer, records, *more)

    _replace(TransactionalProducer, "write", sleep)


def launcher(bug: str | None = None, *options: str) -> tuple[str, ...]:
    """The command line that runs the command with a bug, or without one."""
    return (sys.executable, "-m", "tests.chaos.planted", *(("--bug", bug) if bug else ()), *options)


def main() -> None:
    """Plant what is asked for, and run the command with the rest of the arguments."""
    if sys.argv[1:2] == ["--bug"]:
        BUGS[sys.argv[2]]()
        del sys.argv[1:3]
    if sys.argv[1:2] == [ASLEEP_BEFORE_RESULT]:
        sleep_before_the_first_result()
        del sys.argv[1]

    from connector.__main__ import main as command  # noqa: PLC0415 - it must see what was replaced

    command()


def _stop_this_process() -> None:
    """Returns when the process has been stopped and woken.

    The thread may run on for a moment behind the signal, or not: only a jump of the clock shows that it is over.
    """
    now = time.monotonic()
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        earlier, now = now, time.monotonic()
        if now - earlier >= _JUMP_SECONDS:
            return
        time.sleep(0.01)


def _last_stable_offset(reader: JournalReader, partition: Partition) -> int:
    _, end = reader._committed.get_watermark_offsets(TopicPartition(*partition), _WATERMARK_SECONDS)
    return end


def _replace(owner: type | ModuleType, name: str, function: Callable[..., Any]) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner.__name__} has no {name} any more: this bug is not planted.")
    setattr(owner, name, function)


if __name__ == "__main__":
    main()
