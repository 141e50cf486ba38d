"""Which rights are needed, and how a missing one is granted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector.core.rights import Need, Resource, grant_command, is_vital, missing_rights, needed_rights
from connector.core.topics import Purpose, plan_topics

PLAN = plan_topics("invoices", ["documents"], "out")
PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def rows_of_the_page() -> dict[str, set[str]]:
    table = PAGE.split("\n## Rights\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    return {resource.strip(): set(re.findall(r"[A-Z]\w+", cell.partition(";")[0])) for resource, cell in rows}


def test_the_page_for_operators_lists_exactly_what_is_asked_for() -> None:
    needs = {need.subject: set(need.operations) for need in needed_rights(PLAN, "invoices")}
    results = [needs[f"topic {name}"] for name in (*PLAN.names(Purpose.RESULTS), *PLAN.names(Purpose.DEAD_LETTERS))]
    assert all(each == results[0] for each in results)
    assert rows_of_the_page() == {
        "input topics": needs["topic documents"],
        "`<name>.journal`": needs["topic invoices.journal"],
        "`<name>.signals`": needs["topic invoices.signals"],
        "`<prefix>.*`": results[0],
        "group `<name>`": needs["group invoices"],
        "transactional id, prefix `<name>-`": needs["transactional id invoices-*"],
    }


def test_every_topic_is_asked_for_once_with_the_rights_of_all_its_uses() -> None:
    plan = plan_topics("invoices", ["out.processed"], "out")
    needs = [need for need in needed_rights(plan, "invoices") if need.name == "out.processed"]
    assert [set(need.operations) for need in needs] == [{"Read", "Write", "Describe", "DescribeConfigs"}]


@pytest.mark.parametrize(
    ("granted", "missing", "vital"),
    [
        ({"Read", "Write", "Describe", "DescribeConfigs", "Alter"}, (), False),
        ({"Read", "Write", "Describe"}, ("DescribeConfigs",), False),
        ({"Write", "Describe"}, ("Read", "DescribeConfigs"), True),
        (set(), ("Read", "Write", "Describe", "DescribeConfigs"), True),
    ],
)
def test_what_is_missing(granted: set[str], missing: tuple[str, ...], vital: bool) -> None:  # noqa: FBT001 - a case
    need = Need(Resource.TOPIC, "invoices.journal", ("Read", "Write", "Describe", "DescribeConfigs"))
    assert missing_rights(need, granted) == missing
    assert is_vital(missing) is vital


def test_the_command_names_everything_and_can_be_pasted() -> None:
    need = Need(Resource.TRANSACTIONAL_ID, "invoices-", ("Write", "Describe"), prefixed=True)
    assert grant_command(need, ("Write",), "a:1,b:2", "o'neill") == (
        "kafka-acls.sh --bootstrap-server a:1,b:2 --add --allow-principal 'User:o'\"'\"'neill' "
        "--operation Write --resource-pattern-type prefixed --transactional-id invoices-"
    )
    topic = Need(Resource.TOPIC, "documents", ("Read", "Describe"))
    assert grant_command(topic, topic.operations, "a:1", None) == (
        "kafka-acls.sh --bootstrap-server a:1 --add --allow-principal User:<name> "
        "--operation Read --operation Describe --topic documents"
    )
