"""What the chart gives to each container, files and environment, is a configuration that the connector takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from connector.core.errors import ConfigurationError
from tests.chart.engine import (
    Manifest,
    chart,
    config,
    render,
    scenarios,
    smallest,
    values_of,
    worker,
)
from tests.chart.inside import containers_of
from tests.summary import Count


@scenarios
def test_the_connector_takes_the_configuration_of_every_container(scenario: Path, tmp_path: Path, count: Count) -> None:
    found = containers_of(values_of(scenario), tmp_path)
    assert {"run", "check", "doctor"} <= {each.command for each in found}
    for container in found:
        settings = container.load()
        written = yaml.safe_load(container.file.read_text(encoding="utf-8"))
        assert settings.name == written["name"]
        assert [route.name for route in settings.core_routes()] == list(written["routes"])
        count("chart: commands whose configuration was loaded", container.command)


@scenarios
def test_every_port_is_the_one_that_the_command_listens_on_and_reachable(scenario: Path, tmp_path: Path) -> None:
    checked = 0
    for container in containers_of(values_of(scenario), tmp_path):
        settings = container.load()
        listens = {"run": {"admin": settings.admin.port}}
        listens["webhook"] = {"webhook": settings.webhook.port, "webhook-admin": settings.admin.port}
        assert container.ports == listens.get(container.command, {})
        if container.ports:
            assert {settings.admin.host, settings.webhook.host} <= {"0.0.0.0", "::"}  # noqa: S104 - inside of a pod
            checked += 1
    assert checked >= 1


def test_the_webhook_has_a_kafka_user_of_its_own_and_no_api_key(tmp_path: Path) -> None:
    found = containers_of(values_of("enterprise-webhooks"), tmp_path)
    users = {each.command: each.load().kafka.properties["sasl.username"] for each in found}
    assert users == {"run": "claims", "check": "claims", "doctor": "claims", "webhook": "claims-webhook"}
    (webhook,) = [each for each in found if each.command == "webhook"]
    assert not (webhook.file.parent / "secrets" / "extend-api-key").exists()


def test_that_a_wrong_value_would_be_noticed(tmp_path: Path) -> None:
    wrong = smallest(config=config(kafka={"bootstrap_servers": "kafka:x"}))
    with pytest.raises(ConfigurationError, match="host:port"):
        containers_of(wrong, tmp_path)[0].load()


# How it gets there.


def configuration_of(manifests: list[Manifest]) -> str:
    name = worker(manifests)["metadata"]["name"]
    (found,) = [m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"] == name]
    text: str = found["data"]["connector.yaml"]
    return text


def test_the_configuration_arrives_as_it_was_written() -> None:
    values = values_of("full")
    written = yaml.safe_load(configuration_of(render(values)))
    assert written == values["config"]
    assert written["routes"]["invoices"]["version"] == "2.1"


def test_large_numbers_stay_whole() -> None:
    assert "max_in_flight: 5000000\n" in configuration_of(render(values_of("operators"))) + "\n"


def test_a_configuration_as_text_keeps_the_order_of_its_routes() -> None:
    values = values_of("webhook")
    assert configuration_of(render(values)).strip() == values["configText"].strip()


def test_a_route_with_nothing_below_it_has_its_defaults(tmp_path: Path) -> None:
    values = smallest(config=config(routes={"documents": None}))
    chart().validate_schema(values)
    assert containers_of(values, tmp_path)[0].load().core_routes()[0].topic == "documents"
