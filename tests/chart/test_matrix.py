"""Every values file under ci/ renders to what every Kubernetes since 1.30 and every operator accepts."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import connector
from tests.chart.engine import (
    CHART,
    SCENARIOS,
    Manifest,
    chart,
    containers,
    forget,
    lint,
    one,
    pods,
    render,
    render_text,
    scenarios,
    smallest,
    values_of,
)
from tests.chart.kinds import KUBERNETES, LEAST_KUBERNETES, UnknownKindError, validate
from tests.summary import Count


def test_there_are_values_for_every_kind_of_user() -> None:
    names = {path.stem.removesuffix("-values") for path in SCENARIOS}
    assert names >= {"smallest", "smallest-plan", "enterprise-webhooks", "webhook", "full", "autoscaling", "operators"}


@scenarios
def test_the_chart_lints_strictly(scenario: Path) -> None:
    assert lint(values_of(scenario)) == []


def test_the_default_values_lint() -> None:
    assert lint({}) == []


@scenarios
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_everything_is_accepted_and_every_field_is_known(scenario: Path, kubernetes: str, count: Count) -> None:
    manifests = render(values_of(scenario), kubernetes)
    for manifest in manifests:
        validate(manifest, kubernetes)
        count("chart: kinds validated", manifest["kind"])
    assert len(manifests) >= 5
    count("chart: sets of values rendered", scenario.stem.removesuffix("-values"))
    count("chart: Kubernetes versions", kubernetes)
    count("chart: objects validated", *(f"{scenario.stem} {kubernetes} {number}" for number in range(len(manifests))))


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("smallest", "Deployment"),
        ("smallest-plan", "Job"),
        ("enterprise-webhooks", "Ingress"),
        ("enterprise-webhooks", "NetworkPolicy"),
        ("enterprise-webhooks", "PodMonitor"),
        ("autoscaling", "ScaledObject"),
        ("operators", "Certificate"),
        ("operators", "HTTPRoute"),
        ("operators", "CiliumNetworkPolicy"),
        ("operators", "KafkaUser"),
    ],
)
def test_an_unknown_field_would_be_found(scenario: str, kind: str) -> None:
    manifest = next(m for m in render(values_of(scenario)) if m["kind"] == kind)
    validate(manifest, KUBERNETES[0])
    manifest["spec"]["replicass"] = {}
    with pytest.raises(jsonschema.ValidationError, match="replicass"):
        validate(manifest, KUBERNETES[0])


def test_an_unknown_kind_would_be_found() -> None:
    manifest = one(render(smallest()), "Deployment")
    with pytest.raises(UnknownKindError):
        validate({**manifest, "kind": "Deploymint"}, KUBERNETES[0])


def test_the_newest_kubernetes_that_is_known_is_among_them() -> None:
    assert len(KUBERNETES) >= 8
    assert tuple(map(int, KUBERNETES[0].split("."))) == LEAST_KUBERNETES


def test_older_clusters_are_refused() -> None:
    # Helm checks it at an install; rendering does not.
    assert chart().metadata["kubeVersion"] == f">={LEAST_KUBERNETES[0]}.{LEAST_KUBERNETES[1]}.0-0"


def test_the_chart_is_of_the_version_of_the_connector() -> None:
    assert chart().metadata["appVersion"] == connector.__version__


# What every object has.


@scenarios
def test_every_object_carries_the_common_labels_and_a_name_that_leaves_room(scenario: Path) -> None:
    values = values_of(scenario)
    for manifest in render(values):
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "release"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        if not manifest["metadata"]["name"].endswith("-extra"):
            assert values.get("commonLabels", {}).items() <= labels.items()
        assert len(manifest["metadata"]["name"]) <= 63


@pytest.mark.parametrize("name", ["a" * 53, "extend-kafka-connector", "a.b"])
def test_a_release_of_any_name_has_valid_objects(name: str) -> None:
    for manifest in render(values_of("trial"), release=name):
        validate(manifest, KUBERNETES[-1])
        assert len(manifest["metadata"]["name"]) <= 63
        assert not manifest["metadata"]["name"].endswith("-")


@pytest.mark.parametrize(
    ("more", "manifest"),
    [
        ({"podLabels": {"team": "near", "app.kubernetes.io/instance": "other"}}, "deployment.yaml"),
        ({"metrics": {"podMonitor": {"enabled": True, "labels": {"team": "near"}}}}, "podmonitor.yaml"),
        ({"metrics": {"dashboards": {"enabled": True, "labels": {"team": "near"}}}}, "dashboards.yaml"),
        ({"metrics": {"prometheusRule": {"enabled": True, "labels": {"team": "near"}}}}, "prometheusrule.yaml"),
    ],
)
def test_a_label_that_is_given_twice_stands_once_and_the_nearer_wins(more: dict[str, Any], manifest: str) -> None:
    text = render_text(smallest(commonLabels={"team": "far", "cost": "1"}, **more))[manifest]
    (labels,) = re.findall(r"((?:^ +\S+: \S+\n)*^ +team: near\n(?:^ +\S+: \S+\n)*)", text, re.MULTILINE)
    keys = [line.partition(":")[0].strip() for line in labels.splitlines()]
    assert len(set(keys)) == len(keys)
    assert {"cost", "app.kubernetes.io/instance"} <= set(keys)
    assert "app.kubernetes.io/instance: release\n" in labels


@scenarios
def test_no_two_objects_have_one_name(scenario: Path) -> None:
    named = Counter((m["kind"], m["metadata"]["name"]) for m in render(values_of(scenario)))
    assert [each for each, times in named.items() if times > 1] == []


@scenarios
def test_selectors_select_the_pods_of_one_component(scenario: Path) -> None:
    manifests = render(values_of(scenario))
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests) if not name.startswith("Pod/")}
    selectors = [m["spec"]["selector"] for m in manifests if m["kind"] == "Service"]
    selectors += [
        m["spec"]["selector"]["matchLabels"] for m in manifests if m["kind"] in {"Deployment", "PodDisruptionBudget"}
    ]
    assert selectors
    for selector in selectors:
        selected = [name for name, each in labels.items() if selector.items() <= each.items()]
        assert len(selected) == 1, selector
        assert "helm.sh/chart" not in selector


@scenarios
def test_ports_that_are_named_exist_in_the_pods(scenario: Path) -> None:
    manifests = render(values_of(scenario))
    ports: list[str | int] = []
    for name, pod in pods(manifests):
        here = [port["name"] for c in containers(pod["spec"]) for port in c.get("ports", [])]
        numbers = [port["containerPort"] for c in containers(pod["spec"]) for port in c.get("ports", [])]
        assert len(set(numbers)) == len(numbers), name
        probed = [
            probe[how]["port"]
            for c in containers(pod["spec"])
            for probe in (c.get(kind, {}) for kind in ("startupProbe", "livenessProbe", "readinessProbe"))
            for how in probe.keys() & {"httpGet", "tcpSocket"}
        ]
        assert set(probed) <= set(here), name
        ports += [*here, *numbers]
    named = [port["targetPort"] for m in manifests if m["kind"] == "Service" for port in m["spec"]["ports"]]
    named += [end["port"] for m in manifests if m["kind"] == "PodMonitor" for end in m["spec"]["podMetricsEndpoints"]]
    assert set(named) <= set(ports)


@scenarios
def test_volumes_and_their_mounts_belong_together(scenario: Path) -> None:
    manifests = render(values_of(scenario))
    made = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    for name, pod in pods(manifests):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert len(volumes) == len(pod["spec"]["volumes"])
        for container in containers(pod["spec"]):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes.keys(), name
        assert ("ConfigMap", volumes["config"]["configMap"]["name"]) in made, name
        if values_of(scenario)["secrets"].get("inline"):
            assert ("Secret", volumes["secrets"]["secret"]["secretName"]) in made, name


# What changes, and what does not.


def templates(**changes: object) -> dict[str, Manifest]:
    return dict(pods(render({**values_of("enterprise-webhooks"), **changes})))


@scenarios
def test_rendering_again_makes_no_difference(scenario: Path) -> None:
    first = render_text(values_of(scenario))
    forget()
    assert render_text(values_of(scenario)) == first


def test_what_is_rendered_follows_from_the_values_alone() -> None:
    # Nothing asks the cluster, the clock or chance: a GitOps tool renders without a cluster, again and again.
    asked = r"\.Capabilities|\blookup\b|\.Release\.(?:IsInstall|IsUpgrade|Revision)|\brand|\bgen[A-Z]|\bnow\b|uuid"
    sources = [path for path in (CHART / "templates").rglob("*") if path.suffix in {".yaml", ".tpl", ".txt"}]
    code = {
        path.name: re.findall(r"\{\{-?(.*?)-?\}\}", path.read_text(encoding="utf-8"), re.DOTALL) for path in sources
    }
    assert len(code) >= 20
    without_texts = {
        name: [re.sub(r'"[^"]*"|/\*.*?\*/', "", each, flags=re.DOTALL) for each in found]
        for name, found in code.items()
    }
    assert [name for name, found in without_texts.items() if any(re.search(asked, each) for each in found)] == []


def test_another_configuration_restarts_every_pod() -> None:
    values = values_of("enterprise-webhooks")
    before, after = templates(), templates(config={**values["config"], "start": {"max_in_flight": 7}})
    assert before.keys() == after.keys()
    deployments = [name for name in before if name.startswith("Deployment/")]
    assert len(deployments) == 2
    assert all(before[name] != after[name] for name in deployments)


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 2},
        {"annotations": {"note": "another"}},
        {"podDisruptionBudget": {"enabled": False}},
        {"networkPolicy": {"enabled": False}},
        {"metrics": {"podMonitor": {"enabled": False}}},
        {"serviceAccount": {"annotations": {"role": "another"}}},
        {"topics": {"create": True}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_business_of_the_pods_restarts_none(changes: dict[str, object]) -> None:
    before, after = templates(), templates(**changes)
    assert {name: after[name] for name in before} == before


def test_another_inline_secret_restarts_the_workers() -> None:
    values = values_of("trial")
    other = {**values, "secrets": {**values["secrets"], "inline": {"extend-api-key": "sk_other"}}}
    before, after = dict(pods(render(values))), dict(pods(render(other)))
    assert before["Deployment/release-trial"] != after["Deployment/release-trial"]


# What the person at the terminal reads.


@scenarios
def test_the_notes_name_the_group_the_port_and_the_sum_of_documents(scenario: Path) -> None:
    notes = render_text(values_of(scenario))["NOTES.txt"]
    assert re.search(r'worker\(s\) of connector "\w+" read from \S+ as consumer group', notes)
    assert re.search(r"Up to \d+ documents are in flight at once", notes)
    assert re.search(r"curl localhost:\d+/readyz", notes)
    assert "<no value>" not in notes
    assert "%!" not in notes


def test_the_notes_calculate() -> None:
    notes = render_text(values_of("full"))["NOTES.txt"]
    assert "Up to 120000 documents are in flight at once (6 x start.max_in_flight 20000)" in notes
    notes = render_text(values_of("autoscaling"))["NOTES.txt"]
    assert "0 to 8 worker(s)" in notes
    assert "Up to 40000 documents" in notes


def test_the_notes_say_where_webhooks_come_in() -> None:
    assert "https://hooks.example.com/webhooks/extend" in render_text(values_of("enterprise-webhooks"))["NOTES.txt"]
    assert "not reachable from outside yet" in render_text(values_of("webhook"))["NOTES.txt"]
