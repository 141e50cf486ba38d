"""Sending outside of transactions, on librdkafka's own broker in the process."""

from __future__ import annotations

import signal

import pytest
from confluent_kafka import KafkaError, Message

from connector.adapters.kafka.producing import RecordProducer
from connector.core.record import OutRecord


def test_ctrl_c_while_a_callback_runs_is_a_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = RecordProducer({"test.mock.num.brokers": 1, "log_level": 0})

    def interrupted(_: KafkaError | None, __: Message) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(producer, "_on_delivery", lambda *_: interrupted)
    producer.send(OutRecord("topic", None, b"value"), "1")
    with pytest.raises(KeyboardInterrupt):
        producer.flush()
    producer.close()
