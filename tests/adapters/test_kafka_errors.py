from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from connector.adapters.kafka.errors import Troubles, error_of, sentence_of
from connector.core.errors import ConfigurationError, TopicError


@pytest.fixture
def troubles() -> Troubles:
    properties = {
        "bootstrap.servers": "broker:9092",
        "sasl.username": "invoices",
        "sasl.password": "canary-password",
    }
    return Troubles(properties)


@pytest.mark.parametrize(
    ("code", "resource", "words"),
    [
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            "topic documents",
            ["operation Read on topic documents", "--topic"],
        ),
        (
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            "group invoices",
            ["operation Read on group invoices", "--group"],
        ),
        (
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "topic documents",
            ["transactional id (Read on topic documents needs it)", "--transactional-id"],
        ),
    ],
)
def test_a_refusal_names_user_operation_and_resource(
    troubles: Troubles,
    code: int,
    resource: str,
    words: list[str],
) -> None:
    error = troubles.explain(KafkaException(KafkaError(code)), "Read", resource)
    assert isinstance(error, TopicError)
    assert str(error).startswith("User invoices is not allowed")
    for word in [*words, "kafka-acls.sh"]:
        assert word in str(error)


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (
            KafkaError._AUTHENTICATION,
            ["User invoices could not log in at broker:9092", "kafka.password_file"],
        ),
        (KafkaError._SSL, ["TLS with broker:9092", "ssl.ca.location"]),
        (KafkaError._RESOLVE, ["kafka.bootstrap_servers (broker:9092)", "not known"]),
    ],
)
def test_a_timeout_tells_the_reason_that_came_before_it(
    troubles: Troubles,
    earlier: int,
    words: list[str],
) -> None:
    troubles(KafkaError(earlier, "the reason"))
    troubles(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    error = troubles.explain(KafkaError(KafkaError._TIMED_OUT), "Describe", "cluster")
    for word in [*words, "the reason"]:
        assert word in str(error)


def test_reasons_are_forgotten_once_the_brokers_have_answered(troubles: Troubles) -> None:
    troubles(KafkaError(KafkaError._RESOLVE, "old"))
    troubles.clear()
    error = troubles.explain(KafkaError(KafkaError._TIMED_OUT), "Describe", "cluster")
    assert "No broker of kafka.bootstrap_servers (broker:9092) answered in time" in str(error)
    assert "old" not in str(error)


def test_a_missing_topic_is_named(troubles: Troubles) -> None:
    error = troubles.explain(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), "Describe", "topic documents")
    assert "topic documents does not exist at broker:9092" in str(error)


def test_a_property_that_librdkafka_refuses_is_a_configuration_error(troubles: Troubles) -> None:
    error = troubles.explain(KafkaError(KafkaError._INVALID_ARG, 'No such property: "x"'), "Describe", "cluster")
    assert isinstance(error, ConfigurationError)
    assert error.problems[0].path == "kafka.properties"


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TIMED_OUT,
        KafkaError._AUTHENTICATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.UNKNOWN,
    ],
)
def test_every_sentence_ends_and_shows_no_secret(troubles: Troubles, code: int) -> None:
    text = str(troubles.explain(KafkaError(code), "Write", "topic documents"))
    assert text.endswith(".")
    assert "documents" in text or "invoices" in text
    assert "canary-password" not in text


def test_an_error_without_context_still_has_a_way_out() -> None:
    text = sentence_of(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    assert "GROUP_AUTHORIZATION_FAILED" in text
    assert "Grant Read on the consumer group" in text


def test_an_exception_without_an_error_inside_keeps_its_text() -> None:
    assert "odd" in error_of(KafkaException("odd")).str()
