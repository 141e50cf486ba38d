"""What a container of the chart sees: its files below a folder of the test, and its environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from connector.cli.loading import load_config, load_for_kafka
from connector.config import Config
from tests.chart.engine import Manifest, one, own_containers, pods, render

SECRET_KEYS = {
    "extend-connector": {"extend-api-key", "extend-webhook-secret"},
    "claims": {"extend-api-key", "kafka-password"},
    "claims-webhook": {"extend-webhook-secret", "kafka-password"},
    "invoices": {"extend-api-key", "kafka-password"},
    "receipts": {"extend-api-key"},
}
"""The Secrets that the values under ci/ name, and what is in them."""


class Container:
    """What one container sees: a folder with connector.yaml and the files of its Secret, and its environment."""

    def __init__(self, manifests: list[Manifest], pod: Manifest, container: Manifest, folder: Path) -> None:
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        data = one(manifests, "ConfigMap", volumes["config"]["configMap"]["name"])["data"]
        here: dict[str, str] = {}
        for volume in mounts.keys() & {name for name, each in volumes.items() if "secret" in each}:
            secrets = folder / volume
            secrets.mkdir(parents=True)
            name = volumes[volume]["secret"]["secretName"]
            for key in SECRET_KEYS.get(name) or one(manifests, "Secret", name)["stringData"]:
                (secrets / key).write_text("sk_a-value-of-a-secret-long-enough\n", encoding="utf-8")
            here[mounts[volume]] = str(secrets)
        self.file = folder / "connector.yaml"
        self.file.write_text(_moved(data["connector.yaml"], here), encoding="utf-8")
        self.environment = {
            each["name"]: _moved(each.get("value", "a-secret"), here) for each in container.get("env", [])
        }
        self.args = [word.replace(f"{mounts['config']}/connector.yaml", str(self.file)) for word in container["args"]]
        assert self.args[1:3] == ["--config", str(self.file)]
        self.command: str = self.args[0]
        self.ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}

    def load(self) -> Config:
        """The configuration, as the container's command loads it."""
        with mock.patch.dict(os.environ, self.environment, clear=True):
            return (load_for_kafka if self.command == "webhook" else load_config)(self.file)


def _moved(text: str, here: dict[str, str]) -> str:
    for path, folder in here.items():
        text = text.replace(path, folder)
    return text


def containers_of(values: dict[str, Any], folder: Path) -> list[Container]:
    """Every container of every pod of a release, each with files of its own."""
    manifests = render(values)
    return [
        Container(manifests, pod["spec"], each, folder / f"{number}-{name.replace('/', '-')}-{each['name']}")
        for name, pod in pods(manifests)
        for number, each in enumerate(own_containers(pod["spec"]))
    ]
