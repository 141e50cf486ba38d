"""Asks librdkafka itself which of the user's properties it refuses; nothing is connected for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Producer

from connector.adapters.kafka.errors import error_of
from connector.adapters.kafka.properties import (
    KafkaSettings,
    Properties,
    consumer_properties,
    producer_properties,
)
from connector.config.kafka import REFUSED, VISIBLE
from connector.config.nearest import nearest
from connector.core.errors import Problem
from connector.core.redaction import HIDDEN

_SECTION = "kafka.properties"
_UNKNOWN = "No such configuration property"
_TOGETHER = "Failed to create"
"""How librdkafka begins when each property is right by itself, or is only looked at when the client is made."""

_HIDDEN_NAMES = frozenset({"sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "ssl.ca.pem"})
_QUOTED = re.compile(r"[\"`]?\b([a-z0-9_]+(?:\.[a-z0-9_]+)+)\b")


class _Silence:
    """Takes the lines that librdkafka would write to stderr; what matters comes as an error."""

    def log(self, *_words: object) -> None:
        """Drop the line."""


def refused_properties(kafka: KafkaSettings) -> list[Problem]:
    """Names and values that librdkafka does not take, alone or together, and files that it cannot read.

    Makes clients without a broker's address and closes them: they connect to nothing.

    Args:
        kafka: the section of the configuration.

    Returns:
        One problem for each property that is wrong by itself; where none is, what is wrong with them together.
    """
    alone = {
        name: text
        for name, value in kafka.properties.items()
        if (text := _refusal(Consumer, {"group.id": "check", name: value})) and not text.startswith(_TOGETHER)
    }
    if alone:
        return [Problem(f"{_SECTION}.{name}", _sentence(name, text)) for name, text in alone.items()]
    consumer = consumer_properties(kafka, "check", "check")
    # With a transactional id, as the worker's: some timeouts are only compared then.
    producer = producer_properties(kafka, "check", "check", 1_000_000)
    together = dict.fromkeys(
        text for made in ((Consumer, consumer), (Producer, producer)) if (text := _refusal(*made)) is not None
    )
    # Consumer and producer say the same of what concerns both.
    return list(dict.fromkeys(_together(text, kafka) for text in together))


def _refusal(kind: type[Consumer | Producer], properties: Mapping[str, object]) -> str | None:
    told: Properties = {name: value for name, value in properties.items() if name != "bootstrap.servers"}
    try:
        client = kind({**told, "logger": _Silence()})
    except KafkaException as error:
        return error_of(error).str().strip()
    client.close()
    return None


def _sentence(name: str, text: str) -> str:
    if text.startswith(_UNKNOWN):
        close = nearest(name, VISIBLE | REFUSED.keys() | _HIDDEN_NAMES)
        hint = f"; did you mean {close}?" if close else ": they are listed in its CONFIGURATION.md"
        return f"is no property of librdkafka{hint}"
    if name not in VISIBLE:
        return "has a value that librdkafka refuses"
    return f"is refused by librdkafka: {text}"


def _together(text: str, kafka: KafkaSettings) -> Problem:
    said = text.removeprefix(_TOGETHER).removeprefix(" consumer: ").removeprefix(" producer: ")
    secrets = [str(value) for name, value in kafka.properties.items() if name not in VISIBLE]
    if kafka.password is not None:
        secrets.append(kafka.password.reveal())
    for secret in filter(None, secrets):
        said = said.replace(secret, HIDDEN)
    named = [name for name in _QUOTED.findall(said) if name in kafka.properties]
    return Problem(".".join([_SECTION, *named[:1]]), f"librdkafka refuses it: {said}")
