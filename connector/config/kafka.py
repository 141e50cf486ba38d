"""The section ``kafka``: where the brokers are, and what librdkafka is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from connector.config.frozen import Veiled
from connector.config.quantities import Duration
from connector.config.secret import Secret
from connector.config.section import FilePath, Section

_OURS = "the guarantees stand on the connector's own value"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "transactional.id": "it is made anew for every process, so that an old one can be fenced",
        "client.id": "it equals the transactional.id of the process: a successor compares them",
        "group.id": "it is the connector's name; set name",
        "isolation.level": f"{_OURS} (read_committed)",
        "enable.auto.commit": "offsets are committed in the transaction that journals their records",
        "enable.auto.offset.store": "offsets are committed in the transaction that journals their records",
        "auto.offset.reset": "positions come from the journal; set input.start for partitions without one",
        "enable.idempotence": "transactions need it",
        "acks": "transactions need all",
        "bootstrap.servers": "set kafka.bootstrap_servers",
        "metadata.broker.list": "set kafka.bootstrap_servers",
        "transaction.timeout.ms": "set kafka.transaction_timeout",
        "session.timeout.ms": "set kafka.session_timeout",
    }
)
"""Properties that are not the user's to set, and why."""

BROKER_SIDE = frozenset({"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"})
"""Set at the broker with ``group.protocol=consumer``; librdkafka refuses them there (KIP-848)."""

EAGER = frozenset({"range", "roundrobin"})
"""Assignors that take every partition away at each rebalance."""

VISIBLE = frozenset(
    """
    security.protocol sasl.mechanism sasl.mechanisms sasl.username sasl.oauthbearer.method
    sasl.oauthbearer.client.id sasl.oauthbearer.scope sasl.kerberos.service.name sasl.kerberos.principal
    ssl.ca.location ssl.certificate.location ssl.key.location ssl.keystore.location ssl.crl.location
    ssl.cipher.suites ssl.curves.list ssl.sigalgs.list ssl.providers ssl.endpoint.identification.algorithm
    enable.ssl.certificate.verification https.ca.location
    group.protocol group.remote.assignor group.instance.id partition.assignment.strategy heartbeat.interval.ms
    max.poll.interval.ms client.rack client.dns.lookup broker.address.family broker.address.ttl
    socket.timeout.ms socket.keepalive.enable socket.nagle.disable socket.send.buffer.bytes
    socket.receive.buffer.bytes socket.max.fails socket.connection.setup.timeout.ms
    connections.max.idle.ms reconnect.backoff.ms reconnect.backoff.max.ms retry.backoff.ms
    retry.backoff.max.ms request.timeout.ms message.timeout.ms delivery.timeout.ms
    metadata.max.age.ms topic.metadata.refresh.interval.ms metadata.recovery.strategy
    statistics.interval.ms log_level log.connection.close debug enable.metrics.push
    compression.type compression.codec compression.level linger.ms queue.buffering.max.ms
    batch.size batch.num.messages message.max.bytes max.in.flight max.in.flight.requests.per.connection
    queue.buffering.max.messages queue.buffering.max.kbytes partitioner retries message.send.max.retries
    fetch.min.bytes fetch.max.bytes fetch.wait.max.ms fetch.message.max.bytes max.partition.fetch.bytes
    fetch.error.backoff.ms fetch.queue.backoff.ms queued.min.messages queued.max.messages.kbytes
    receive.message.max.bytes check.crcs allow.auto.create.topics api.version.request
    """.split()  # noqa: SIM905 - eighty lines with one name each would be no easier to read
)
"""Properties whose values may be shown. A list of the harmless: a new property is hidden until it is here."""

_PROPERTY = re.compile(r"[a-z0-9_.]+")
_SERVER = re.compile(r"(?:[A-Za-z_]+://)?(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


class Properties(Veiled):
    """Properties for librdkafka, as they were written. Only harmless values show when it is printed."""

    __slots__ = ()

    visible: ClassVar[frozenset[str]] = VISIBLE

    @classmethod
    def read(cls, value: object) -> Properties:
        """The checked properties.

        Raises:
            PydanticCustomError: not a mapping of names to plain values, or one that is refused; ``ctx`` holds
                ``problems``, pairs of name and sentence.
        """
        if isinstance(value, Properties):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("must be a mapping of librdkafka's properties")  # noqa: TRY004 - pydantic collects ValueErrors only
        problems = {name: why for name, item in value.items() if (why := problem_of(name, item, value))}
        if problems:
            raise PydanticCustomError("nested_problems", "has problems", {"problems": problems})
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Reads through ``read``; gives out what may be seen."""
        return core_schema.no_info_plain_validator_function(
            cls.read,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.shown()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Plain values, without the refused names."""
        return {
            "type": "object",
            "propertyNames": {"not": {"enum": sorted(REFUSED)}},
            "additionalProperties": {"type": ["string", "integer", "number", "boolean"]},
        }


def problem_of(name: str, value: object, properties: Mapping[str, object]) -> str | None:
    """What is wrong with one property: a sentence without its value, or None."""
    new_protocol = properties.get("group.protocol") == "consumer"
    if not isinstance(value, str | int | float | bool):
        return "must be a text, a number, true or false"
    if not _PROPERTY.fullmatch(name):
        return "is no property of librdkafka: they have small letters, digits and dots"
    if new_protocol and name in BROKER_SIDE:
        return "is set at the broker when group.protocol is consumer, and librdkafka refuses it here; remove it"
    if name in REFUSED:
        return f"may not be set: {REFUSED[name]}"
    if name == "partition.assignment.strategy" and EAGER.intersection(str(value).replace(" ", "").split(",")):
        return (
            "may not be range or roundrobin: they take every partition away at each rebalance; "
            "leave it out (cooperative-sticky)"
        )
    return None


def _servers(text: str) -> str:
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        match = _SERVER.fullmatch(server)
        if match is None or not 1 <= int(match[1] or 9092) <= 65_535:
            raise ValueError("must be host:port, several with commas, for example kafka-1:9092,kafka-2:9092")
    return ",".join(servers)


class Kafka(Section):
    """Where the brokers are, and how to talk to them."""

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = ""
    """Brokers to begin with, `host:port`, several with commas. Required. Also `KAFKA_BOOTSTRAP_SERVERS`."""

    properties: Properties = Properties()
    """Any client property of librdkafka, e.g. `security.protocol`. Those that the guarantees stand on are refused."""

    password_file: FilePath | None = None
    """File with the SASL password (`sasl.password`); its last line break is not part of it."""

    password: Secret | None = None
    """The SASL password itself; from the environment only (`CONNECTOR__KAFKA__PASSWORD`)."""

    commit_linger: Annotated[float, Duration(most=1)] = 0.02
    """How long a transaction waits for more writes. Longer: fewer transactions; shorter: less latency."""

    transaction_timeout: Annotated[float, Duration(least=10, most=900)] = 15.0
    """How long the broker lets a transaction be open; a killed worker blocks its partitions up to this long."""

    session_timeout: Annotated[float, Duration(least=6, most=1800)] = 20.0
    """Without a heartbeat for so long a worker counts as gone. Not used with `group.protocol: consumer`."""
