"""`inflight` and `explain` as processes on a real broker, which holds what a worker would have written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from confluent_kafka import Producer

from connector.core.accept.dead_letter import dead_letter
from connector.core.entry import Entry
from connector.core.errors import RecordRejected
from connector.core.formats.framing import Codec
from connector.core.journal_record import Mark
from connector.core.record import OutRecord, Partition
from connector.core.result import result_record
from connector.core.run import Run
from connector.core.topics import journal_topic
from connector.schema_files import load_schema
from tests.kafka.journal_writer import JournalWriter, ago, parked
from tests.kafka.project import Project

RESULTS = Codec(load_schema("run_result"))
NOWHERE = {"EXTEND_BASE_URL": "http://127.0.0.1:1"}


def result_of(project: Project, entry: Entry, run: Run) -> OutRecord:
    return result_record(
        entry,
        run,
        prefix=project.prefix,
        observed_via="poll",
        observed_ms=2,
        emitted_ms=3,
        max_bytes=1_000_000,
        codec=RESULTS,
    )


def write(producer: Producer, record: OutRecord) -> None:
    producer.produce(record.topic, record.value, key=record.key, headers=list(record.headers))


# inflight


def test_open_documents_are_listed_the_oldest_first(made: Project, journal: JournalWriter) -> None:
    young = journal.entry(1, accepted_ms=ago(2)).intend("n").start("exr_1", ago(1))
    old = parked(journal.entry(2, partition=1, accepted_ms=ago(90)))
    done = journal.entry(3, accepted_ms=ago(300))
    journal.commit(journal.entry(1), done, Mark(made.name, Partition(made.topic, 0), "id", 4, "f"))
    journal.commit(young, old, done.tag)
    ended = made.run("inflight", "--json")
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.lines
    assert (first["tag"], first["state"], first["reason"]) == (str(old.tag), "parked", "NO_ANSWER")
    assert 90 * 60 <= first["age_seconds"] < 100 * 60
    assert (second["document_id"], second["run_id"], second["attempts"]) == ("d1", "exr_1", 1)
    assert second["dashboard_url"] == "https://dashboard.extend.ai/runs/exr_1"
    assert [line["run_id"] for line in made.run("inflight", "--state", "started", "--json").lines] == ["exr_1"]
    assert [line["tag"] for line in made.run("inflight", "--limit", "1", "--json").lines] == [str(old.tag)]
    assert made.run("inflight", "--route", "others").err == "No such document is open.\n"
    table = made.run("inflight")
    head, row, _ = table.out.splitlines()
    assert head.split() == ["age", "state", "route", "document", "run", "reason", "tag", "dashboard"]
    assert re.match(r"1h 3\dm parked documents d2 ", " ".join(row.split())), "a busy machine needs minutes"
    assert str(old.tag) in row
    assert "secret-content" not in ended.out + table.out


def test_nothing_open_is_a_sentence(made: Project) -> None:
    ended = made.run("inflight")
    assert (ended.code, ended.out, ended.err) == (0, "", "No document is open.\n")
    assert made.run("parked", "--json").out == ""


def test_an_open_transaction_is_told_and_what_is_stable_is_shown(made: Project, journal: JournalWriter) -> None:
    journal.commit(journal.entry(1))
    journal.producer.begin_transaction()
    journal.write(journal.entry(2))
    journal.producer.flush(30)
    ended = made.run("inflight", "--json")
    assert ended.code == 0
    assert [line["document_id"] for line in ended.lines] == ["d1"]
    assert f"holds back the end of {journal_topic(made.name)}" in ended.err
    journal.producer.commit_transaction(30)
    after = made.run("inflight", "--json")
    assert ([line["document_id"] for line in after.lines], after.err) == (["d1", "d2"], "")


def test_a_record_of_the_journal_that_cannot_be_read_hides_no_other(made: Project, journal: JournalWriter) -> None:
    damaged = journal.entry(7)
    journal.commit(journal.entry(1))
    producer = Producer({"bootstrap.servers": made.servers})
    producer.produce(journal_topic(made.name), b"nonsense", key=str(damaged.tag).encode(), partition=0)
    assert producer.flush(30) == 0
    ended = made.run("inflight", "--json")
    assert (ended.code, [line["document_id"] for line in ended.lines]) == (1, ["d1"])
    assert str(damaged.tag) in ended.err


def test_no_key_is_needed_to_look_at_the_journal(made: Project, journal: JournalWriter) -> None:
    journal.commit(journal.entry(1).intend("n").start("exr_1", 1))
    (made.folder / "key").unlink()
    ended = made.run("inflight", "--json")
    assert (ended.code, [line["run_id"] for line in ended.lines]) == (0, ["exr_1"])


def test_a_journal_that_is_not_there_is_named(project: Project) -> None:
    for arguments in (("inflight",), ("parked",), ("explain", "exr_1")):
        ended = project.run(*arguments, env=NOWHERE)
        assert (ended.code, ended.out) == (1, "")
        assert f"The journal {journal_topic(project.name)} does not exist" in ended.err


# explain


@pytest.fixture
def finished(made: Project, journal: JournalWriter) -> Entry:
    """A document that went all the way, and others beside it."""
    entry = journal.entry(1, key=b"customer 17", accepted_ms=ago(5))
    intent = entry.intend("nonce-1")
    started = intent.start("exr_1", ago(4))
    other = journal.entry(2).intend("nonce-2").start("exr_2", ago(4))
    for each in (entry, intent, started, other):
        journal.commit(each)
    with journal.transaction():
        run = Run("exr_1", "extract", "PROCESSED", output=b'{"secret-content": 1}', credits=2.0)
        write(journal.producer, result_of(made, started, run))
        write(journal.producer, result_of(made, other, Run("exr_2", "extract", "FAILED")))
        journal.write(started.tag)
    return started


@pytest.mark.parametrize("form", ["tag", "run", "place", "key"])
def test_a_timeline_tells_everything_in_order_however_it_is_asked_for(
    made: Project,
    finished: Entry,
    form: str,
) -> None:
    place = f"{made.topic}/0/1"
    forms = {"tag": [str(finished.tag)], "run": ["exr_1"], "place": [place], "key": ["--key", "customer 17"]}
    ended = made.run("explain", *forms[form], "--json", env=NOWHERE)
    assert ended.code == 0, ended.err
    told = [(line["source"], line["what"]) for line in ended.lines]
    assert told[:3] == [("journal", "ready"), ("journal", "intent"), ("journal", "started")]
    # One transaction: which of the two has the earlier millisecond is the producer's affair.
    assert sorted(told[3:]) == [("journal", "closed"), ("result", "PROCESSED")]
    assert {line["document"] for line in ended.lines} == {place}
    assert {line["tag"] for line in ended.lines} == {str(finished.tag)}
    intent, result = ended.lines[1], next(line for line in ended.lines if line["source"] == "result")
    assert (intent["nonce"], intent["writer"]) == ("nonce-1", f"{made.name}-worker-1")
    assert (result["run_id"], result["credits"], result["revision"]) == ("exr_1", 2.0, 1)
    assert "The API does not show the run exr_1" in ended.err
    assert "secret-content" not in ended.out


def test_a_timeline_is_a_table_for_people(made: Project, finished: Entry) -> None:
    ended = made.run("explain", "exr_1", env=NOWHERE)
    head, titles, *rows = ended.out.splitlines()
    assert head.strip() == f"{finished.tag}, run type extract, route documents, document id d1"
    assert titles.split() == ["time", "from", "what", "details"]
    assert ["result", "PROCESSED"] in [row.split()[1:3] for row in rows]
    assert "attempts 1, nonce nonce-1" in rows[1]


def test_a_dead_letter_belongs_to_the_timeline(made: Project) -> None:
    error = RecordRejected("NO_FILE", "name the file as url, file_id or text")
    letter = dead_letter(
        b"k",
        b"secret-content",
        (),
        Partition(made.topic, 1),
        7,
        error,
        topic=f"{made.prefix}.dead-letter",
        connector=made.name,
        max_bytes=1_000_000,
    )
    made.write(letter.topic, letter.value or b"", headers=letter.headers)
    ended = made.run("explain", f"{made.topic}/1/7", "--json")
    (line,) = ended.lines
    assert (line["source"], line["what"], line["message"]) == ("dead-letter", "NO_FILE", str(error))
    assert "secret-content" not in ended.out
    assert [each["what"] for each in made.run("explain", "--key", "key", "--json").lines] == ["NO_FILE"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("exr_404", "Nothing is known of the run exr_404; searched were"),
        ("{topic}/0/3", "was accepted; what is done stays there"),
        ("{topic}/0/4", "has not been accepted yet: {topic}/0 is accounted for up to offset 4."),
        ("{topic}/1/4", "Nothing was ever accepted from {topic}/1."),
        ("elsewhere/in/0/1#aaaaaaaaaaaaaaaaaaaaaa", "one of the connector elsewhere, and this is"),
    ],
)
def test_what_is_not_found_is_said_with_where_it_was_looked_for(
    made: Project,
    journal: JournalWriter,
    what: str,
    words: str,
) -> None:
    journal.commit(Mark(made.name, Partition(made.topic, 0), "id", 4, "f"))
    ended = made.run("explain", what.format(topic=made.topic), env=NOWHERE)
    assert (ended.code, ended.out) == (1, "")
    assert words.format(topic=made.topic) in ended.err
    assert journal_topic(made.name) in ended.err


class Api(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps({"id": "exr_1", "status": "PROCESSING", "output": {"secret-content": 1}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def api() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Asked", (Api,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_api_is_asked_once_where_there_is_a_key(
    made: Project,
    finished: Entry,
    api: tuple[str, list[str]],
) -> None:
    url, asked = api
    ended = made.run("explain", str(finished.tag), "--json", env={"EXTEND_BASE_URL": url})
    assert (ended.code, ended.err) == (0, "")
    assert asked == ["/extract_runs/exr_1"]
    assert (ended.lines[-1]["source"], ended.lines[-1]["what"]) == ("api", "PROCESSING")
    assert "secret-content" not in ended.out
    (made.folder / "key").unlink()
    keyless = made.run("explain", str(finished.tag), "--json", env={"EXTEND_BASE_URL": url})
    assert sorted(line["source"] for line in keyless.lines) == ["journal"] * 4 + ["result"]
    assert "no usable key" in keyless.err
    assert len(asked) == 1
