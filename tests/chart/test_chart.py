"""The chart renders to what Kubernetes accepts and the connector understands, in every scenario under ci/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

import connector
from tests.chart.engine import (
    CHART,
    KUBERNETES,
    SCENARIOS,
    Manifest,
    chart,
    containers,
    lint,
    one,
    render,
    render_text,
    values_of,
)

FOREIGN = {"monitoring.coreos.com/v1"}
"""Kinds of operators, whose schemas Kubernetes does not know."""

scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem.removesuffix("-values"))
smallest = values_of(CHART / "ci" / "smallest-values.yaml")


def with_values(**changes: object) -> dict[str, object]:
    return {**smallest, **changes}


def pod_of(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = one(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


def test_there_are_scenarios() -> None:
    assert {path.stem for path in SCENARIOS} >= {"smallest-values", "full-values", "webhook-values"}


@scenarios
def test_the_chart_lints_strictly(scenario: Path) -> None:
    assert lint(values_of(scenario)) == []


def test_the_default_values_lint() -> None:
    assert lint({}) == []


@scenarios
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_kubernetes_accepts_what_is_rendered_and_knows_every_field(scenario: Path, kubernetes: str) -> None:
    manifests = render(values_of(scenario), kubernetes)
    assert manifests
    for manifest in manifests:
        if manifest["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(manifest, kubernetes, strict=True)


def test_that_validation_would_notice_an_unknown_field() -> None:
    manifest = one(render(smallest), "Deployment")
    manifest["spec"]["strategi"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES[0], strict=True)


@scenarios
def test_every_object_carries_the_common_labels_and_a_name_that_leaves_room(scenario: Path) -> None:
    for manifest in render(values_of(scenario)):
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "release"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert len(manifest["metadata"]["name"]) <= 63


@scenarios
def test_selectors_select_the_pods(scenario: Path) -> None:
    manifests = render(values_of(scenario))
    pod_labels = one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [one(manifests, "Deployment")["spec"]["selector"]["matchLabels"]]
    selectors += [m["spec"]["selector"] for m in manifests if m["kind"] == "Service"]
    selectors += [m["spec"]["selector"]["matchLabels"] for m in manifests if m["kind"] == "PodMonitor"]
    for selector in selectors:
        assert selector.items() <= pod_labels.items()
        assert "helm.sh/chart" not in selector


@scenarios
def test_ports_that_are_named_exist_in_the_pod(scenario: Path) -> None:
    manifests = render(values_of(scenario))
    ports = {port["name"]: port["containerPort"] for c in containers(pod_of(manifests)) for port in c["ports"]}
    named = [
        probe[how]["port"]
        for c in containers(pod_of(manifests))
        for probe in probes(c)
        for how in probe
        if how in {"httpGet", "tcpSocket"}
    ]
    named += [port["targetPort"] for m in manifests if m["kind"] == "Service" for port in m["spec"]["ports"]]
    named += [end["port"] for m in manifests if m["kind"] == "PodMonitor" for end in m["spec"]["podMetricsEndpoints"]]
    assert len(named) >= 3
    assert set(named) <= ports.keys()


def probes(container: Manifest) -> Iterator[dict[str, Any]]:
    return (container[name] for name in ("startupProbe", "livenessProbe", "readinessProbe") if name in container)


def test_the_probes_ask_the_pages_that_the_admin_server_has() -> None:
    (worker,) = pod_of(render(smallest))["containers"]
    asked = {name: worker[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_the_admin_port_is_the_one_of_the_configuration() -> None:
    values = values_of(CHART / "ci" / "full-values.yaml")
    (worker,) = pod_of(render(values))["containers"]
    assert worker["ports"] == [{"name": "admin", "containerPort": values["config"]["admin"]["port"]}]


# The restricted Pod Security Standard, rule by rule, and what this chart promises beyond it.


@scenarios
def test_the_pods_keep_the_restricted_pod_security_standard(scenario: Path) -> None:
    pod = pod_of(render(values_of(scenario)))
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        assert not pod.get(name)
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {
        "configMap",
        "secret",
        "emptyDir",
    }
    for container in containers(pod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["privileged"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all("hostPort" not in port for port in container["ports"])


@scenarios
def test_nothing_but_tmp_can_be_written_and_no_token_is_mounted(scenario: Path) -> None:
    pod = pod_of(render(values_of(scenario)))
    assert pod["automountServiceAccountToken"] is False
    for container in containers(pod):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert writable == ["/tmp"]  # noqa: S108 - the path in the container


@scenarios
def test_secrets_are_files_and_never_environment(scenario: Path) -> None:
    pod = pod_of(render(values_of(scenario)))
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    assert volume["secret"]["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == 65532
    for container in containers(pod):
        assert {each["name"] for each in container.get("env", [])} <= {"CONNECTOR__ADMIN__PORT"}
        assert "envFrom" not in container


@scenarios
def test_memory_is_limited_and_the_processor_is_not(scenario: Path) -> None:
    for container in containers(pod_of(render(values_of(scenario)))):
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]


def test_a_rollout_never_has_a_pod_too_many_and_leaves_time_to_hand_over() -> None:
    spec = one(render(smallest), "Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 90


# The configuration.


def configuration_of(manifests: list[Manifest]) -> str:
    (config,) = [m for m in manifests if m["kind"] == "ConfigMap" and "connector.yaml" in m["data"]]
    text: str = config["data"]["connector.yaml"]
    return text


def test_the_configuration_arrives_as_it_was_written() -> None:
    values = values_of(CHART / "ci" / "full-values.yaml")
    written = yaml.safe_load(configuration_of(render(values)))
    assert written == {**chart().values["config"], **values["config"]}
    assert written["start"]["max_in_flight"] == 5_000_000
    assert written["routes"]["invoices"]["version"] == "2.1"


def test_a_configuration_as_text_keeps_the_order_of_its_routes() -> None:
    values = values_of(CHART / "ci" / "webhook-values.yaml")
    assert configuration_of(render(values)).strip() == values["configText"].strip()


def test_another_configuration_restarts_the_pods_and_the_same_one_does_not() -> None:
    def checksum(**changes: object) -> str:
        template = one(render(with_values(**changes)), "Deployment")["spec"]["template"]
        value: str = template["metadata"]["annotations"]["checksum/config"]
        return value

    assert checksum(podLabels={"team": "a"}) == checksum()
    assert checksum(config={**smallest["config"], "start": {"max_in_flight": 7}}) != checksum()


def test_the_files_that_the_default_configuration_names_are_in_the_mounted_secret() -> None:
    defaults = chart().values
    assert defaults["config"]["extend"]["api_key_file"].startswith(defaults["secrets"]["mountPath"] + "/")


# The guards. What is refused here would otherwise be found in production.

route = {"run": "parse"}
base = smallest["config"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"secrets": {}}, "secrets.existingSecret is empty", id="no secret"),
        pytest.param({"config": {**base, "name": ""}}, "config.name is empty", id="no name"),
        pytest.param({"config": {**base, "kafka": {}}}, "bootstrap_servers is empty", id="no brokers"),
        pytest.param({"config": {**base, "routes": {}}}, "config.routes is empty", id="no routes"),
        pytest.param({"configText": "[1]"}, "configText is no YAML mapping", id="text that is no mapping"),
        pytest.param(
            {"config": {**base, "routes": {"a": {**route, "topic": "t"}, "t": route}}},
            "config.routes.a and config.routes.t share the topic t",
            id="an order that would be lost",
        ),
        pytest.param(
            {"config": {**base, "extend": {"api_key": "sk_1"}}},
            "config.extend.api_key stands in a ConfigMap",
            id="an API key in the configuration",
        ),
        pytest.param(
            {"config": {**base, "kafka": {"bootstrap_servers": "k:1", "password": "x"}}},
            "config.kafka.password stands in a ConfigMap",
            id="a password in the configuration",
        ),
        pytest.param(
            {"config": {**base, "kafka": {"bootstrap_servers": "k:1", "properties": {"sasl.password": "x"}}}},
            "config.kafka.properties.sasl.password stands in a ConfigMap",
            id="a password in librdkafka's properties",
        ),
        pytest.param(
            {"config": {**base, "webhook": {"secrets": ["wss_1"]}}},
            "config.webhook.secrets stands in a ConfigMap",
            id="a signing secret in the configuration",
        ),
        pytest.param(
            {"config": {**base, "admin": {"port": 0}}}, "a port that nobody knows", id="an unknown admin port"
        ),
        pytest.param({"webhook": {"enabled": True}}, "image version 0.1.0 has no command `webhook`", id="too old"),
        pytest.param(
            {"webhook": {"enabled": True, "adminPort": 8081}, "image": {"tag": "0.2.0"}},
            "webhook.adminPort is a port of the worker or of the webhook itself",
            id="a port twice in the sidecar",
        ),
        pytest.param(
            {"webhook": {"enabled": True}, "image": {"tag": "v0.1.9"}}, "image version 0.1.9", id="too old, tagged v"
        ),
        pytest.param(
            {"webhook": {"enabled": True}, "image": {"tag": "0.2.0"}, "config": {**base, "admin": {"port": 8081}}},
            "worker and webhook sidecar share one network",
            id="one port for two",
        ),
    ],
)
def test_what_would_fail_in_production_is_refused_with_the_way_out(changes: dict[str, object], message: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=re.escape(message)):
        render(with_values(**changes))


def test_several_replicas_need_no_other_setting() -> None:
    assert one(render(with_values(replicas=3)), "Deployment")["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "image", [{"tag": "0.2.0"}, {"tag": "1.0.0-rc.1"}, {"tag": "edge"}, {"digest": "sha256:" + "0" * 64}]
)
def test_the_webhook_sidecar_is_rendered_where_the_image_may_have_the_command(image: dict[str, str]) -> None:
    pod = pod_of(render(with_values(webhook={"enabled": True}, image=image)))
    (sidecar,) = pod["initContainers"]
    assert sidecar["args"][0] == "webhook"
    assert sidecar["restartPolicy"] == "Always"


def test_the_webhook_sidecar_takes_no_port_of_the_worker() -> None:
    manifests = render(with_values(webhook={"enabled": True}, image={"tag": "edge"}))
    pod = pod_of(manifests)
    ports = [port["containerPort"] for container in containers(pod) for port in container["ports"]]
    assert len(ports) == len(set(ports)) == 3
    (variable,) = pod["initContainers"][0]["env"]
    assert variable["name"] == "CONNECTOR__ADMIN__PORT"
    assert int(variable["value"]) in ports


# The values, their schema, and their description.


def leaves(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    else:
        yield path


def schema_at(path: str) -> dict[str, Any]:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    node: dict[str, Any] = schema
    for key in path.split(".") if path else ():
        node = node["properties"][key]
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return node


def objects(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, value
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from objects(inner, f"{path}.{key}".lstrip("."))


FREE = re.compile(r"config|(.+\.)?(resources|labels)(\..+)?")
"""What is passed through: the connector's own configuration, and maps whose keys are the user's."""


def test_the_schema_knows_exactly_the_values_that_exist() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    checked = 0
    for path, value in objects(defaults):
        if FREE.fullmatch(path) or path.startswith("config."):
            continue
        schema = schema_at(path)
        assert schema["additionalProperties"] is False, path
        # Helm itself hands `global` to every chart.
        assert set(schema["properties"]) - {"global"} == set(value), path
        checked += 1
    assert checked >= 7


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 3},
        {"image": {"tagg": "1"}},
        {"replicas": -1},
        {"replicas": "two"},
        {"metrics": {"podMonitor": {"interval": "30"}}},
        {"image": {"digest": "sha256:short"}},
        {"terminationGracePeriodSeconds": 5},
        {"podAnnotations": {"a": 1}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_is_unknown_or_of_another_kind(values: dict[str, object]) -> None:
    with pytest.raises(helm.HelmError):
        chart().validate_schema(with_values(**values))


def test_the_scenarios_pass_the_schema() -> None:
    for scenario in SCENARIOS:
        chart().validate_schema(values_of(scenario))


def test_the_chart_is_of_the_version_of_the_connector() -> None:
    assert chart().metadata["appVersion"] == connector.__version__


def test_old_clusters_are_refused_because_they_have_no_native_sidecars() -> None:
    assert chart().metadata["kubeVersion"] == ">=1.29.0-0"


@scenarios
def test_the_notes_name_the_group_the_port_and_the_sum_of_documents(scenario: Path) -> None:
    notes = render_text(values_of(scenario))["NOTES.txt"]
    assert re.search(r'worker\(s\) of connector "\w+" read from \S+ as consumer group', notes)
    assert re.search(r"Up to \d+ documents are in flight at once", notes)
    assert re.search(r"curl localhost:\d+/readyz", notes)
    assert "<no value>" not in notes


def test_the_notes_calculate() -> None:
    notes = render_text(values_of(CHART / "ci" / "full-values.yaml"))["NOTES.txt"]
    assert "Up to 30000000 documents are in flight at once (6 x start.max_in_flight 5000000)" in notes
