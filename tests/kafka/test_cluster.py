"""The harness itself: brokers that start, die, freeze, come back, and never outlive the run."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.child_process import ChildProcess
from tests.kafka.cluster import Kafka, KafkaCluster
from tests.kafka.fixtures import CreateTopics, UniqueName, made_topics
from tests.kafka.jars import BrokerUnavailable, Jar, check, fetch_jars, read_lock
from tests.kafka.node import Ports, node_ports
from tests.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]


def test_the_lock_names_every_jar_once_and_with_a_sum() -> None:
    jars = read_lock()

    assert {"kafka_2.13", "kafka-clients", "log4j-core"} <= {jar.artifact for jar in jars}
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 for jar in jars)


def test_another_file_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1.jar"
    path.write_bytes(b"planted")
    good = Jar("org.example", "x", "1", hashlib.sha256(b"planted").hexdigest())
    check(good, path)

    with pytest.raises(BrokerUnavailable, match=r"another org\.example:x:1 "):
        check(Jar("org.example", "x", "1", "0" * 64), path)


def test_a_damaged_jar_in_the_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = Jar("org.example", "x", "1", "0" * 64)
    (tmp_path / jar.file_name).write_bytes(b"half")
    monkeypatch.setenv("MAVEN_MIRROR", "http://127.0.0.1:9")  # the discard port: nobody listens

    with pytest.raises(BrokerUnavailable, match="cannot be fetched"):
        fetch_jars([jar], tmp_path)


def test_a_machine_without_jars_gets_one_sentence_and_not_one_error_per_test(tmp_path: Path) -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    outside.pop("KAFKA_BOOTSTRAP_SERVERS_FOR_TESTS", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kafka/test_facts.py"],
        cwd=ROOT,
        env={**outside, "KAFKA_TEST_CACHE": str(tmp_path), "MAVEN_MIRROR": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert (done.stdout + done.stderr).count("cannot be fetched") == 1
    assert "Traceback" not in done.stderr


def test_ports_are_taken_from_where_no_client_connection_gets_one() -> None:
    ports = free_ports(6)
    lowest, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    assert len(set(ports)) == 6
    assert max(ports) < lowest


@pytest.mark.kafka
def test_a_port_that_somebody_took_meanwhile_costs_another_try(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as somebody:
        somebody.bind((HOST, 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        ports = iter([(Ports(taken, *free_ports(1)),), node_ports(1)])
        monkeypatch.setattr("tests.kafka.cluster.node_ports", lambda _nodes, _behind: next(ports))

        with KafkaCluster(1, folder=tmp_path) as cluster:
            assert str(taken) not in cluster.bootstrap_servers
            assert list(cluster.admin.list_topics(timeout=10).brokers) == [1]

    assert "Address already in use" in (tmp_path / "attempt-1" / "node-1" / "broker.log").read_text()
    assert not list(tmp_path.glob("*/*/data"))


def test_the_one_node_answers_and_makes_topics(kafka: Kafka, create_topics: CreateTopics) -> None:
    (topic,) = create_topics("input", partitions=3, config={"cleanup.policy": "compact"})

    metadata = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(topic, timeout=10)

    assert len(metadata.topics[topic].partitions) == 3


def test_what_was_acknowledged_survives_the_death_of_the_leader(
    three_node_kafka: KafkaCluster,
    unique_name: UniqueName,
) -> None:
    topic = unique_name("kept")
    made_topics(three_node_kafka.admin, (topic,), 1, {})
    producer = Producer({"bootstrap.servers": three_node_kafka.bootstrap_servers, "acks": "all"})
    producer.produce(topic, b"kept")
    assert producer.flush(20) == 0
    leader = three_node_kafka.leader(topic, 0)

    three_node_kafka.kill_node(leader)

    consumer = Consumer({"bootstrap.servers": three_node_kafka.bootstrap_servers, "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(40)
    consumer.close()
    assert message is not None
    assert message.value() == b"kept"
    assert three_node_kafka.leader(topic, 0) != leader

    three_node_kafka.start_node(leader)

    assert set(three_node_kafka.admin.list_topics(timeout=10).brokers) == {1, 2, 3}


def test_a_paused_node_stands_still_and_goes_on(three_node_kafka: KafkaCluster) -> None:
    three_node_kafka.pause_node(3)
    assert three_node_kafka.node(3).process.stopped

    three_node_kafka.resume_node(3)

    assert not three_node_kafka.node(3).process.stopped
    assert three_node_kafka.node(3).process.running


def test_a_child_does_not_outlive_a_test_run_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.child_process import ChildProcess\n"
        f"child = ChildProcess('sleeper', ['sleep', '60'], Path({str(tmp_path / 'log')!r})); child.start()\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    assert _alive(child)

    run.send_signal(signal.SIGKILL)
    run.wait(10)
    run.stdout.close()

    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def test_a_process_that_stops_itself_is_seen(tmp_path: Path) -> None:
    child = ChildProcess("stopper", ["sh", "-c", "kill -STOP $$; exit 3"], tmp_path / "log")
    child.start()

    child.wait_stopped(10)
    child.resume()

    assert child.wait(10) == 3
    with pytest.raises(TimeoutError, match="ended with 3"):
        child.wait_stopped(1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
