"""On a real broker: what the proxy holds is late for Kafka too, and a lost answer is an end that nobody knows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.chaos.checker import check
from tests.chaos.proxy import END_TXN, KafkaProxy, Rule
from tests.chaos.readers import read_committed
from tests.chaos.references import references
from tests.chaos.stage import Stage
from tests.kafka.cluster import KafkaCluster, given_kafka
from tests.kafka.fixtures import made_topics
from tests.kafka.jars import BROKER_VARIABLE

SECONDS = 30.0
PARTITIONS = 2

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaProxy, KafkaCluster]]:
    """A broker that tells its clients to come through the proxy."""
    if given_kafka() is not None:
        pytest.skip(f"{BROKER_VARIABLE} names a broker that does not know our proxy")
    folder = tmp_path_factory.mktemp("kafka-proxied")
    with KafkaProxy(1) as proxy, KafkaCluster(1, folder=folder, behind=proxy.ports) as cluster:
        proxy.aim([cluster.node(1).client_port])
        yield proxy, cluster


def test_a_held_end_of_a_transaction_is_a_late_commit(proxied: tuple[KafkaProxy, KafkaCluster]) -> None:
    proxy, cluster = proxied
    made_topics(cluster.admin, ("held",), 1, {})
    servers = {"bootstrap.servers": proxy.bootstrap_servers, "transactional.id": "held", "log_level": 0}
    producer = Producer(servers)
    producer.init_transactions(SECONDS)
    proxy.add(rule := Rule(END_TXN, "delay", seconds=2.0))
    producer.begin_transaction()
    producer.produce("held", b"value")
    producer.flush(SECONDS)
    begun = time.monotonic()
    producer.commit_transaction(SECONDS)

    assert time.monotonic() - begun >= 2.0
    assert [hit.request.api_key for hit in proxy.hit_by(rule)] == [END_TXN]
    assert [each.value for each in read_committed(cluster.bootstrap_servers, ["held"])] == [b"value"]
    producer.close()


@pytest.mark.timeout(240)
def test_a_worker_goes_on_after_an_end_that_it_cannot_know(
    proxied: tuple[KafkaProxy, KafkaCluster],
    tmp_path: Path,
) -> None:
    proxy, cluster = proxied
    kafka = {"bootstrap_servers": proxy.bootstrap_servers, "transaction_timeout": "10s"}
    with Stage(
        cluster,
        "unclear-end",
        tmp_path,
        partitions=PARTITIONS,
        simulator=("--median", "0.5"),
        settings={"kafka": kafka},
    ) as stage:
        worker = stage.worker("worker")
        worker.wait_ready()
        every = list(references(stage.topic, 60, PARTITIONS))
        stage.writer.write(every[:20])
        stage.settle(SECONDS)
        proxy.add(rule := Rule(END_TXN, "lose answer"))
        stage.writer.write(every[20:])
        stage.settle(4 * SECONDS)
        ends = {name: count for name, count in worker.metrics().items() if "transactions_total{" in name}
        verdict = check(stage.history(), stage.rules(0, {}))

    assert len(proxy.hit_by(rule)) == 1
    assert ends['extend_connector_transactions_total{end="unclear"}'] >= 1, ends
    assert not verdict.violations, str(verdict)
