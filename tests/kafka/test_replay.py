"""`replay` as a process on a real broker: what is sent again, once, and all or nothing."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from connector.adapters.kafka.exclusive import ExclusiveProducer
from connector.core.accept.dead_letter import dead_letter
from connector.core.errors import RecordRejected, TopicError
from connector.core.reasons import Reason
from connector.core.record import Headers, OutRecord, Partition
from connector.core.run_types import dead_letter_topic
from tests.chaos.readers import Raw, read_committed
from tests.kafka.cluster import Kafka
from tests.kafka.project import Project

GOOD = b'{"url": "https://files.example.com/a.pdf"}'
BAD = b'{"name": "secret-content"}'


def fail(project: Project, offset: int, value: bytes, reason: Reason = Reason.NO_FILE) -> None:
    """A dead letter, as a worker of the project would have written it."""
    letter = dead_letter(
        b"key",
        value,
        (("trace", b"t1"),),
        Partition(project.topic, 0),
        offset,
        RecordRejected(reason, "name the file", path="url"),
        topic=dead_letter_topic(project.prefix),
        connector=project.name,
        max_bytes=1_000_000,
    )
    project.write_record(letter)


def inputs(project: Project) -> list[Raw]:
    return read_committed(project.servers, [project.topic])


def test_a_mended_record_is_sent_once(made: Project) -> None:
    fail(made, 17, BAD)
    fail(made, 18, GOOD, Reason.NO_ROUTE)
    source = f"{made.topic}/0/17"

    listed = made.run("replay")
    assert [line.split()[:3] for line in listed.out.splitlines()[1:]] == [["NO_FILE", "1", "0"], ["NO_ROUTE", "1", "0"]]
    shown = made.run("replay", "show", source).out
    assert "it would be a dead letter again (NO_FILE)" in shown
    refused = made.run("replay", "send", source, "--yes")
    assert (refused.code, inputs(made)) == (1, [])
    assert refused.err.endswith("Nothing was sent.\n")
    assert "secret-content" not in listed.out + refused.err

    (made.folder / "mended.json").write_bytes(GOOD)
    asked = made.run("replay", "send", source, "--value", "mended.json")
    assert asked.code == 1
    assert "1 x extract by route documents" in asked.err
    assert "--yes" in asked.err
    sent = made.run("replay", "send", source, "--value", "mended.json", "--yes")
    assert (sent.code, sent.err) == (0, ""), sent.err
    (record,) = inputs(made)
    assert (record.partition.number, record.key, record.value) == (0, b"key", GOOD)
    assert record.headers[0] == ("trace", b"t1")

    twice = made.run("replay", "send", source, "--value", "mended.json", "--yes")
    assert twice.code == 1
    assert f"it was sent again before, as {made.topic}/0/0" in twice.err
    assert len(inputs(made)) == 1
    lines = {line["reason"]: line for line in made.run("replay", "--json").lines}
    assert lines["NO_FILE"]["replayed"] == f"{made.topic}/0/0"
    assert lines["NO_ROUTE"]["replayed"] is None
    assert made.run("replay", "send", source, "--value", "mended.json", "--yes", "--again").code == 0
    assert len(inputs(made)) == 2


def test_those_of_one_reason_are_sent_together_but_what_a_person_dropped_only_at_a_price(made: Project) -> None:
    for offset in range(3):
        fail(made, offset, GOOD, Reason.NO_ROUTE)
    fail(made, 3, BAD, Reason.NO_ROUTE)
    fail(made, 4, GOOD, Reason.DROPPED)
    sent = made.run("replay", "send", "--reason", "NO_ROUTE", "--yes")
    assert sent.code == 1, "one of four is left"
    assert "Sent: 3 records." in sent.out
    assert f"Not sent, {made.topic}/0/3" in sent.err
    assert len(inputs(made)) == 3

    refused = made.run("replay", "send", "--reason", "DROPPED", "--yes")
    assert (refused.code, len(inputs(made))) == (1, 3)
    assert "--accept-cost" in refused.err
    assert made.run("replay", "send", "--reason", "DROPPED", "--yes", "--accept-cost").code == 0
    assert len(inputs(made)) == 4


def test_a_record_that_is_named_twice_is_sent_once(made: Project) -> None:
    fail(made, 17, GOOD, Reason.NO_ROUTE)
    sent = made.run("replay", "send", f"{made.topic}/0/17", f"{made.topic}/0/017", "--yes")
    assert (sent.code, len(inputs(made))) == (0, 1), sent.err


def test_what_a_second_letter_of_the_record_was_sent_as_counts(made: Project) -> None:
    for _ in range(2):
        fail(made, 17, GOOD, Reason.NO_ROUTE)
        made.run("replay", "send", f"{made.topic}/0/17", "--yes")
    assert len(inputs(made)) == 1


def test_nothing_is_sent_while_an_open_transaction_may_hide_what_was_sent(kafka: Kafka, made: Project) -> None:
    fail(made, 0, GOOD, Reason.NO_ROUTE)
    hanging = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{made.name}-other"})
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(made.topic, b"1", partition=0)
    hanging.flush(30)
    refused = made.run("replay", "send", f"{made.topic}/0/0", "--yes")
    assert refused.code == 1
    assert f"A transaction in {made.topic} has not ended" in refused.err
    hanging.abort_transaction(30)
    assert made.run("replay", "send", f"{made.topic}/0/0", "--yes").code == 0
    assert len(inputs(made)) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("replay", "resend"), "The actions are list, show, send."),
        (("replay", "show", "17"), "PLACE is topic/partition/offset"),
        (("replay", "send"), "send takes either PLACEs or --reason"),
        (("replay", "--yes"), "go with send"),
        (("replay", "send", "a/0/1", "--value", "nowhere.json"), "nowhere.json cannot be read"),
    ],
)
def test_a_wrong_use_is_a_sentence(made: Project, arguments: tuple[str, ...], sentence: str) -> None:
    ended = made.run(*arguments)
    assert ended.code == 2
    assert sentence in " ".join(ended.err.replace("│", " ").split())


def test_a_record_without_a_dead_letter_is_a_sentence(made: Project) -> None:
    ended = made.run("replay", "show", f"{made.topic}/0/99")
    assert ended.code == 1
    assert f"holds no dead letter of {made.topic}/0/99" in ended.err
    assert made.run("replay").err == "No dead letter is there.\n"


def test_who_begins_last_wins_and_the_other_writes_nothing(kafka: Kafka, made: Project) -> None:
    properties = {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{made.name}-replay"}
    records: list[OutRecord] = [OutRecord(made.topic, None, number, _NONE, 0) for number in (b"1", b"2")]
    first = ExclusiveProducer(properties)
    second = ExclusiveProducer(properties)
    with pytest.raises(TopicError, match="nothing was written"):
        first.write(records)
    first.close()
    second.write(records)
    second.close()
    assert [record.value for record in inputs(made)] == [b"1", b"2"]


def test_one_record_that_the_topic_does_not_take_holds_all_of_them_back(kafka: Kafka, made: Project) -> None:
    properties = {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{made.name}-replay"}
    producer = ExclusiveProducer({**properties, "message.max.bytes": 2_000_000})
    large = json.dumps({"text": "x" * 1_500_000}).encode()
    with pytest.raises(TopicError):
        producer.write([OutRecord(made.topic, None, b"1", _NONE, 0), OutRecord(made.topic, None, large, _NONE, 0)])
    producer.close()
    assert inputs(made) == []


_NONE: Headers = ()
