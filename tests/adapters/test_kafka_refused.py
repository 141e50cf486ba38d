"""What librdkafka refuses is known before a worker starts, offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from connector.adapters.kafka.refused import refused_properties
from connector.config.kafka import Kafka, Properties
from connector.config.secret import Secret

CANARY = "cAnArY"


def refused(properties: Mapping[str, object], **others: object) -> dict[str, str]:
    found = refused_properties(
        Kafka(bootstrap_servers="127.0.0.1:1", properties=Properties.read(properties), **others)  # type: ignore[arg-type]  # any key of the section
    )
    assert CANARY not in str(found)
    return {problem.path.removeprefix("kafka.properties").lstrip("."): problem.message for problem in found}


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"linger.ms": 5, "compression.type": "lz4", "fetch.min.bytes": 10},
        {"group.protocol": "consumer"},
        {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p"},
    ],
)
def test_right_properties_are_taken(properties: Mapping[str, object]) -> None:
    assert refused(properties) == {}


def test_an_unknown_name_gets_the_nearest() -> None:
    assert refused({"sockt.timeout.ms": 100, "nonsense.entirely": "x"}) == {
        "sockt.timeout.ms": "is no property of librdkafka; did you mean socket.timeout.ms?",
        "nonsense.entirely": "is no property of librdkafka: they are listed in its CONFIGURATION.md",
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("socket.timeout.ms", "soon", "Invalid value"),
        ("socket.timeout.ms", 999_999_999, "outside allowed range"),
        ("security.protocol", "nope", "Invalid value"),
        ("linger.ms", True, "Invalid value"),
        ("fetch.min.bytes", 0.5, "outside allowed range"),
        ("ssl.keystore.location", "/no/such/file", "librdkafka refuses it"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: object, said: str) -> None:
    needed = {"security.protocol": "ssl"} if name.startswith("ssl.") else {}
    (found,) = refused({**needed, name: value}).items()
    assert found[0] == name
    assert said in found[1]


def test_what_does_not_go_together_is_told() -> None:
    found = refused({"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"})
    assert "sasl.username and sasl.password must be set" in "".join(found.values())


def test_values_that_may_be_secret_are_not_shown() -> None:
    assert refused({"ssl.endpoint.identification.algorithm": "https", "sasl.oauthbearer.assertion.algorithm": CANARY})
    assert refused({"security.protocol": "ssl", "ssl.key.pem": CANARY})
    mechanism = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "FOO", "sasl.username": "u"}
    assert refused(mechanism, password=Secret(CANARY))


def test_nothing_is_written_and_nothing_is_connected(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused({"security.protocol": "ssl", "ssl.ca.location": str(tmp_path / "none"), "fetch.min.bytes": 1})
    assert capfd.readouterr() == ("", "")
