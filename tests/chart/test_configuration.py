"""What the chart writes into its ConfigMap is a configuration that the connector takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from connector.config import load
from connector.core.errors import ConfigurationError
from tests.chart.engine import CHART, SCENARIOS, Manifest, one, render, values_of

scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem.removesuffix("-values"))


def mounted(manifests: list[Manifest], folder: Path) -> Path:
    """The rendered configuration as a file, and the files of the Secret that it names, moved below a folder."""
    (config,) = [m for m in manifests if m["kind"] == "ConfigMap" and "connector.yaml" in m["data"]]
    text: str = config["data"]["connector.yaml"]
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    (mount,) = [m["mountPath"] for m in pod["containers"][0]["volumeMounts"] if m["name"] == "secrets"]
    assert f"{mount}/" in text
    secrets = folder / "secrets"
    secrets.mkdir()
    for word in text.replace("[", " ").replace("]", " ").replace("}", " ").replace(",", " ").split():
        if word.startswith(f"{mount}/"):
            (secrets / word.removeprefix(f"{mount}/")).write_text("sk_a-value-of-a-secret\n", encoding="utf-8")
    path = folder / "connector.yaml"
    path.write_text(text.replace(mount, str(secrets)), encoding="utf-8")
    return path


@scenarios
def test_the_connector_takes_the_configuration_of_the_chart(scenario: Path, tmp_path: Path) -> None:
    manifests = render(values_of(scenario))
    path = mounted(manifests, tmp_path)
    config = load(path, {})
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config.name == written["name"]
    assert [route.name for route in config.core_routes()] == list(written["routes"])


@scenarios
def test_the_admin_server_can_be_reached_from_outside_of_the_pod_on_the_port_of_the_probes(
    scenario: Path, tmp_path: Path
) -> None:
    manifests = render(values_of(scenario))
    config = load(mounted(manifests, tmp_path), {})
    (worker,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert worker["ports"][0]["containerPort"] == config.admin.port
    assert config.admin.host in {"0.0.0.0", "::"}  # noqa: S104 - inside a pod, where the kubelet asks


def test_that_a_wrong_key_would_be_noticed(tmp_path: Path) -> None:
    values = values_of(CHART / "ci" / "smallest-values.yaml")
    values["config"]["kafka"]["bootstrap_server"] = "kafka:9092"
    path = mounted(render(values), tmp_path)
    with pytest.raises(ConfigurationError, match="bootstrap_server"):
        load(path, {})
