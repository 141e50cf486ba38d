"""`plan` on a real topic: what the group has not accepted yet, looked at by nobody who joins or commits."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.kafka.project import Project

COUNTS = {0: 30, 1: 10}


@pytest.fixture
def filled(made: Project) -> Project:
    """Every fifth record is of another kind; the group has accepted the first twenty of partition 0."""
    path = made.folder / "connector.yaml"
    mapped = "run: extract, processor: ex_1, when: {kind: bill}, fields: {url: at, document_id: header(id)}"
    path.write_text(path.read_text().replace("run: extract, processor: ex_1", mapped))
    (made.folder / "key").unlink()
    producer = Producer({"bootstrap.servers": made.servers})
    for partition, count in COUNTS.items():
        for number in range(count):
            kind = "letter" if number % 5 == 4 else "bill"
            value = json.dumps({"kind": kind, "at": f"https://files.example.com/{number}?sig=canary"})
            producer.produce(made.topic, value, partition=partition, headers=[("id", b"%d" % number)])
    assert producer.flush(30) == 0
    commit(made, {0: 20})
    return made


def commit(project: Project, offsets: dict[int, int]) -> None:
    consumer = Consumer({"bootstrap.servers": project.servers, "group.id": project.name})
    places = [TopicPartition(project.topic, number, offset) for number, offset in offsets.items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def committed(project: Project) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": project.servers, "group.id": project.name})
    found = consumer.committed([TopicPartition(project.topic, number) for number in COUNTS], 30)
    consumer.close()
    return {each.partition: each.offset for each in found if each.offset >= 0}


def test_a_sample_of_what_is_left_tells_of_all_that_is_left(filled: Project) -> None:
    ended = filled.run("plan", "--sample", "10", "--json")
    assert ended.code == 1, ended.err
    records = [line for line in ended.lines if "record" in line]
    places = {tuple(map(int, str(line["record"]).split("/")[1:])) for line in records}
    assert places == {(0, offset) for offset in range(20, 25)} | {(1, offset) for offset in range(5)}
    first = next(line for line in records if line["record"].endswith("/0/20"))
    assert (first["document_id"], first["body"]["file"]) == ("20", {"url": "https://files.example.com/20…"})
    assert first["body"]["metadata"]["kafka_connector"]["tag"].startswith(f"{filled.name}/{filled.topic}/0/20#")
    forecast = [(line["forecast"], line["sampled"], line["expected"]) for line in ended.lines if "forecast" in line]
    assert forecast == [("run", 8, 16), ("dead_letter", 2, 4), ("all", 10, 20)]
    assert {line["reason"] for line in records if line["outcome"] == "dead_letter"} == {"NO_ROUTE"}
    assert "canary" not in ended.out
    assert committed(filled) == {0: 20}


def test_where_nothing_is_left_the_last_records_are_shown(filled: Project) -> None:
    commit(filled, COUNTS)
    ended = filled.run("plan", "--topic", filled.topic, "--sample", "4", "--json")
    places = {str(line["record"]).partition("/")[2] for line in ended.lines if "record" in line}
    assert places == {"0/27", "0/28", "0/29", "1/9"}
    assert ended.lines[-1]["expected"] == ended.lines[-1]["runs"] == 0


def test_an_empty_topic_and_a_missing_one_are_told(made: Project, project: Project) -> None:
    empty = made.run("plan")
    assert (empty.code, empty.out, empty.err) == (0, "", "There is no record.\n")
    path = project.folder / "connector.yaml"
    path.write_text(path.read_text().replace(f"topic: {project.topic}", f"topic: {project.topic}-elsewhere"))
    missing = project.run("plan")
    assert missing.code == 1
    assert "does not exist" in missing.err
