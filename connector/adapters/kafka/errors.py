"""What Kafka said, as one sentence that names the thing and the way out.

librdkafka often answers `timed out` although it knows better: the reason (no such host, a wrong password, a
refused connection) came earlier, to `error_cb`. `Troubles` keeps it for the sentence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from connector.core.errors import ConfigurationError, ConnectorError, Problem, TopicError

_DENIED: Mapping[str, str] = {
    "TOPIC_AUTHORIZATION_FAILED": "topic",
    "GROUP_AUTHORIZATION_FAILED": "group",
    "CLUSTER_AUTHORIZATION_FAILED": "cluster",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "transactional id",
}
_LOGIN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"})
_TLS = frozenset({"_SSL"})
_HOST = frozenset({"_RESOLVE"})
_REASONS = (_LOGIN, _TLS, _HOST)
"""What hides behind a timeout, the most telling first."""
_UNREACHABLE = frozenset(
    {
        "_ALL_BROKERS_DOWN",
        "_TRANSPORT",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_MSG_TIMED_OUT",
        "_WAIT_COORD",
        "REQUEST_TIMED_OUT",
        "NETWORK_EXCEPTION",
        "BROKER_NOT_AVAILABLE",
    },
)
_ABSENT = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "_NOENT", "UNKNOWN_TOPIC_ID"})
_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"})


def error_of(problem: KafkaException | KafkaError) -> KafkaError:
    """The error inside an exception of confluent-kafka."""
    if isinstance(problem, KafkaError):
        return problem
    inner = problem.args[0] if problem.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(problem))


_WAYS_OUT: Mapping[str, str] = {
    "TOPIC_AUTHORIZATION_FAILED": (
        "Grant Read on inputs, Read and Write on journal and signals, Write on results and dead letters."
    ),
    "GROUP_AUTHORIZATION_FAILED": "Grant Read on the consumer group that is called like the connector.",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": (
        "Grant Write and Describe on transactional ids that begin with the connector's name."
    ),
    "CLUSTER_AUTHORIZATION_FAILED": "Grant IdempotentWrite on the cluster (brokers before 2.8 ask for it).",
    "_AUTHENTICATION": "Check sasl.mechanism and sasl.username in kafka.properties, and kafka.password_file.",
    "SASL_AUTHENTICATION_FAILED": "Check sasl.username in kafka.properties, and kafka.password_file.",
    "_SSL": "Check security.protocol and ssl.ca.location in kafka.properties.",
    "_RESOLVE": "Check kafka.bootstrap_servers.",
    "_ALL_BROKERS_DOWN": "Check kafka.bootstrap_servers and the network.",
    "UNKNOWN_TOPIC_OR_PART": "`extend-connector topics` shows what is missing.",
    "_UNKNOWN_TOPIC": "`extend-connector topics` shows what is missing.",
    "_AUTO_OFFSET_RESET": "Records were deleted, by age or by hand, before they were read.",
}


def sentence_of(problem: KafkaException | KafkaError) -> str:
    """What Kafka said and the way out, where the client and the resource are not known."""
    error = error_of(problem)
    way_out = _WAYS_OUT.get(error.name(), "")
    return f"{error.str()} ({error.name()}). {way_out}".rstrip()


def with_troubles(properties: Mapping[str, object], troubles: Troubles) -> dict[str, Any]:
    """The properties of a client that reports its errors to `troubles`."""
    return {**properties, "error_cb": troubles}


class Troubles:
    """What one client reported lately, and the sentences for it. Give it to the client as `error_cb`."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        self._servers = str(properties.get("bootstrap.servers", "?"))
        username = properties.get("sasl.username")
        self._user = f"user {username}" if username else "this client"
        self._protocol = str(properties.get("security.protocol", "plaintext"))
        # Another thread may report while this one explains: always looked at as a copy.
        self._seen: deque[KafkaError] = deque(maxlen=64)

    def __call__(self, error: KafkaError) -> None:
        """Keep an error that the client reported."""
        self._seen.append(error)

    def clear(self) -> None:
        """Forget them: the brokers have answered."""
        self._seen.clear()

    def explain(self, problem: KafkaException | KafkaError, operation: str, resource: str) -> ConnectorError:
        """The error that a person reads.

        Args:
            problem: what confluent-kafka raised or returned.
            operation: what was tried, in the words of an ACL: `Read`, `Write`, `Describe`, `Create`.
            resource: on what, in the words of an ACL: `topic documents`, `group invoices`.
        """
        error = error_of(problem)
        name = error.name()
        if name == "_INVALID_ARG":
            text = f"librdkafka refuses it: {error.str()}. Its properties are listed in its CONFIGURATION.md."
            return ConfigurationError([Problem("kafka.properties", text)])
        if name in _DENIED:
            return TopicError([self._denied(_DENIED[name], operation, resource)])
        if name in _ABSENT:
            sentence = f"The {resource} does not exist at {self._servers}, or {self._user} may not describe it."
            return TopicError([sentence])
        if name in _TOO_LARGE:
            return TopicError(
                [f"A record is too large for the {resource}: raise max.message.bytes of the topic."],
            )
        reason = self._reason(error)
        if reason is not None:
            return TopicError([reason])
        if name in _UNREACHABLE:
            return TopicError([self._unreachable(error, operation, resource)])
        return TopicError([f"{operation} on {resource} at {self._servers} failed: {error.str()} ({name})."])

    def _denied(self, kind: str, operation: str, resource: str) -> str:
        # A transaction touches several resources: the broker's word is about the kind that it refused.
        denied = resource if resource.startswith(kind) else f"{kind} ({operation} on {resource} needs it)"
        return (
            f"{_capital(self._user)} is not allowed: operation {operation} on {denied}. Grant it with "
            f"kafka-acls.sh --bootstrap-server {self._servers} --add --allow-principal User:<name> "
            f"--operation {operation} --{kind.replace(' ', '-')} <name>."
        )

    def _reason(self, error: KafkaError) -> str | None:
        for names in _REASONS:
            for seen in (error, *reversed(tuple(self._seen))):
                if seen.name() in names:
                    return self._sentence(seen, names)
        return None

    def _sentence(self, error: KafkaError, names: frozenset[str]) -> str:
        if names is _LOGIN:
            return (
                f"{_capital(self._user)} could not log in at {self._servers} ({error.str()}): check "
                "sasl.mechanism and sasl.username in kafka.properties, and kafka.password_file."
            )
        if names is _TLS:
            return (
                f"TLS with {self._servers} failed ({error.str()}): check security.protocol and "
                "ssl.ca.location in kafka.properties."
            )
        return f"A host of kafka.bootstrap_servers ({self._servers}) is not known: {error.str()}."

    def _unreachable(self, error: KafkaError, operation: str, resource: str) -> str:
        last = next((seen for seen in reversed(tuple(self._seen)) if seen.name() == "_TRANSPORT"), error)
        return (
            f"No broker of kafka.bootstrap_servers ({self._servers}) answered in time "
            f"({operation} on {resource}: {last.str()}). Check the address, the network, and that "
            f"security.protocol ({self._protocol}) is the listener's."
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
