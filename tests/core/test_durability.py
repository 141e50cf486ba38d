from __future__ import annotations

import pytest

from connector.core.durability import durability, min_in_sync
from connector.core.topics import TopicFacts


def facts(replicas: int, in_sync: str | None = "2") -> TopicFacts:
    config = None if in_sync is None else {"min.insync.replicas": in_sync}
    return TopicFacts(1, "id", config, replicas)


@pytest.mark.parametrize(
    ("replicas", "in_sync", "brokers"),
    [(3, "2", 3), (3, "3", 3), (5, "2", 9), (3, None, 3), (2, "2", 2), (2, None, 2)],
)
def test_a_journal_that_is_as_safe_as_its_cluster_allows_gets_no_remark(
    replicas: int, in_sync: str | None, brokers: int
) -> None:
    assert durability("c.journal", facts(replicas, in_sync), brokers) == []


@pytest.mark.parametrize(
    ("replicas", "in_sync", "words"),
    [
        (1, "2", ["1 replica:"]),
        (2, "2", ["2 replicas:"]),
        (3, "1", ["min.insync.replicas=1"]),
        (1, "1", ["1 replica:", "min.insync.replicas=1"]),
        (2, None, ["2 replicas:"]),
    ],
)
def test_a_journal_that_could_be_safer_is_a_warning_with_the_way_out(
    replicas: int, in_sync: str | None, words: list[str]
) -> None:
    remarks = durability("c.journal", facts(replicas, in_sync), 3)
    assert all(remark.grave for remark in remarks)
    assert len(remarks) == len(words)
    for remark, word in zip(remarks, words, strict=True):
        assert f"c.journal has {word}" in remark.sentence
        assert "Mend it: kafka-" in remark.sentence


@pytest.mark.parametrize(("replicas", "brokers", "words"), [(1, 1, "1 replica on 1 broker:"), (1, 2, "on 2 brokers:")])
def test_where_the_cluster_is_too_small_it_is_a_note(replicas: int, brokers: int, words: str) -> None:
    (remark,) = durability("c.journal", facts(replicas, "1"), brokers)
    assert not remark.grave
    assert words in remark.sentence


def test_a_setting_that_may_not_be_read_is_not_guessed() -> None:
    assert min_in_sync(facts(3, None)) is None
    assert min_in_sync(facts(3, "x")) is None
    assert min_in_sync(facts(3, "2")) == 2
