"""The whole process on the mock broker: a real producer, both ports, and secrets that change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from structlog.testing import capture_logs

from connector.adapters.kafka.mock import MockBroker
from connector.adapters.metrics import Metrics
from connector.config import Config, Secret, parse
from connector.core.errors import ConfigurationError, ConnectorError
from connector.core.record import Partition, Record
from connector.core.signals.signal import Doorbell
from connector.webhook import ingress
from connector.webhook.ingress import Ingress
from connector.webhook.sending import deliver, event_body, signed_headers
from tests.webhook.stage import SECRET, TAG, TOPIC, event, request, until

OTHER = "wss_another_secret_that_is_long"


@pytest.fixture(scope="module")
def broker() -> MockBroker:
    made = MockBroker()
    made.make_topics([TOPIC.name])
    return made


def config_of(servers: str) -> Config:
    text = f"""
        name: invoices
        kafka: {{bootstrap_servers: "{servers}"}}
        webhook: {{host: 127.0.0.1, port: 0}}
        admin: {{host: 127.0.0.1, port: 0}}
    """
    environ = {"EXTEND_WEBHOOK_SECRET": SECRET.decode()}
    return parse(text, environ, lambda _: b"", unneeded={"extend"}).config


@asynccontextmanager
async def running(
    servers: str, secrets: Sequence[Secret] = (Secret(SECRET.decode()),)
) -> AsyncIterator[tuple[Ingress, list[Secret]]]:
    now = list(secrets)
    process = Ingress(config_of(servers), TOPIC, metrics=Metrics(), read_secrets=lambda: now)
    task = asyncio.create_task(process.run())
    await until(lambda: process.port or task.done())
    try:
        yield process, now
    finally:
        process.stop()
        await task


async def post(port: int | None, raw: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return int(answer.split()[1])


def signals_in(broker: MockBroker, partition: int) -> list[object]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "test"})
    consumer.assign([TopicPartition(TOPIC.name, partition, 0)])
    found: list[object] = []
    for message in consumer.consume(100, 5.0):
        value = message.value()
        found.append(TOPIC.signal(Record(Partition(TOPIC.name, partition), 0, None, value, (), 0)))
    consumer.close()
    return found


async def test_a_webhook_that_was_answered_204_is_in_kafka(broker: MockBroker) -> None:
    async with running(broker.bootstrap_servers) as (process, _):
        assert await post(process.port, request(event())) == 204
        found = await asyncio.to_thread(signals_in, broker, 1)
        assert found == [Doorbell(TAG, "exr_1")]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.admin_port}", trust_env=False) as admin:
            assert (await admin.get("/livez")).status_code == 200
            assert (await admin.get("/readyz")).status_code == 200
            assert (await admin.get("/status")).status_code == 404
            metrics = (await admin.get("/metrics")).text
        assert 'extend_connector_webhook_requests_total{result="accepted"} 1.0' in metrics
        assert 'extend_connector_signals_total{kind="doorbell",result="sent"} 1.0' in metrics


async def test_where_no_broker_is_a_webhook_is_answered_503() -> None:
    with capture_logs() as lines:
        async with running("127.0.0.1:1") as (process, _):
            assert await post(process.port, request(event())) == 503
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["doorbells_not_written"]


async def test_secrets_are_read_again_and_bad_ones_change_nothing(
    broker: MockBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "SECRETS_SECONDS", 0.02)
    with capture_logs() as lines:
        async with running(broker.bootstrap_servers) as (process, now):
            assert await post(process.port, request(event(11), secret=OTHER.encode())) == 401
            now[:] = [Secret(OTHER), *now]
            await until(lambda: any(line["event"] == "webhook_secrets_changed" for line in lines))
            assert await post(process.port, request(event(11), secret=OTHER.encode())) == 204
            assert await post(process.port, request(event(12))) == 204
            now[:] = [Secret("short")]
            await until(lambda: any(line["event"] == "webhook_secrets_not_read" for line in lines))
            assert await post(process.port, request(event(13))) == 204
    assert OTHER not in str(lines)


@pytest.mark.parametrize("secrets", [(), (Secret(""),), (Secret("too short"),)])
def test_without_a_good_secret_it_does_not_begin(secrets: tuple[Secret, ...]) -> None:
    config = config_of("127.0.0.1:1")
    webhook = config.webhook.model_copy(update={"secrets": secrets})
    config = config.model_copy(update={"webhook": webhook})
    with pytest.raises(ConfigurationError, match="secret"):
        Ingress(config, TOPIC, metrics=Metrics(), read_secrets=lambda: ())


async def test_what_is_sent_as_a_test_is_taken(broker: MockBroker) -> None:
    async with running(broker.bootstrap_servers) as (process, _):
        url = f"http://127.0.0.1:{process.port}/webhooks/extend"
        for kind, tag in (("workflow_run.completed", TAG), ("extract_run.processed", None), ("of.the.future", None)):
            body = event_body(kind, "workflow_run_1", tag)
            for secret, status in ((SECRET, 204), (OTHER.encode(), 401)):
                headers = signed_headers(body, secret, int(time.time()))
                assert await asyncio.to_thread(deliver, url, body, headers) == status
            assert await asyncio.to_thread(deliver, url, body, {}) == 401
        found = await asyncio.to_thread(signals_in, broker, 1)
        assert found[-1] == Doorbell(TAG, "workflow_run_1")


@pytest.mark.parametrize("url", ["nowhere", "ftp://here/x", "http://[::1", "http://here:99999/"])
def test_an_address_that_is_none_is_a_mistake_of_the_person(url: str) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        deliver(url, b"{}", {})


def test_an_address_where_nobody_answers_is_named() -> None:
    with pytest.raises(ConnectorError, match=r"http://127\.0\.0\.1:1 "):
        deliver("http://127.0.0.1:1/x?token=a", b"{}", {})
