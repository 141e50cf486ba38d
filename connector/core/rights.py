"""The rights that a worker needs at the brokers, and what to say where one is missing.

An operation is written as ``kafka-acls.sh`` writes it. Read and Write each imply Describe (Kafka's authorizer).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from connector.core.topics import Plan, Purpose

_OPERATIONS = {
    Purpose.INPUT: ("Read", "Describe"),
    Purpose.JOURNAL: ("Read", "Write", "Describe", "DescribeConfigs"),
    Purpose.SIGNALS: ("Read", "Write", "Describe", "DescribeConfigs"),
    Purpose.RESULTS: ("Write", "Describe", "DescribeConfigs"),
    Purpose.DEAD_LETTERS: ("Write", "Describe", "DescribeConfigs"),
}

_OPTIONAL = frozenset({"DescribeConfigs"})
"""Without these a worker runs, and says that it could not see for itself."""


class Resource(StrEnum):
    """What a right is on; the text is what sentences say."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional id"


@dataclass(frozen=True, slots=True)
class Need:
    """Rights on one resource.

    Attributes:
        resource: what kind it is.
        name: its name, or what the names begin with.
        operations: all that are needed.
        prefixed: the name is a prefix.
    """

    resource: Resource
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    @property
    def subject(self) -> str:
        """The resource in the words of an ACL."""
        return f"{self.resource} {self.name}{'*' if self.prefixed else ''}"


def transactional_ids(name: str) -> str:
    """What every transactional id of a connector begins with: a successor fences a dead worker by its id."""
    return f"{name}-"


def needed_rights(plan: Plan, name: str) -> tuple[Need, ...]:
    """Every right that a worker needs.

    Args:
        plan: its topics.
        name: the connector's name.
    """
    operations: dict[str, dict[str, None]] = {}
    for topic in plan.topics:
        operations.setdefault(topic.name, {}).update(dict.fromkeys(_OPERATIONS[topic.purpose]))
    return (
        *(Need(Resource.TOPIC, topic, tuple(each)) for topic, each in operations.items()),
        Need(Resource.GROUP, name, ("Read", "Describe")),
        Need(Resource.TRANSACTIONAL_ID, transactional_ids(name), ("Write", "Describe"), prefixed=True),
    )


def missing_rights(need: Need, granted: Collection[str]) -> tuple[str, ...]:
    """The operations that are needed and not granted, in the order of the need."""
    return tuple(operation for operation in need.operations if operation not in granted)


def is_vital(missing: Iterable[str]) -> bool:
    """Whether a worker cannot do its work without these."""
    return not _OPTIONAL.issuperset(missing)


def grant_command(need: Need, missing: Iterable[str], servers: str, user: str | None) -> str:
    """The command that grants them.

    Args:
        need: on what.
        missing: which operations.
        servers: ``host:port``, several with commas.
        user: the name that the client logs in with, or None where the brokers know it by something else.
    """
    words = ["kafka-acls.sh", "--bootstrap-server", servers, "--add"]
    words += ["--allow-principal", f"User:{user}" if user else "User:<name>"]
    for operation in missing:
        words += ["--operation", operation]
    if need.prefixed:
        words += ["--resource-pattern-type", "prefixed"]
    words += [f"--{need.resource.replace(' ', '-')}", need.name]
    return shlex.join(words).replace("'User:<name>'", "User:<name>")
