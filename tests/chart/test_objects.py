"""What the objects are for, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.adapters.metrics import Metrics
from connector.core.rights import Need, missing_rights, needed_rights
from tests.chart.engine import CHART, Manifest, one, pods, render, smallest, values_of, worker
from tests.chart.inside import containers_of
from tests.chart.values_page import comments
from tests.test_docs import first_cells, section, text_of

NAME = "release-extend-kafka-connector"


def pod_of(manifests: list[Manifest], name: str) -> Manifest:
    spec: Manifest = dict(pods(manifests))[name]["spec"]
    return spec


# Workers.


def test_a_rollout_never_has_a_pod_too_many_and_leaves_time_to_hand_over() -> None:
    spec = worker(render(smallest()))["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 90


def test_the_probes_ask_the_pages_that_the_admin_server_has() -> None:
    (container,) = pod_of(render(smallest()), f"Deployment/{NAME}")["containers"]
    asked = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_workers_are_spread_over_the_nodes_unless_somebody_knows_better() -> None:
    (spread,) = pod_of(render(smallest()), f"Deployment/{NAME}")["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert (
        spread["labelSelector"]["matchLabels"].items()
        <= worker(render(smallest()))["spec"]["selector"]["matchLabels"].items()
        | {"app.kubernetes.io/component": "worker"}.items()
    )
    values = values_of("enterprise-webhooks")
    spec = worker(render(values))["spec"]["template"]["spec"]
    assert spec["topologySpreadConstraints"] == values["topologySpreadConstraints"]


def test_a_drained_node_takes_one_pod_at_a_time_and_no_dead_one_stops_it() -> None:
    manifests = render(values_of("enterprise-webhooks"))
    budgets = [m["spec"] for m in manifests if m["kind"] == "PodDisruptionBudget"]
    assert [budget["maxUnavailable"] for budget in budgets] == [1, 1]
    assert {budget["unhealthyPodEvictionPolicy"] for budget in budgets} == {"AlwaysAllow"}


def test_everything_extra_is_there() -> None:
    manifests = render(values_of("trial"))
    pod = pod_of(manifests, "Deployment/release-trial")
    assert [each["name"] for each in pod["initContainers"]] == ["wait"]
    assert [each["name"] for each in pod["containers"]] == ["worker", "proxy"]
    extra = one(manifests, "ConfigMap", "-extra")
    assert extra["metadata"]["name"] == "release-trial-extra"
    assert extra["data"] == {"port": "8080"}
    for name, each in pods(manifests):
        own = [c for c in [*each["spec"].get("initContainers", []), *each["spec"]["containers"]] if "env" in c]
        assert own, name
        for container in own:
            assert {"name": "ca", "mountPath": "/etc/ca", "readOnly": True} in container["volumeMounts"]
            assert container["envFrom"] == [{"configMapRef": {"name": "proxies", "optional": True}}]


PODS: dict[str, Any] = {
    "priorityClassName": "high",
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "extraVolumes": [{"name": "a", "emptyDir": {}}],
}
"""Values of which pods have something, with one that can be seen."""


@pytest.mark.parametrize("name", PODS)
def test_what_is_said_of_the_pods_holds_for_all_and_of_the_workers_for_them_alone(name: str) -> None:
    (words,) = [comment for path, _, comment in comments() if path == name]
    assert re.search(r"\bthe pods\b|\bthe workers\b", words)
    values = values_of("autoscaling")
    before, after = dict(pods(render(values))), dict(pods(render({**values, name: PODS[name]})))
    changed = {each for each in before if before[each] != after[each]} - {f"Pod/{NAME}-test"}
    webhook = {f"Deployment/{NAME}-webhook"} if "the pods" in words else set()
    assert changed == {f"Deployment/{NAME}"} | webhook


# Webhooks.


def test_a_sidecar_starts_before_its_worker_and_has_an_admin_port_of_its_own() -> None:
    pod = pod_of(render(values_of("webhook")), f"Deployment/{NAME}")
    (sidecar,) = pod["initContainers"]
    assert sidecar["args"][0] == "webhook"
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["env"] == [{"name": "CONNECTOR__ADMIN__PORT", "value": "8090"}]


def test_pods_of_their_own_come_before_the_old_ones_go() -> None:
    manifests = render(values_of("enterprise-webhooks"))
    spec = one(manifests, "Deployment", "-webhook")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] < pod["terminationGracePeriodSeconds"]
    assert "initContainers" not in worker(manifests)["spec"]["template"]["spec"]


@pytest.mark.parametrize(("scenario", "component"), [("webhook", "worker"), ("enterprise-webhooks", "webhook")])
def test_the_service_leads_to_whoever_takes_webhooks(scenario: str, component: str) -> None:
    service = one(render(values_of(scenario)), "Service")
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == component


def test_no_service_leads_to_an_admin_port() -> None:
    for scenario, port in (("webhook", 8082), ("enterprise-webhooks", 8081), ("operators", 8081)):
        (service,) = [m for m in render(values_of(scenario)) if m["kind"] == "Service"]
        assert [each["targetPort"] for each in service["spec"]["ports"]] == [port]


@pytest.mark.parametrize("mode", ["sidecar", "deployment"])
def test_no_service_and_no_policy_names_a_port_of_a_sidecar(mode: str) -> None:
    # Kubernetes looks for the names of ports among init containers since 1.32 only.
    values = {**values_of("webhook"), "networkPolicy": {"enabled": True}, "webhook": {"enabled": True, "mode": mode}}
    manifests = render(values)
    service = one(manifests, "Service")["spec"]
    asked = [each["targetPort"] for each in service["ports"]]
    for policy in (m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"):
        asked += [port for rule in ports(policy.get("ingress", [])) for port in rule]
    assert {8082, 8090} <= set(asked)
    assert [port for port in asked if not isinstance(port, int)] == []


def test_one_path_comes_in_from_outside() -> None:
    ingress = one(render(values_of("enterprise-webhooks")), "Ingress")["spec"]
    assert ingress["tls"] == [{"secretName": "hooks-example-com", "hosts": ["hooks.example.com"]}]
    (rule,) = ingress["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/webhooks/extend", "Exact")
    manifests = render(values_of("operators"))
    (match,) = one(manifests, "HTTPRoute")["spec"]["rules"][0]["matches"]
    assert match == {"method": "POST", "path": {"type": "Exact", "value": "/webhooks/extend"}}
    assert one(manifests, "Certificate")["spec"]["dnsNames"] == ["hooks.example.com"]


# Autoscaling.


def test_the_number_of_workers_is_left_to_keda() -> None:
    manifests = render(values_of("autoscaling"))
    assert "replicas" not in worker(manifests)["spec"]
    scaled = one(manifests, "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"] == {"name": NAME}
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 8)


def test_workers_are_scaled_by_saturation_and_never_by_lag() -> None:
    first, second = one(render(values_of("autoscaling")), "ScaledObject")["spec"]["triggers"]
    asked = set(re.findall(r"extend_connector_\w+", first["metadata"]["query"]))
    assert asked == {"extend_connector_runs_in_flight", "extend_connector_runs_in_flight_limit"}
    assert asked <= {each.name for each in Metrics().definitions}
    assert first["metadata"]["threshold"] == "0.7"
    assert first["metadata"]["ignoreNullValues"] == "false"
    assert first["metadata"]["authModes"] == "bearer"
    # What wakes a worker never asks for a second one.
    assert second["metadata"]["query"].startswith("clamp_max(")
    assert second["metadata"]["threshold"] == "1"


def test_the_query_is_about_the_workers_of_this_release() -> None:
    (trigger, *_) = one(render(values_of("autoscaling")), "ScaledObject")["spec"]["triggers"]
    selectors = re.findall(r"\{((?:\{5\}|[^}])*)\}", trigger["metadata"]["query"])
    assert len(set(selectors)) == 1
    pod = re.search(r'pod=~"([^"]+)"', selectors[0])
    assert pod
    assert 'namespace="documents"' in selectors[0]
    assert re.fullmatch(pod[1], f"{NAME}-7c9d8b5f4-x2x9k")
    assert not re.fullmatch(pod[1], f"{NAME}-webhook-7c9d8b5f4-x2x9k")
    assert not re.fullmatch(pod[1], f"another-{NAME}-7c9d8b5f4-x2x9k")


# Networks.


def policies(scenario: str) -> dict[str, Manifest]:
    manifests = render(values_of(scenario))
    return {m["metadata"]["name"].removeprefix(NAME): m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}


def ports(rules: list[Manifest]) -> list[list[object]]:
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_pods_reach_dns_the_brokers_the_api_and_the_registry_and_nothing_else() -> None:
    found = policies("enterprise-webhooks")
    assert ports(found[""]["egress"]) == [[53, 53], [9093], [443], [8081]]
    assert found[""]["egress"][1]["to"] == values_of("enterprise-webhooks")["networkPolicy"]["kafkaTo"]


def test_what_faces_the_internet_does_not_reach_the_api() -> None:
    assert ports(policies("enterprise-webhooks")["-webhook"]["egress"]) == [[53, 53], [9093]]


def test_what_no_rule_names_is_refused_in_both_directions() -> None:
    for scenario in ("enterprise-webhooks", "operators"):
        manifests = render(values_of(scenario))
        found = [m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"]
        cilium = {
            m["metadata"]["name"] for m in manifests if m["kind"] == "CiliumNetworkPolicy" and m["spec"]["egress"]
        }
        assert len(found) == (2 if cilium else 3)
        for policy in found:
            if policy["policyTypes"] == ["Egress"]:
                continue  # What the test may do beside the rest; the policy of all refuses what it does not name.
            assert policy["policyTypes"] == (["Ingress"] if cilium else ["Ingress", "Egress"])
            assert set(policy) >= {each.lower() for each in policy["policyTypes"]}
        assert len(cilium) in {0, 3}


def test_the_admin_port_is_reached_from_inside_of_the_cluster_only() -> None:
    for name, policy in policies("enterprise-webhooks").items():
        if "ingress" not in policy:
            continue
        (admin,) = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] != 8081]
        assert admin["from"], name
    (policy,) = [m["spec"] for m in render(values_of("trial")) if m["kind"] == "NetworkPolicy"]
    assert policy["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}]


def test_ports_are_those_of_the_configuration() -> None:
    (policy,) = [m["spec"] for m in render(values_of("trial")) if m["kind"] == "NetworkPolicy"]
    # No port named: Kafka's own; the API at https://simulator:8443.
    assert ports(policy["egress"]) == [[53, 53], [9092], [8443]]


def test_every_pod_is_under_a_policy() -> None:
    for scenario in ("enterprise-webhooks", "trial"):
        manifests = render({**values_of(scenario), "topics": {"create": True}})
        covered = {
            component
            for m in manifests
            if m["kind"] == "NetworkPolicy"
            for component in m["spec"]["podSelector"].get("matchExpressions", [{"values": []}])[0]["values"]
            + [m["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")]
        }
        components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for _, pod in pods(manifests)}
        assert components <= covered


def test_cilium_names_the_api_by_its_host_and_leaves_the_way_in_to_the_other_kind() -> None:
    manifests = render(values_of("operators"))
    found = {
        m["metadata"]["name"].removeprefix(NAME): m["spec"] for m in manifests if m["kind"] == "CiliumNetworkPolicy"
    }
    hosts = {name: [rule["toFQDNs"] for rule in each["egress"] if "toFQDNs" in rule] for name, each in found.items()}
    assert hosts == {"": [[{"matchName": "api.extend.ai"}]], "-webhook": [], "-test": []}
    cilium = {
        name: {p["port"] for r in each["egress"] for to in r["toPorts"] for p in to["ports"]}
        for name, each in found.items()
    }
    assert cilium == {"": {"53", "443", "8081", "9094", "9095"}, "-webhook": {"53", "9094", "9095"}, "-test": {"8081"}}
    for policy in policies("operators").values():
        assert policy["policyTypes"] == ["Ingress"]
        assert "egress" not in policy


# Hooks.


def test_topics_are_made_before_anything_that_the_job_does_not_bring_itself() -> None:
    manifests = render(values_of("trial"))
    hooks = [
        m for m in manifests if m["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-install,pre-upgrade"
    ]
    assert [m["kind"] for m in sorted(hooks, key=lambda m: m["kind"])] == ["ConfigMap", "Job", "Secret"]
    weights = {m["kind"]: int(m["metadata"]["annotations"]["helm.sh/hook-weight"]) for m in hooks}
    assert weights["Job"] > max(weights["ConfigMap"], weights["Secret"])
    pod = pod_of(manifests, "Job/release-trial-topics")
    assert "serviceAccountName" not in pod
    brought = {m["metadata"]["name"] for m in hooks if m["kind"] != "Job"}
    assert {pod["volumes"][0]["configMap"]["name"], pod["volumes"][1]["secret"]["secretName"]} == brought
    config = [
        m["data"]["connector.yaml"] for m in manifests if m["kind"] == "ConfigMap" and "connector.yaml" in m["data"]
    ]
    assert len(config) == 2
    assert len(set(config)) == 1


def test_the_job_makes_what_the_values_say() -> None:
    (container,) = pod_of(render(values_of("trial")), "Job/release-trial-topics")["containers"]
    assert container["args"][3:] == ["--create", "--input", "--partitions", "2", "--replication-factor", "1"]
    (container,) = pod_of(render(smallest(topics={"create": True})), f"Job/{NAME}-topics")["containers"]
    assert container["args"][3:] == ["--create"]


def test_the_test_looks_at_the_configuration_and_then_asks_the_doctor() -> None:
    pod = pod_of(render(smallest()), f"Pod/{NAME}-test")
    assert pod["restartPolicy"] == "Never"
    assert [each["args"][0] for each in pod["initContainers"]] == ["check"]
    assert [each["args"][0] for each in pod["containers"]] == ["doctor"]


@pytest.mark.parametrize("scenario", ["webhook", "enterprise-webhooks", "operators"])
def test_the_test_sends_a_webhook_to_the_service(scenario: str) -> None:
    manifests = render(values_of(scenario))
    (doctor,) = pod_of(manifests, f"Pod/{NAME}-test")["containers"]
    service = one(manifests, "Service")
    port = service["spec"]["ports"][0]["port"]
    assert doctor["args"][3:] == ["--url", f"http://{service['metadata']['name']}:{port}/webhooks/extend"]
    assert "--url" not in pod_of(render(smallest()), f"Pod/{NAME}-test")["containers"][0]["args"]


def test_the_test_signs_with_the_secret_of_the_webhook_pods_and_logs_in_as_a_worker() -> None:
    pod = pod_of(render(values_of("enterprise-webhooks")), f"Pod/{NAME}-test")
    (doctor,) = pod["containers"]
    secrets = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    mounted = {secrets[m["name"]]: m["mountPath"] for m in doctor["volumeMounts"] if m["name"] in secrets}
    assert mounted == {"claims": "/run/secrets/extend-connector", "claims-webhook": "/run/secrets/webhook"}
    assert doctor["env"] == [
        {"name": "CONNECTOR__WEBHOOK__SECRET_FILES", "value": "[/run/secrets/webhook/extend-webhook-secret]"}
    ]


@pytest.mark.parametrize("mode", ["sidecar", "deployment"])
def test_the_test_reaches_the_webhook_through_the_policies(mode: str) -> None:
    values = values_of("webhook")
    somebody: list[Manifest] = [{"namespaceSelector": {}}]
    values |= {
        "webhook": {"enabled": True, "mode": mode},
        "networkPolicy": {"enabled": True, "webhookFrom": somebody},
    }
    found = {
        m["metadata"]["name"].removeprefix(NAME): m["spec"] for m in render(values) if m["kind"] == "NetworkPolicy"
    }
    test = found["-test"]["podSelector"]
    assert test["matchLabels"]["app.kubernetes.io/component"] == "test"
    (out,) = found["-test"]["egress"]
    (into,) = [r for r in found["-webhook" if mode == "deployment" else ""]["ingress"] if r["ports"] == out["ports"]]
    assert into["from"] == [*somebody, {"podSelector": test}]
    component = out["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert component == ("webhook" if mode == "deployment" else "worker")


# Rights.


Rights = dict[tuple[str, str, str], list[str]]


def rights_of(user: Manifest) -> Rights:
    acls = user["spec"]["authorization"]["acls"]
    found = {
        tuple(each["resource"][key] for key in ("type", "name", "patternType")): each["operations"] for each in acls
    }
    assert len(found) == len(acls)
    return found


def test_the_user_has_the_rights_of_the_page_and_no_others() -> None:
    rows = first_cells(section(text_of("docs", "operations.md"), "## Rights"))
    operations = {row[0]: re.findall(r"[A-Z]\w+", row[1].partition(";")[0]) for row in rows}
    inputs = [f"{name}.in" for name in ("documents", "scans", "faxes", "letters")]
    assert rights_of(one(render(values_of("operators")), "KafkaUser", NAME)) == {
        **{("topic", name, "literal"): operations["input topics"] for name in inputs},
        ("topic", "documents.journal", "literal"): operations["`<name>.journal`"],
        ("topic", "documents.signals", "literal"): operations["`<name>.signals`"],
        **{("topic", f"{name}.", "prefix"): operations["`<prefix>.*`"] for name in ("results", "scans.parsed")},
        ("group", "documents", "literal"): operations["group `<name>`"],
        ("transactionalId", "documents-", "prefix"): operations["transactional id, prefix `<name>-`"],
    }


def test_the_user_may_do_all_that_the_doctor_asks_for(tmp_path: Path) -> None:
    values = values_of("operators")
    (container,) = [each for each in containers_of(values, tmp_path) if each.command == "doctor"]
    settings = container.load()
    rights = rights_of(one(render(values), "KafkaUser", NAME))
    needs = needed_rights(settings.topic_plan(), settings.name)
    assert {need.name for need in needs} > {"results.processed", "scans.parsed.processed", "results.dead-letter"}
    for need in needs:
        assert missing_rights(need, granted(rights, need)) == ()


def granted(rights: Rights, need: Need) -> set[str]:
    kind = {"transactional id": "transactionalId"}.get(need.resource, need.resource)
    found: set[str] = set()
    for (each, name, pattern), operations in rights.items():
        covers = need.name.startswith(name) if pattern == "prefix" else name == need.name and not need.prefixed
        if each == kind and covers:
            found.update(operations)
    return found


def test_the_webhook_may_write_signals_and_nothing_else() -> None:
    assert rights_of(one(render(values_of("operators")), "KafkaUser", "-webhook")) == {
        ("topic", "documents.signals", "literal"): ["Write", "Describe"]
    }
    sidecar = {**values_of("operators"), "webhook": {"enabled": True, "mode": "sidecar"}}
    assert len([m for m in render(sidecar) if m["kind"] == "KafkaUser"]) == 1


def test_the_files_that_the_default_configuration_names_are_in_the_mounted_secret() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert defaults["config"]["extend"]["api_key_file"].startswith(defaults["secrets"]["mountPath"] + "/")
