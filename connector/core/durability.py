"""Whether the journal outlives the loss of a broker."""

from __future__ import annotations

from typing import NamedTuple

from connector.core.topics import TopicFacts

REPLICAS = 3
IN_SYNC = 2
"""With three replicas and two that must have a record, one broker can go without loss and without a stop."""


class Remark(NamedTuple):
    """Something that a person should know about a topic.

    Attributes:
        grave: the cluster could do better; else it cannot, and it is only a note.
        sentence: what it is, and the way out.
    """

    grave: bool
    sentence: str


def min_in_sync(facts: TopicFacts) -> int | None:
    """``min.insync.replicas`` of a topic; None where the settings may not be read."""
    text = (facts.config or {}).get("min.insync.replicas", "")
    return int(text) if text.isdecimal() else None


def durability(journal: str, facts: TopicFacts, brokers: int) -> list[Remark]:
    """What could lose documents when a broker is lost.

    Args:
        journal: its name.
        facts: what the cluster says about it.
        brokers: how many brokers the cluster has.
    """
    grave = brokers >= REPLICAS
    in_sync = min_in_sync(facts)
    if not grave:
        if facts.replicas >= IN_SYNC and (in_sync is None or in_sync >= IN_SYNC):
            return []
        noun = "broker" if brokers == 1 else "brokers"
        return [
            Remark(
                grave=False,
                sentence=f"The journal {journal} has {_counted(facts.replicas)} on {brokers} {noun}: a lost disk can "
                "lose what is open. Three brokers are needed to outlive one.",
            )
        ]
    remarks = []
    if facts.replicas < REPLICAS:
        remarks.append(
            Remark(
                grave,
                f"The journal {journal} has {_counted(facts.replicas)}: lost brokers can lose or stop "
                f"open documents. Mend it: kafka-reassign-partitions.sh, to {REPLICAS} replicas (new topics: "
                f"--replication-factor {REPLICAS}).",
            )
        )
    if in_sync is not None and in_sync < IN_SYNC:
        remarks.append(
            Remark(
                grave,
                f"The journal {journal} has min.insync.replicas={in_sync}: a record that one broker alone has counts "
                "as written. Mend it: kafka-configs.sh --bootstrap-server <servers> --alter --entity-type topics "
                f"--entity-name {journal} --add-config min.insync.replicas={IN_SYNC}",
            )
        )
    return remarks


def unwritable(topic: str, facts: TopicFacts) -> str | None:
    """A sentence when no record can ever be written to a topic, because it asks for more replicas than it has."""
    in_sync = min_in_sync(facts)
    if in_sync is None or in_sync <= facts.replicas:
        return None
    return (
        f"The topic {topic} has min.insync.replicas={in_sync} and {_counted(facts.replicas)}: every write to it is "
        "refused. Mend it: kafka-configs.sh --bootstrap-server <servers> --alter --entity-type topics "
        f"--entity-name {topic} --add-config min.insync.replicas={max(1, facts.replicas - 1)}"
    )


def _counted(replicas: int) -> str:
    return f"{replicas} replica{'' if replicas == 1 else 's'}"
