"""`extend-connector topics`: what must be there, what is there, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connector.adapters.kafka.brokers import count_brokers
from connector.adapters.kafka.properties import client_properties
from connector.cli.asking import SECONDS, open_cluster
from connector.cli.loading import ConfigOption, load_for_kafka
from connector.config import Config
from connector.core.durability import Remark, durability, min_in_sync
from connector.core.topics import (
    Plan,
    TopicFacts,
    TopicSpec,
    findings,
    missing,
    states,
    warnings,
)

_WIDTH = 400
_COLOURS = {"ok": "green", "missing": "red", "wrong": "red"}


def topics(
    *,
    config: ConfigOption = None,
    create: Annotated[bool, typer.Option("--create", help="Make what is missing, without asking.")] = False,
    with_input: Annotated[bool, typer.Option("--input", help="With --create: the input topics too.")] = False,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --create: partitions of each new topic. Default: as many as the largest input topic has, "
            "else the broker's default.",
        ),
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option(min=1, max=32767, help="With --create: replicas. Default: the broker's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per topic and line.")] = False,
) -> None:
    """Show the topics that the connector needs, and make those that are missing.

    Exit code 1 while something is missing or wrong: `run` would refuse to start.

    Example: extend-connector topics --create --partitions 12 --replication-factor 3
    """
    if not create and (with_input or partitions or replication_factor):
        raise typer.BadParameter("--input, --partitions and --replication-factor go with --create.")
    settings = load_for_kafka(config)
    plan = plan_of(settings)
    with open_cluster(settings, f"{settings.name}-topics") as cluster:
        facts = cluster.topics(plan.names())
        made: list[TopicSpec] = []
        if create:
            made = missing(
                plan,
                facts,
                inputs=with_input,
                partitions=partitions,
                replication_factor=replication_factor,
            )
            cluster.create_topics(made)
            facts = cluster.topics(plan.names())
        remarks = _durability(settings, plan, facts)
    if as_json:
        _print_lines(plan, facts, made)
    else:
        _print_table(plan, facts, made)
    if create:
        print_error(_what_was_made(made, facts))
    _print_remarks([*(Remark(grave=True, sentence=each) for each in warnings(plan, facts)), *remarks])
    found = findings(plan, facts)
    for finding in found:
        print_error(finding.sentence)
    if found:
        raise typer.Exit(1)


def plan_of(config: Config) -> Plan:
    """The topics that a configuration needs."""
    return config.topic_plan()


def input_topic(config: Config, named: str | None) -> str:
    """The input topic that an option names; without it the only one.

    Raises:
        BadParameter: no route takes it, or there are several to choose from.
    """
    inputs = list(dict.fromkeys(route.topic for route in config.core_routes()))
    if named is None:
        if len(inputs) == 1:
            return inputs[0]
        raise typer.BadParameter(f"There are several input topics, choose with --topic: {', '.join(inputs)}.")
    if named not in inputs:
        raise typer.BadParameter(f"No route takes topic {named}; the input topics are {', '.join(inputs)}.")
    return named


def _durability(config: Config, plan: Plan, facts: Mapping[str, TopicFacts]) -> list[Remark]:
    journal = facts.get(plan.journal)
    if journal is None:
        return []
    brokers = count_brokers(client_properties(config.kafka, f"{config.name}-topics"), SECONDS)
    return durability(plan.journal, journal, brokers)


def _what_was_made(made: list[TopicSpec], facts: Mapping[str, TopicFacts]) -> str:
    names = [spec.name for spec in made if spec.name in facts]
    if not names:
        return "Nothing was made: every topic that --create may make is there."
    shapes = ", ".join(f"{name} ({facts[name].partitions} x {facts[name].replicas})" for name in names)
    return f"Made {len(names)} topic{'' if len(names) == 1 else 's'} (partitions x replicas): {shapes}."


def _print_remarks(remarks: list[Remark]) -> None:
    for remark in remarks:
        print_error(f"{'Warning' if remark.grave else 'Note'}: {remark.sentence}")


def print_error(sentence: str) -> None:
    """A sentence on stderr, wrapped by nobody, so that it can be searched and pasted."""
    typer.echo(sentence, err=True)


def _print_table(plan: Plan, facts: Mapping[str, TopicFacts], made: list[TopicSpec]) -> None:
    new = {spec.name for spec in made}
    state_of = states(plan, facts)
    columns = ("partitions", "replicas", "min.insync", "cleanup", "max.message.bytes", "state")
    table = Table("topic", "needed for", *columns, box=None)
    for topic in plan.topics:
        found = facts.get(topic.name)
        state = state_of[topic.name]
        word = "made" if state == "ok" and topic.name in new else state
        table.add_row(
            escape(topic.name),
            topic.purpose,
            str(found.partitions) if found else "-",
            str(found.replicas) if found else "-",
            _setting(found, "min.insync.replicas"),
            _setting(found, "cleanup.policy"),
            _setting(found, "max.message.bytes"),
            f"[{_COLOURS[state]}]{word}[/]",
        )
    # A name that is cut is of no use: a narrow terminal may wrap the line itself.
    Console(width=_WIDTH).print(table)


def _print_lines(plan: Plan, facts: Mapping[str, TopicFacts], made: list[TopicSpec]) -> None:
    new = {spec.name for spec in made}
    state_of = states(plan, facts)
    for topic in plan.topics:
        found = facts.get(topic.name)
        line = {
            "topic": topic.name,
            "needed_for": topic.purpose.value,
            "partitions": found.partitions if found else None,
            "replication_factor": found.replicas if found else None,
            "min_insync_replicas": min_in_sync(found) if found else None,
            "topic_id": found.topic_id if found else None,
            "cleanup_policy": found and (found.config or {}).get("cleanup.policy"),
            "max_message_bytes": found.max_message_bytes if found and found.config is not None else None,
            "state": state_of[topic.name],
            "made": topic.name in new,
            "problems": [each.sentence for each in findings(plan, facts) if each.topic == topic.name],
        }
        typer.echo(json.dumps(line))


def _setting(facts: TopicFacts | None, name: str) -> str:
    if facts is None:
        return "-"
    return "not allowed" if facts.config is None else facts.config.get(name, "-")
