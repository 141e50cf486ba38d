"""`doctor` as a process: on brokers with users and an authorizer, and with an ingress and an API that run."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it does not mark what it exports
    AclOperation,
    ResourcePatternType,
    ResourceType,
)

from connector.adapters.kafka.admin import Cluster
from connector.core.record import Partition
from connector.core.rights import needed_rights
from connector.core.topics import Purpose, missing, plan_topics
from connector.simulator.server import SimulatorServer
from tests.chaos.processes import environment, wait_for_answer
from tests.child_process import ChildProcess
from tests.kafka.guarded import MECHANISM, PASSWORD, USER, GuardedBroker, guarded_broker
from tests.kafka.project import Done, Project, project_in
from tests.ports import HOST, free_ports
from tests.webhook.stage import SECRET

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

NAME, TOPIC, PREFIX, OWN = "invoices-worker", "documents", "out", "own"
PLAN = plan_topics(NAME, [TOPIC], PREFIX, [OWN])
KINDS = {
    "--topic": ResourceType.TOPIC,
    "--group": ResourceType.GROUP,
    "--transactional-id": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    """A broker with every topic, on which the user may do nothing."""
    with guarded_broker(tmp_path_factory.mktemp("kafka-guarded")) as broker:
        with Cluster({"bootstrap.servers": broker.own}, timeout=30) as cluster:
            cluster.create_topics(missing(PLAN, {}, inputs=True, partitions=2))
        yield broker


def grant(broker: GuardedBroker, command: str) -> None:
    """Do what a ``kafka-acls.sh`` command says; every word of it must be understood."""
    program, server, address, add, principal, user, *words = shlex.split(command)
    assert (program, server, add, principal) == (
        "kafka-acls.sh",
        "--bootstrap-server",
        "--add",
        "--allow-principal",
    )
    assert (address, user) == (broker.address, f"User:{USER}")
    pairs = list(zip(words[::2], words[1::2], strict=True))
    operations = [OPERATIONS[value] for name, value in pairs if name == "--operation"]
    prefixed = ("--resource-pattern-type", "prefixed") in pairs
    ((kind, resource),) = [(KINDS[name], value) for name, value in pairs if name in KINDS]
    assert len(pairs) == len(operations) + prefixed + 1
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    broker.allow(kind, resource, *operations, pattern=pattern)


def guarded_project(folder: Path, address: str) -> Project:
    """A project that logs in, with a route whose results go to topics of their own."""
    project = project_in(folder, address, NAME, TOPIC, PREFIX)
    path = folder / "connector.yaml"
    properties = ", ".join(f"{name}: {value}" for name, value in MECHANISM.items())
    login = f'kafka: {{bootstrap_servers: "{address}", password_file: password, properties: {{{properties}}}}}'
    text = path.read_text().replace(f'kafka: {{bootstrap_servers: "{address}"}}', login)
    path.write_text(text.replace("processor: ex_1}", f"processor: ex_1, output: {{prefix: {OWN}}}}}"))
    (folder / "password").write_text(PASSWORD)
    return project


async def examined(project: Project, *arguments: str, env: Mapping[str, str]) -> Done:
    """The simulator answers on this thread's loop meanwhile."""
    return await asyncio.to_thread(project.run, "doctor", *arguments, env=env)


def a_worker_makes_a_result(broker: GuardedBroker, folder: Path, env: Mapping[str, str]) -> bool:
    """Whether a document goes through a worker that logs in as the user."""
    (admin_port,) = free_ports(1)
    config = folder / "worker.yaml"
    text = (folder / "connector.yaml").read_text()
    for name in ("key", "password"):
        text = text.replace(f"_file: {name}", f"_file: {folder / name}")
    config.write_text(f"{text}admin: {{host: {HOST}, port: {admin_port}}}\n")
    line = [sys.executable, "-m", "connector", "run", "--config", str(config)]
    worker = ChildProcess("worker", line, folder / "worker.log", environment(env))
    worker.start()
    try:
        wait_for_answer(f"http://{HOST}:{admin_port}/readyz", worker, 90)
        Project(folder, broker.own, NAME, TOPIC, PREFIX).write(TOPIC, b'{"url": "https://example.com/a.pdf"}')
        until = time.monotonic() + 60
        while not results_on(broker):
            assert time.monotonic() < until, worker.log_tail()
            time.sleep(0.5)
        return worker.terminate(25) == 0
    finally:
        worker.kill()


def results_on(broker: GuardedBroker) -> int:
    """How much stands in the result topics."""
    topics = PLAN.names(Purpose.RESULTS)
    with Cluster({"bootstrap.servers": broker.own}, timeout=30) as cluster:
        ends = cluster.log_ends([Partition(topic, number) for topic in topics for number in range(2)], committed=True)
    return sum(ends.values())


def of(done: Done, check: str) -> dict[str, dict[str, Any]]:
    return {row["subject"]: row for row in done.lines if row["check"] == check}


async def test_the_commands_that_it_prints_grant_exactly_what_a_worker_needs(
    guarded: GuardedBroker, tmp_path: Path
) -> None:
    project = guarded_project(tmp_path, guarded.address)
    async with SimulatorServer() as simulator:
        api = {"EXTEND_BASE_URL": simulator.base_url}
        (tmp_path / "password").write_text("wrong-canary")
        refused = await examined(project, "--json", env=api)
        assert refused.code == 1
        (login,) = of(refused, "kafka.brokers").values()
        assert login["health"] == "failed"
        assert login["found"].startswith(f"User {USER} could not log in at {guarded.address}")
        assert "canary" not in refused.out + refused.err
        assert {row["health"] for row in of(refused, "api.key").values()} == {"ok"}, "one failure hides no other"

        (tmp_path / "password").write_text(PASSWORD)
        denied = await examined(project, "--json", env=api)
        assert denied.code == 1
        rights = of(denied, "kafka.rights")
        assert set(rights) == {need.subject for need in needed_rights(PLAN, NAME)}
        assert len(rights) == 20
        assert {row["health"] for row in rights.values()} == {"failed"}
        for row in rights.values():
            grant(guarded, row["way_out"])

        granted = await examined(project, "--json", env=api)
        assert granted.code == 0, granted.out
        assert {row["health"] for row in of(granted, "kafka.rights").values()} == {"ok"}
        assert {row["health"] for row in of(granted, "kafka.topics").values()} == {"ok"}
        assert await asyncio.to_thread(a_worker_makes_a_result, guarded, tmp_path, api), "with these rights and no more"


async def test_the_way_of_a_webhook_is_tried_and_the_table_is_for_people(made: Project, tmp_path: Path) -> None:
    port, admin_port = free_ports(2)
    (tmp_path / "secret").write_bytes(SECRET)
    with (tmp_path / "connector.yaml").open("a") as file:
        file.write(f"webhook: {{host: {HOST}, port: {port}, secret_files: [{tmp_path}/secret]}}\n")
        file.write(f"admin: {{host: {HOST}, port: {admin_port}}}\n")
    line = [sys.executable, "-m", "connector", "webhook", "--config", str(tmp_path / "connector.yaml")]
    ingress = ChildProcess("webhook", line, tmp_path / "webhook.log", environment({}))
    url = f"http://{HOST}:{port}/webhooks/extend"
    async with SimulatorServer() as simulator:
        api = {"EXTEND_BASE_URL": simulator.base_url}
        away = await examined(made, "--url", url, "--json", env=api)
        assert (away.code, of(away, "webhook.round-trip")[url]["health"]) == (1, "failed")
        ingress.start()
        try:
            wait_for_answer(f"http://{HOST}:{admin_port}/readyz", ingress, 60)
            found = await examined(made, "--url", url, env=api)
            assert found.code == 0, found.out
            other = {**api, "EXTEND_WEBHOOK_SECRET": "wss_of_somebody_else_entirely"}
            wrong = await examined(made, "--url", url, "--json", env=other)
        finally:
            ingress.kill()
    rows = {line.split()[1]: line.split()[0] for line in found.out.splitlines() if " " in line.strip()}
    assert rows["webhook.round-trip"] == rows["api.key"] == rows["kafka.brokers"] == "ok"
    assert found.out.splitlines()[-1].endswith("skipped.")
    assert SECRET.decode() not in found.out
    assert (wrong.code, of(wrong, "webhook.round-trip")[url]["health"]) == (1, "failed")
    assert "Another secret" in of(wrong, "webhook.round-trip")[url]["way_out"]


def test_without_a_broker_and_an_api_all_is_told_in_one_go(tmp_path: Path) -> None:
    project = project_in(tmp_path, f"{HOST}:1", "c", "in", "out")
    ended = project.run("doctor", "--json", env={"EXTEND_BASE_URL": f"http://{HOST}:1"})
    assert (ended.code, ended.err) == (1, "")
    health = {row["check"]: row["health"] for row in ended.lines}
    assert health["kafka.brokers"] == health["api.key"] == "failed"
    assert health["kafka.rights"] == health["webhook.round-trip"] == "skipped"
