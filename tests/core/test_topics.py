from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connector.core.topics import (
    DEFAULT_MAX_MESSAGE_BYTES,
    ENVELOPE_BYTES,
    Plan,
    Purpose,
    TopicFacts,
    companion_partition,
    missing,
    needed_bytes,
    plan_topics,
    problems,
    states,
    warnings,
)

PLAN = plan_topics("invoices", ["documents", "scans", "documents"], "out")
NEEDED = 2 * DEFAULT_MAX_MESSAGE_BYTES + ENVELOPE_BYTES


def facts_of(plan: Plan, partitions: int = 6) -> dict[str, TopicFacts]:
    """A cluster on which everything is as `topics --create` makes it."""
    sizes = {"cleanup.policy": "delete", "max.message.bytes": str(NEEDED), "retention.ms": "604800000"}
    facts = {name: TopicFacts(partitions, f"id of {name}", dict(sizes)) for name in plan.names()}
    for name in plan.names(Purpose.INPUT):
        facts[name] = TopicFacts(partitions, "id", {"max.message.bytes": str(DEFAULT_MAX_MESSAGE_BYTES)})
    facts[plan.journal] = _with(facts[plan.journal], {"cleanup.policy": "compact"})
    return facts


def _with(facts: TopicFacts, settings: Mapping[str, str]) -> TopicFacts:
    return replace(facts, config={**(facts.config or {}), **settings})


def test_the_plan_holds_every_topic_once() -> None:
    assert PLAN.names() == (
        "documents",
        "scans",
        "invoices.journal",
        "invoices.signals",
        "out.processed",
        "out.failed",
        "out.cancelled",
        "out.needs-review",
        "out.rejected",
        "out.other",
        "out.timed-out",
        "out.dead-letter",
    )
    assert PLAN.names(Purpose.INPUT) == ("documents", "scans")


def test_routes_may_have_result_topics_of_their_own() -> None:
    names = plan_topics("invoices", ["documents"], "out", ["out", "own", "own"]).names()
    assert [name for name in names if name.endswith((".failed", ".dead-letter"))] == [
        "out.failed",
        "own.failed",
        "out.dead-letter",
    ]


def test_topics_as_they_are_made_have_no_problem() -> None:
    facts = facts_of(PLAN)
    assert problems(PLAN, facts) == []
    assert warnings(PLAN, facts) == []
    assert set(states(PLAN, facts).values()) == {"ok"}


@pytest.mark.parametrize("name", PLAN.names())
def test_a_missing_topic_is_named_with_the_way_out(name: str) -> None:
    facts = facts_of(PLAN)
    del facts[name]
    (sentence,) = problems(PLAN, facts)
    assert f"topic {name} does not exist" in sentence
    assert ("topics --create --input" in sentence) == (name in PLAN.names(Purpose.INPUT))
    assert "topics --create" in sentence
    assert states(PLAN, facts)[name] == "missing"


@pytest.mark.parametrize(
    ("topic", "settings", "words"),
    [
        ("invoices.journal", {"cleanup.policy": "delete"}, ["not compacted", "cleanup.policy=compact"]),
        (
            "invoices.journal",
            {"cleanup.policy": "compact,delete", "retention.ms": "3600000"},
            ["deleted by age", "retention.ms=3600000", "cleanup.policy=compact"],
        ),
        ("invoices.journal", {"cleanup.policy": "delete, compact"}, ["deleted by age"]),
        (
            "invoices.journal",
            {"max.message.bytes": str(NEEDED - 1)},
            [f"{NEEDED - 1} bytes", f"max.message.bytes={NEEDED}"],
        ),
        ("out.dead-letter", {"max.message.bytes": "1048588"}, [f"max.message.bytes={NEEDED}"]),
        ("out.failed", {"max.message.bytes": "1048587"}, ["max.message.bytes=1048588"]),
        ("invoices.signals", {"cleanup.policy": "compact"}, ["compacted", "cleanup.policy=delete"]),
    ],
)
def test_a_wrong_setting_is_named_with_the_way_out(
    topic: str,
    settings: Mapping[str, str],
    words: list[str],
) -> None:
    facts = facts_of(PLAN)
    facts[topic] = _with(facts[topic], settings)
    (sentence,) = problems(PLAN, facts)
    assert topic in sentence
    assert "kafka-configs.sh" in sentence
    for word in words:
        assert word in sentence
    assert [name for name, state in states(PLAN, facts).items() if state == "wrong"] == [topic]


def test_sizes_that_are_just_large_enough_are_no_problem() -> None:
    facts = facts_of(PLAN)
    facts["out.failed"] = _with(facts["out.failed"], {"max.message.bytes": "1048588"})
    facts["out.dead-letter"] = _with(facts["out.dead-letter"], {"max.message.bytes": str(NEEDED)})
    assert problems(PLAN, facts) == []


def test_the_largest_input_decides_how_much_room_is_needed() -> None:
    facts = facts_of(PLAN)
    facts["scans"] = _with(facts["scans"], {"max.message.bytes": "5000000"})
    assert needed_bytes(PLAN, facts) == 2 * 5_000_000 + 65_536
    named = " ".join(problems(PLAN, facts))
    assert "invoices.journal" in named
    assert "out.dead-letter" in named


def test_journal_and_signals_must_have_equally_many_partitions() -> None:
    facts = facts_of(PLAN)
    facts["invoices.signals"] = replace(facts["invoices.signals"], partitions=1)
    (sentence,) = problems(PLAN, facts)
    assert "6 partitions" in sentence
    assert "has 1 partition:" in sentence
    assert "delete invoices.signals" in sentence


def test_any_journal_count_works_with_any_input_count() -> None:
    facts = facts_of(PLAN)
    for name in ("invoices.journal", "invoices.signals"):
        facts[name] = replace(facts[name], partitions=4)
    assert problems(PLAN, facts) == []
    assert [companion_partition(number, 4) for number in range(6)] == [0, 1, 2, 3, 0, 1]


def test_settings_that_may_not_be_read_are_a_warning_and_no_problem() -> None:
    facts = {name: replace(found, config=None) for name, found in facts_of(PLAN).items()}
    assert problems(PLAN, facts) == []
    (sentence,) = warnings(PLAN, facts)
    assert "invoices.journal" in sentence
    assert "DescribeConfigs" in sentence


@pytest.mark.parametrize(("retention", "count"), [("60000", 1), ("3600000", 0), ("-1", 0)])
def test_signals_that_vanish_soon_are_a_warning(retention: str, count: int) -> None:
    facts = facts_of(PLAN)
    facts["invoices.signals"] = _with(facts["invoices.signals"], {"retention.ms": retention})
    assert len(warnings(PLAN, facts)) == count
    assert problems(PLAN, facts) == []


@pytest.mark.parametrize(("name", "inputs"), [("out", ["out.processed"]), ("invoices", ["invoices.journal"])])
def test_a_topic_with_two_purposes_is_refused(name: str, inputs: list[str]) -> None:
    plan = plan_topics(name, inputs, "out")
    facts = facts_of(plan)
    assert any(f"Topic {inputs[0]} is needed for input and" in sentence for sentence in problems(plan, facts))


def test_what_is_missing_is_made_with_the_settings_that_leave_no_problem() -> None:
    there = {name: facts for name, facts in facts_of(PLAN).items() if name in {"documents", "scans"}}
    there["scans"] = replace(there["scans"], partitions=9)
    specs = missing(PLAN, there)
    assert [spec.name for spec in specs] == [name for name in PLAN.names() if name not in there]
    assert {spec.partitions for spec in specs} == {9}
    assert {spec.replication_factor for spec in specs} == {None}
    made = {
        spec.name: TopicFacts(
            spec.partitions or 1,
            "id",
            {"cleanup.policy": "delete", "max.message.bytes": "1048588", **spec.settings},
        )
        for spec in specs
    }
    assert problems(PLAN, {**there, **made}) == []
    journal = next(spec for spec in specs if spec.name == "invoices.journal")
    assert journal.settings["cleanup.policy"] == "compact"
    assert journal.settings["max.message.bytes"] == str(NEEDED)
    signals = next(spec for spec in specs if spec.name == "invoices.signals")
    assert signals.settings["retention.ms"] == "259200000"


def test_input_topics_are_made_only_when_asked() -> None:
    assert not {"documents", "scans"} & {spec.name for spec in missing(PLAN, {})}
    specs = {spec.name: spec for spec in missing(PLAN, {}, inputs=True, partitions=3, replication_factor=2)}
    assert set(specs) == set(PLAN.names())
    assert {spec.partitions for spec in specs.values()} == {3}
    assert {spec.replication_factor for spec in specs.values()} == {2}
    assert specs["documents"].settings == {}


def test_without_a_count_and_without_inputs_the_broker_decides() -> None:
    assert {spec.partitions for spec in missing(PLAN, {})} == {None}


def test_the_signals_topic_gets_the_count_of_a_journal_that_is_there() -> None:
    facts = facts_of(PLAN)
    facts["invoices.journal"] = replace(facts["invoices.journal"], partitions=4)
    del facts["invoices.signals"]
    (spec,) = missing(PLAN, facts, partitions=12)
    assert (spec.name, spec.partitions) == ("invoices.signals", 4)


def test_unreadable_settings_count_as_kafkas_default() -> None:
    assert TopicFacts(1, "id", None).max_message_bytes == DEFAULT_MAX_MESSAGE_BYTES
