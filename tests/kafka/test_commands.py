"""`topics`, `submit` and `results` as processes, on a real broker."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from connector.core.accept.dead_letter import dead_letter
from connector.core.accept.reference import ReferenceDecoder
from connector.core.errors import RecordRejected
from connector.core.formats.framing import MARKER, Codec
from connector.core.record import Partition
from connector.schema_files import load_schema
from tests.chaos.readers import read_committed
from tests.kafka.fixtures import UniqueName, made_topics
from tests.kafka.project import Project, project_in

RESULTS = Codec(load_schema("run_result"))
URL = "https://example.com/invoice.pdf"


def test_topics_are_shown_made_and_then_right(project: Project) -> None:
    before = project.run("topics")
    assert before.code == 1
    assert f"The input topic {project.topic} does not exist" in before.err
    assert "topics --create" in before.err
    made = project.run("topics", "--create", "--input", "--partitions", "3")
    assert made.code == 0
    said, note = made.err.splitlines()
    assert said.startswith("Made 11 topics (partitions x replicas): ")
    assert f"{project.prefix}.needs-review (3 x 1)" in said
    # One broker can do no better.
    assert note.startswith(f"Note: The journal {project.name}.journal has 1 replica on 1 broker: ")
    # Names are never cut, however narrow the terminal.
    assert f"{project.prefix}.needs-review" in made.out
    after = project.run("topics", "--json")
    assert after.code == 0
    rows = {row["topic"]: row for row in after.lines}
    assert {row["state"] for row in rows.values()} == {"ok"}
    assert {row["partitions"] for row in rows.values()} == {3}
    assert {(row["replication_factor"], row["min_insync_replicas"]) for row in rows.values()} == {(1, 1)}
    again = project.run("topics", "--create")
    assert again.err.startswith("Nothing was made")
    assert "replicas" in again.out.splitlines()[0]
    assert rows[f"{project.name}.journal"]["cleanup_policy"] == "compact"
    assert rows[f"{project.prefix}.dead-letter"]["max_message_bytes"] == 2 * 1_048_588 + 65_536


def test_without_input_the_input_topics_are_left_alone(project: Project) -> None:
    ended = project.run("topics", "--create", "--json")
    assert ended.code == 1
    assert [row["topic"] for row in ended.lines if row["state"] == "missing"] == [project.topic]
    assert "--create --input" in ended.err


def test_a_wrong_topic_is_told_and_not_touched(project: Project) -> None:
    journal = f"{project.name}.journal"
    made_topics(AdminClient({"bootstrap.servers": project.servers}), (journal,), 5, {})
    ended = project.run("topics", "--create", "--input", "--json")
    assert ended.code == 1
    rows = {row["topic"]: row for row in ended.lines}
    assert rows[journal]["state"] == "wrong"
    assert rows[journal]["cleanup_policy"] == "delete"
    # The signals topic is made with the count of the journal that was there.
    assert rows[f"{project.name}.signals"]["partitions"] == 5
    assert f"The journal {journal} is not compacted" in ended.err
    assert "max.message.bytes" in ended.err


def test_options_that_mean_nothing_alone_are_refused(project: Project) -> None:
    ended = project.run("topics", "--partitions", "3")
    assert ended.code == 2
    assert "--create" in ended.err


@pytest.mark.parametrize("arguments", [("topics",), ("submit", "--url", URL), ("results",)])
def test_a_broker_that_is_not_there_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    project = project_in(tmp_path, "127.0.0.1:1", "c", "in", "out")
    begun = time.monotonic()
    ended = project.run(*arguments)
    assert time.monotonic() - begun < 14
    assert (ended.code, ended.out) == (1, "")
    (sentence,) = ended.err.splitlines()
    assert sentence.startswith("No broker of kafka.bootstrap_servers (127.0.0.1:1) answered in time")


def test_references_from_a_file_arrive_byte_for_byte(made: Project) -> None:
    lines = [f'{{"url": "{URL}",  "document_id": "{number}"}}' for number in range(50)]
    (made.folder / "references.jsonl").write_text("\n".join(lines) + "\n\n")
    ended = made.run("submit", "references.jsonl", "--key-field", "document_id")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"50 references checked, 50 acknowledged by topic {made.topic}.\n"
    assert dict(made.read(50)) == {str(number).encode(): line.encode() for number, line in enumerate(lines)}


@pytest.mark.parametrize("source", ["references.jsonl", "-"])
def test_one_wrong_reference_and_nothing_is_sent(made: Project, source: str) -> None:
    text = f'{{"url": "{URL}"}}\n{{"colour": 1}}\n\n[]\n{{"url": "{URL}"}}\n'
    (made.folder / "references.jsonl").write_text(text)
    ended = made.run("submit", source, stdin=text.encode())
    name = "standard input" if source == "-" else source
    assert (ended.code, ended.out) == (1, "")
    assert f"{name}, line 2: colour: " in ended.err
    assert f"{name}, line 4: " in ended.err
    assert "4 references checked, 2 wrong: nothing was sent." in ended.err
    # What is there now was sent by this second, whole submission.
    mended = made.run("submit", "--url", f"{URL}?mended")
    assert mended.code == 0, mended.err
    assert [json.loads(value)["url"] for _, value in made.read(1)] == [f"{URL}?mended"]


def test_what_the_brokers_refuse_is_told_by_line_with_the_number_that_they_have(made: Project) -> None:
    small = AdminClient({"bootstrap.servers": made.servers})
    limit = ConfigEntry("max.message.bytes", "4096", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, made.topic, incremental_configs=[limit])
    small.incremental_alter_configs([resource])[resource].result(timeout=20)
    eventually = time.monotonic() + 20
    while made.run("topics", "--json").lines[0]["max_message_bytes"] != 4096 and time.monotonic() < eventually:
        time.sleep(0.2)
    noise = random.Random(1).randbytes(6000).hex()
    lines = [{"text": "a"}, {"text": noise}, {"text": "b"}, {"text": noise}, {"text": noise}]
    text = "\n".join(json.dumps(line) for line in lines)
    ended = made.run("submit", "-", stdin=text.encode())
    assert (ended.code, ended.out) == (1, "")
    assert "Not acknowledged, lines 2, 4-5: A record is too large" in ended.err
    assert "2 of 5 references acknowledged" in ended.err
    assert "Do not submit the acknowledged 2 again" in ended.err


def test_references_from_options_can_be_avro(made: Project) -> None:
    ended = made.run("submit", "--url", URL, "--url", f"{URL}?2", "--document-id", "4711", "--avro")
    assert ended.code == 0, ended.err
    values = [value for _, value in made.read(2)]
    assert all(value.startswith(MARKER) for value in values)
    decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
    found = [decoder.decode(value) for value in values]
    assert {each.file.value for each in found if each.file} == {URL, f"{URL}?2"}
    assert {each.document_id for each in found} == {"4711"}


def test_unchecked_sends_what_would_be_a_dead_letter(made: Project) -> None:
    ended = made.run("submit", "-", "--unchecked", stdin=b"nonsense\n")
    assert ended.code == 0, ended.err
    assert made.read(1) == [(None, b"nonsense")]


@pytest.mark.parametrize("how", [(), ("--avro",), ("--unchecked",)])
def test_every_record_has_the_key_and_the_headers_of_the_options(made: Project, how: tuple[str, ...]) -> None:
    given = ("--key", "Köln=1", "--header", "source=erp=2", "--header", "source=", "--header", "größe=ü")
    ended = made.run("submit", "-", *given, *how, stdin=f'{{"url": "{URL}"}}\n{{"url": "{URL}?2"}}\n'.encode())
    assert ended.code == 0, ended.err
    records = read_committed(made.servers, [made.topic])
    headers = (("source", b"erp=2"), ("source", b""), ("größe", "ü".encode()))
    assert [(each.key, each.headers) for each in records] == [("Köln=1".encode(), headers)] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("submit",), "FILE"),
        (("submit", "absent.jsonl"), "absent.jsonl"),
        (("submit", "--url", URL, "--topic", "nowhere"), "nowhere"),
        (("results", "--from", "yesterday"), "--from"),
        (("results", "--dead-letters", "--status", "FAILED"), "exclude"),
        (("results", "--status", "PROCESED"), "did you mean PROCESSED?"),
        (("results", "--status", "SOMETHING"), "OTHER"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(project: Project, arguments: tuple[str, ...], words: str) -> None:
    ended = project.run(*arguments)
    assert ended.code == 2
    assert words in ended.err


def test_a_missing_input_topic_is_told_before_anything_is_sent(project: Project) -> None:
    ended = project.run("submit", "--url", URL)
    assert ended.code == 1
    assert f"The input topic {project.topic} does not exist" in ended.err


def _result(number: int, status: str) -> bytes:
    return RESULTS.encode(
        {
            "result_id": f"c/in/0/{number}#aaaaaaaaaaaaaaaaaaaaaa@1",
            "revision": 1,
            "run_id": f"exr_{number}",
            "run_type": "extract",
            "status": status,
            "document_id": f"d{number}",
            "route": "documents",
            "source": {"topic": "in", "partition": 0, "offset": number},
            "output": f'{{"n": {number}}}',
            "output_state": "inline",
            "observed_via": "poll",
            "times": {"emitted": 1_764_000_000_000 + number},
        },
    )


def test_results_are_decoded_from_every_status_topic(made: Project) -> None:
    made.write(f"{made.prefix}.processed", _result(1, "PROCESSED"), _result(2, "PROCESSED"))
    made.write(f"{made.prefix}.failed", _result(3, "FAILED"))
    everything = made.run("results", "--json")
    assert everything.code == 0, everything.err
    assert {line["run_id"]: line["output"] for line in everything.lines} == {
        "exr_1": {"n": 1},
        "exr_2": {"n": 2},
        "exr_3": {"n": 3},
    }
    failed = made.run("results", "--status", "failed", "--json")
    assert [line["run_id"] for line in failed.lines] == ["exr_3"]
    assert [line["record"]["key"] for line in failed.lines] == ["key"]
    table = made.run("results", "--limit", "2")
    assert len(table.out.splitlines()) == 3
    latest = made.run("results", "--from", "latest", "--json")
    assert (latest.code, latest.out) == (0, "")
    later = made.run("results", "--from", "2999-01-01T00:00:00Z", "--json")
    assert (later.code, later.out) == (0, "")


def test_results_come_in_the_order_of_time(made: Project) -> None:
    producer = Producer({"bootstrap.servers": made.servers})
    statuses = ("processed", "failed", "other")
    for number in range(30):
        topic = f"{made.prefix}.{statuses[number % 3]}"
        # Written in another order than that of their times, partition by partition ascending.
        at = 1_764_000_000_000 + (number % 3) * 7 + number * 1000
        producer.produce(topic, _result(number, "X"), partition=number % 2, timestamp=at)
    assert producer.flush(30) == 0
    shown = made.run("results", "--json")
    assert [line["run_id"] for line in shown.lines] == [f"exr_{number}" for number in range(30)]
    first = made.run("results", "--json", "--limit", "4")
    assert [line["run_id"] for line in first.lines] == [f"exr_{number}" for number in range(4)]
    assert len(made.run("results", "--json", "--status", "other").lines) == 10


def test_uncommitted_results_are_not_shown(made: Project, unique_name: UniqueName) -> None:
    producer = Producer({"bootstrap.servers": made.servers, "transactional.id": unique_name("tx")})
    producer.init_transactions(30)
    for number, end in ((1, producer.abort_transaction), (2, producer.commit_transaction), (3, None)):
        producer.begin_transaction()
        producer.produce(f"{made.prefix}.processed", _result(number, "PROCESSED"), partition=0)
        producer.flush(30)
        if end is not None:
            end(30)
    shown = made.run("results", "--json")
    assert [line["run_id"] for line in shown.lines] == ["exr_2"]
    producer.abort_transaction(30)


def test_following_ends_at_the_limit_or_at_the_timeout(made: Project) -> None:
    made.write(f"{made.prefix}.processed", _result(1, "PROCESSED"))
    enough = made.run("results", "--follow", "--limit", "1", "--timeout", "30", "--json")
    assert enough.code == 0
    assert len(enough.lines) == 1
    short = made.run("results", "--follow", "--limit", "2", "--timeout", "2", "--json")
    assert short.code == 1
    assert len(short.lines) == 1


def test_an_undecodable_result_is_told_and_the_others_are_shown(made: Project) -> None:
    made.write(f"{made.prefix}.processed", b"nonsense", _result(1, "PROCESSED"))
    ended = made.run("results")
    assert ended.code == 1
    assert "exr_1" in ended.out
    assert f"{made.prefix}.processed/" in ended.err


def test_dead_letters_show_reason_and_original(made: Project) -> None:
    error = RecordRejected("NO_FILE", "name the file as url, file_id or text")
    letter = dead_letter(
        b"k",
        b'{"a": 1}',
        (),
        Partition("in", 1),
        7,
        error,
        topic=f"{made.prefix}.dead-letter",
        connector=made.name,
        max_bytes=1_000_000,
    )
    made.write(letter.topic, letter.value or b"", headers=letter.headers)
    ended = made.run("results", "--dead-letters", "--json")
    (line,) = ended.lines
    assert (line["reason"], line["value"]) == ("NO_FILE", '{"a": 1}')
    assert line["source"] == {"topic": "in", "partition": 1, "offset": 7}
    assert made.run("results", "--json").out == ""


def test_results_without_topics_name_them(project: Project) -> None:
    ended = project.run("results")
    assert ended.code == 1
    assert f"The topic {project.prefix}.processed does not exist" in ended.err


@pytest.mark.parametrize("command", ["topics", "submit", "results", "try", "inflight", "explain", "parked"])
def test_help_has_an_example(project: Project, command: str) -> None:
    ended = project.run(command, "--help")
    assert ended.code == 0
    assert f"extend-connector {command}" in " ".join(ended.out.split())


def test_secrets_are_never_shown(made: Project) -> None:
    for arguments in (("topics",), ("submit", "--url", URL), ("results", "--json")):
        ended = made.run(*arguments)
        assert "canary" not in ended.out + ended.err
