"""Every panel and every alert, asked of a real Prometheus that watches real processes while everything goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from connector.simulator.rules import Rule
from helm.dashboards.written import dashboards
from tests.chaos.processes import Fleet
from tests.guarantees.scene import open_scene
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import UniqueName
from tests.summary import Say
from tests.watch.fleet import SETTINGS, Watched, logs
from tests.watch.prometheus import Pod, Prometheus
from tests.watch.rules import pod_name, quick_rules, selectors

WITHIN = 90.0
"""Seconds until an alert must have fired, on the clock on which a minute is a second."""

# The list of workflow runs fails from the beginning on: their ends are found by polling.
LISTS = Rule(kind="error", status=503, action="list", run_type="workflow")
STORM = Rule(kind="throttle", share=0.5, retry_after="0")
# Starts of parse runs, whose list works: what is not in a list that cannot be read is never given up.
LOST = Rule(kind="reset", stage="before", action="create", run_type="parse", count=8)
FORBIDDEN = Rule(kind="error", status=401, action="create")

ENOUGH = "sum(increase(extend_connector_runs_finished_total[1m])) > 110"

NOTHING = 'sum(rate(extend_connector_runs_finished_total{outcome="NO_SUCH_OUTCOME"}[10s]))'

FIRED = {
    "ExtendApiKeyRefused",
    "ExtendApiThrottled",
    "ExtendBudgetExhausted",
    "ExtendConnectorDown",
    "ExtendDeadLetters",
    "ExtendDocumentsParked",
    "ExtendErrorBudgetBurnsFast",
    "ExtendIdleWorkers",
    "ExtendListsUnreliable",
    "ExtendManyDeadLetters",
    "ExtendPartitionStopped",
    "ExtendRunStuck",
    "ExtendStartsStopped",
    "ExtendTransactionsUnclear",
    "ExtendWebhooksBadSignature",
    "ExtendWebhooksFailing",
    "ExtendWebhooksSilent",
}
"""What must have fired by the end. The others are about hours or failing brokers, which promtool tests."""


@pytest.mark.timeout(400)
async def test_every_panel_shows_something_and_every_alert_is_about_something(
    kafka: Kafka, unique_name: UniqueName, fleet: Fleet, prometheus: Path, say: Say
) -> None:
    async with open_scene(kafka, unique_name("watch"), settings=SETTINGS) as scene:
        watched = Watched(scene, fleet)
        await watched.start()
        pods = [Pod(pod_name(number), worker.admin) for number, worker in enumerate(watched.workers)]
        pods.append(Pod(pod_name(9, webhook=True), watched.ingress.admin))
        server = Prometheus(prometheus, fleet.folder, pods, quick_rules())
        try:
            server.start()
            await go_through_it_all(watched, server)
            empty = [*empty_panels(server), *empty_alerts(server)]
            fired = server.fired()
            sentences = server.sentences()
            assert not server.has_data(NOTHING), "an empty panel would not be noticed"
        except TimeoutError as error:
            raise TimeoutError(f"{error} Fired: {sorted(server.fired())}\n{logs(fleet.folder)}") from error
        finally:
            server.process.kill()
    assert empty == []
    assert fired >= FIRED
    assert sentences
    assert [each for each in sentences.values() if "{{" in each or "error" in each or "no value" in each] == []
    panels = [panel for dashboard in dashboards().values() for panel in dashboard["panels"] if panel["type"] != "row"]
    count = sum(len(panel["targets"]) for panel in panels)
    say(
        f"watched for {time.time() - server.began:.0f} s: {len(panels)} panels with {count} queries, all with data; "
        f"{len([*alerts()])} alerts, all about series that exist, {len(fired)} fired: {', '.join(sorted(fired))}"
    )


async def go_through_it_all(watched: Watched, server: Prometheus) -> None:
    """Let one thing after another go wrong, each until its alerts have fired."""
    scene = watched.scene

    def wrong(*rules: Rule) -> None:
        scene.heal()
        scene.faults(*rules, LISTS)

    wrong()
    # What is counted before the first scrape is no increase.
    await until(lambda: len(server.query("up == 1")) == len(watched.workers) + 1, "all are scraped")
    await watched.write_what_is_wrong()
    await watched.write_stuck()
    traffic = asyncio.create_task(watched.write_for_ever())
    try:
        await until_fired(server, {"ExtendDeadLetters", "ExtendManyDeadLetters", "ExtendRunStuck"})
        await until(lambda: bool(server.query(ENOUGH)), "enough documents end for shares to mean something")
        wrong(LOST)
        await watched.refuse_signals()
        await until_fired(server, {"ExtendDocumentsParked", "ExtendWebhooksFailing", "ExtendErrorBudgetBurnsFast"})
        await watched.take_signals()
        wrong(STORM)
        await until_fired(server, {"ExtendApiThrottled"})
        wrong()
        for _ in range(3):
            await watched.fence_all()
            await asyncio.sleep(1)
        await until_fired(server, {"ExtendTransactionsUnclear"})
        await until_fired(server, {"ExtendBudgetExhausted", "ExtendListsUnreliable", "ExtendIdleWorkers"})
        await until_fired(server, {"ExtendWebhooksSilent", "ExtendWebhooksBadSignature"})
        wrong(FORBIDDEN)
        await until_fired(server, {"ExtendApiKeyRefused", "ExtendStartsStopped"})
    finally:
        traffic.cancel()
        with suppress(asyncio.CancelledError):
            await traffic
    await watched.damage_journal()
    owner = await asyncio.to_thread(watched.owner_of, 0)
    await asyncio.to_thread(owner.process.terminate, 25.0)
    await until_fired(server, {"ExtendPartitionStopped", "ExtendConnectorDown"})


async def until_fired(server: Prometheus, wanted: set[str]) -> None:
    """Wait until alerts have fired.

    Raises:
        TimeoutError: they have not in time.
    """
    await until(lambda: wanted <= server.fired(), f"{', '.join(sorted(wanted))} fire")


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for Prometheus.

    Raises:
        TimeoutError: it was not so in time.
    """
    deadline = time.monotonic() + WITHIN
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {WITHIN:g} s: {what}.")
        await asyncio.sleep(0.5)


def chosen(expr: str) -> str:
    """A panel's query with what a reader has chosen."""
    for variable, value in (
        ("$namespace", "documents"),
        ("$release", "connector"),
        ("$route", ".*"),
        ("$__rate_interval", "10s"),
    ):
        expr = expr.replace(variable, value)
    assert "$" not in expr, expr
    return expr


def panel_queries() -> Iterable[tuple[str, str]]:
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield f"{name}: {panel['title']} ({target['legendFormat']})", target["expr"]
        for annotation in dashboard["annotations"]["list"]:
            yield f"{name}: annotation {annotation['name']}", annotation["expr"]


def empty_panels(server: Prometheus) -> Iterable[str]:
    """What shows nothing at any time."""
    return (where for where, expr in panel_queries() if not server.has_data(chosen(expr)))


def alerts() -> Iterable[dict[str, Any]]:
    return (rule for group in quick_rules()["groups"] for rule in group["rules"] if "alert" in rule)


def empty_alerts(server: Prometheus) -> Iterable[str]:
    """Rules whose expressions ask for series that there are not, or whose records are empty."""
    for group in quick_rules()["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            yield from (f"{name}: {each}" for each in selectors(rule["expr"]) if not server.has_data(each))
            if "record" in rule and not server.has_data(name):
                yield f"{name} is not recorded"
