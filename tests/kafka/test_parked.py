"""`parked` as a process on a real broker; where an owner is needed, something answers as one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from connector.adapters.kafka.admin import Cluster
from connector.adapters.kafka.properties import client_properties, reader_properties
from connector.adapters.kafka.reading import AssignedReader
from connector.config.kafka import Kafka as KafkaSection
from connector.core.formats.framing import Codec
from connector.core.record import Partition
from connector.core.signals.signal import Action, Command, Reply, ReplyOutcome, SignalCodec
from connector.core.signals.signals_topic import SignalsTopic
from connector.core.tag import Tag
from connector.core.topics import signals_topic
from connector.schema_files import load_schema
from tests.kafka.journal_writer import JournalWriter, ago, parked
from tests.kafka.project import Project


def test_parked_documents_are_listed_with_what_was_tried(made: Project, journal: JournalWriter) -> None:
    first = parked(journal.entry(1, accepted_ms=ago(90)), reason="NOT_FOUND")
    second = parked(parked(journal.entry(2, accepted_ms=ago(60))).repeat("NO_ANSWER"), reason="HTTP_500")
    journal.commit(second, first, journal.entry(3))
    ended = made.run("parked", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert [line["tag"] for line in ended.lines] == [str(first.tag), str(second.tag)]
    assert [line["tried"] for line in ended.lines] == [
        "one start; the last was unclear, and no run with its tag was found",
        "2 starts, 1 of them given up and started again; the last was unclear (HTTP_500)",
    ]
    table = made.run("parked")
    assert str(first.tag) in table.out
    assert re.search(r"1h 3\dm", table.out)


class Owner:
    """Answers commands as the owner of the document does: accepted at once, the outcome with its effect."""

    def __init__(self, project: Project, journal: JournalWriter) -> None:
        self.heard: list[Command] = []
        self.outcome = ReplyOutcome.DONE
        self.journal = journal
        self._topic = SignalsTopic(signals_topic(project.name), 2, SignalCodec(Codec(load_schema("signal"))))
        section = KafkaSection(bootstrap_servers=project.servers)
        places = {Partition(self._topic.name, number): 0 for number in range(2)}
        self._reader = AssignedReader(reader_properties(section, "owner", "owner"), places)
        self._over = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(30)
        self._reader.close()

    def commands(self) -> list[Command]:
        """What stands in the topic, for when nobody is started."""
        until = time.monotonic() + 20
        while not self.heard and time.monotonic() < until:
            self._hear()
        return self.heard

    def _run(self) -> None:
        while not self._over.is_set():
            for command in self._hear():
                self._reply(command, ReplyOutcome.ACCEPTED, "accepted by worker-1")
                self._reply(command, self.outcome, f"{command.action.value} is {self.outcome.value}", command.tag)

    def _hear(self) -> list[Command]:
        heard = [self._topic.signal(record) for record in self._reader.read(0.1)]
        found = [each for each in heard if isinstance(each, Command)]
        self.heard += found
        return found

    def _reply(self, command: Command, outcome: ReplyOutcome, message: str, *effect: Tag) -> None:
        with self.journal.transaction():
            record = self._topic.record(Reply(command.id, command.tag, outcome, message), 0)
            assert record.partition is not None
            self.journal.producer.produce(record.topic, record.value, record.key, record.partition)
            if outcome is ReplyOutcome.DONE:
                for each in effect:
                    self.journal.write(each)


@pytest.fixture
def owner(made: Project, journal: JournalWriter) -> Iterator[Owner]:
    owner = Owner(made, journal)
    yield owner
    owner.stop()


@pytest.mark.parametrize(
    ("arguments", "options", "action"),
    [
        (("adopt",), ("exr_1",), Action.ADOPT),
        (("start", "--accept-cost"), (), Action.START),
        (("drop",), (), Action.DROP),
    ],
)
def test_a_decision_reaches_the_owner_and_its_answer_comes_back(
    made: Project,
    owner: Owner,
    arguments: tuple[str, ...],
    options: tuple[str, ...],
    action: Action,
) -> None:
    journal = owner.journal
    entry = parked(journal.entry(1))
    journal.commit(entry)
    owner.start()
    ended = made.run("parked", *arguments, str(entry.tag), *options)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["accepted by worker-1", f"{action.value} is done"]
    (command,) = owner.heard
    assert (command.tag, command.nonce, command.action) == (entry.tag, "nonce-1", action)
    assert command.run_id == (options[0] if options else None)
    assert len(command.id) == 16
    # The tombstone came with the reply: the same command once more has nothing to decide about.
    again = made.run("parked", *arguments, str(entry.tag), *options)
    assert again.code == 1
    assert "No open document has the tag" in again.err
    assert len(owner.heard) == 1


def test_a_refusal_of_the_owner_is_exit_code_1(made: Project, journal: JournalWriter, owner: Owner) -> None:
    entry = parked(journal.entry(1))
    journal.commit(entry)
    owner.outcome = ReplyOutcome.REFUSED
    owner.start()
    ended = made.run("parked", "adopt", str(entry.tag), "exr_1", "--json")
    assert ended.code == 1
    assert [line["outcome"] for line in ended.lines] == ["accepted", "refused"]
    assert {line["command_id"] for line in ended.lines} == {owner.heard[0].id}


def test_what_is_not_parked_is_refused_and_nothing_is_sent(made: Project, journal: JournalWriter) -> None:
    started = journal.entry(1).intend("n").start("exr_1", 1)
    unknown = journal.entry(2)
    other = str(unknown.tag).replace(made.name, "elsewhere")
    journal.commit(started)
    for tag, words in (
        (str(started.tag), "is not parked but in the state started; its run is exr_1"),
        (str(unknown.tag), "No open document has the tag"),
        (other, "No open document has the tag"),
    ):
        ended = made.run("parked", "adopt", tag, "exr_9")
        assert (ended.code, ended.out) == (1, "")
        assert words in ended.err
    section = KafkaSection(bootstrap_servers=made.servers)
    with Cluster(client_properties(section, "t")) as cluster:
        places = [Partition(signals_topic(made.name), number) for number in range(2)]
        assert set(cluster.log_ends(places, committed=False).values()) == {0}


def test_without_an_owner_the_sentence_says_whether_a_worker_runs(
    made: Project,
    journal: JournalWriter,
    owner: Owner,
) -> None:
    entry = parked(journal.entry(1))
    journal.commit(entry)
    ended = made.run("parked", "drop", str(entry.tag))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("No owner answered within 30 s. No worker is running: the group")
    assert "may be sent again" in ended.err
    assert [command.action for command in owner.commands()] == [Action.DROP]


def test_ctrl_c_says_that_what_was_sent_goes_on(made: Project, journal: JournalWriter, owner: Owner) -> None:
    entry = parked(journal.entry(1))
    journal.commit(entry)
    command = [sys.executable, "-m", "connector", "parked", "drop", str(entry.tag)]
    with subprocess.Popen(command, cwd=made.folder, stderr=subprocess.PIPE, text=True) as process:
        assert owner.commands()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.startswith("What was sent goes on.")
