"""What would fail in production is refused at render time, with the way out; and what is right is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import helm_python as helm
import pytest

from connector.config.extend import PLANS
from connector.config.kafka import BROKER_SIDE, REFUSED
from connector.config.keys import SECRETS
from tests.chart.engine import CHART, config, render, smallest
from tests.chart.inside import containers_of
from tests.summary import Count

SECRET_FILES = {"secret_files": ["/run/secrets/extend-connector/extend-webhook-secret"]}
HOST = "hooks.example.com"


class Case(NamedTuple):
    """One guard: what it says, values in which it fires, and values that are as near and right."""

    sentence: str
    fires: dict[str, Any]
    silent: dict[str, Any]


def kafka(**properties: object) -> dict[str, Any]:
    names = {name.replace("_", "."): value for name, value in properties.items()}
    return config(kafka={"bootstrap_servers": "k:1", "properties": names})


def webhook(sections: dict[str, Any] | None = None, **values: object) -> dict[str, Any]:
    return {
        "config": config(**{"webhook": SECRET_FILES, **(sections or {})}),
        "webhook": {"enabled": True, **values},
    }


def scaling(sections: dict[str, Any] | None = None, **values: object) -> dict[str, Any]:
    return {
        "config": config(**(sections or {})),
        "autoscaling": {"enabled": True, "prometheusAddress": "http://prometheus:9090", **values},
    }


PARTITIONS = {"topics": {"partitions": 4}}
TWO_TOPICS = config(routes={"a": {"run": "parse"}, "b": {"run": "parse"}})
LAG: dict[str, Any] = {"wakeUpQuery": "sum(lag)"}
STATIC_ENV = {"name": "CONNECTOR__KAFKA__PROPERTIES__GROUP_INSTANCE_ID", "value": "$(POD_NAME)"}
KEY = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
NO_KEY_FILE = config(extend={"api_key_file": None})
ISSUER = {"enabled": True, "issuer": "letsencrypt"}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": [HOST]}

CASES: dict[str, Case] = {
    "no secret": Case("secrets.existingSecret is empty", {"secrets": {}}, {"secrets": {"existingSecret": "s"}}),
    "inline secrets": Case(
        "secrets.inline holds secrets in the values",
        {"secrets": {"inline": {"extend-api-key": "sk_1"}}},
        {"secrets": {"inline": {"extend-api-key": "sk_1"}, "allowInline": True}},
    ),
    "two places of secrets": Case(
        "secrets.existingSecret and secrets.inline are both set",
        {"secrets": {"inline": {"a": "b"}, "allowInline": True, "existingSecret": "s"}},
        {"secrets": {"existingSecret": "s", "allowInline": True}},
    ),
    "a secret as a variable's value": Case(
        "extraEnv holds the value of EXTEND_API_KEY",
        {"extraEnv": [{"name": "EXTEND_API_KEY", "value": "sk_1"}]},
        {"extraEnv": [{"name": "EXTEND_API_KEY", **KEY}]},
    ),
    "no name": Case("config.name is empty", {"config": config(name="")}, {"config": config(name="a")}),
    "no brokers": Case("bootstrap_servers is empty", {"config": config(kafka={})}, {"config": kafka()}),
    "no routes": Case("config.routes is empty", {"config": config(routes={})}, {"config": TWO_TOPICS}),
    "text that is no mapping": Case(
        "configText is no YAML mapping",
        {"configText": "[1]"},
        {"configText": "name: a\nkafka: {bootstrap_servers: k}\nextend: {api_key_file: f}\nroutes: {a: {}}\nstart:\n"},
    ),
    "an order that would be lost": Case(
        "config.routes.a and config.routes.t share the topic t",
        {"config": config(routes={"a": {"run": "parse", "topic": "t"}, "t": {"run": "parse"}})},
        {"config": TWO_TOPICS},
    ),
    "an API key in the configuration": Case(
        "config.extend.api_key stands in a ConfigMap",
        {"config": config(extend={"api_key": "sk_1"})},
        {"config": config(extend={"api_key_file": "/f"})},
    ),
    "a password in the configuration": Case(
        "config.kafka.password stands in a ConfigMap",
        {"config": config(kafka={"bootstrap_servers": "k:1", "password": "x"})},
        {"config": config(kafka={"bootstrap_servers": "k:1", "password_file": "/f"})},
    ),
    "a signing secret in the configuration": Case(
        "config.webhook.secrets stands in a ConfigMap",
        {"config": config(webhook={"secrets": ["wss_1"]})},
        {"config": config(webhook=SECRET_FILES)},
    ),
    "a password in librdkafka's properties": Case(
        "config.kafka.properties.sasl.password stands in a ConfigMap",
        {"config": kafka(sasl_password="x")},
        {"config": kafka(sasl_username="x")},
    ),
    "a property that holds a key": Case(
        "config.kafka.properties.sasl.oauthbearer.assertion.private.key.passphrase stands in a ConfigMap",
        {"config": kafka(sasl_oauthbearer_assertion_private_key_passphrase="x")},
        {"config": kafka(sasl_oauthbearer_assertion_private_key_file="x", sasl_oauthbearer_token_endpoint_url="x")},
    ),
    "a password in the registry's address": Case(
        "config.schema_registry.url holds a user or password",
        {"config": config(schema_registry={"url": "https://user:password@registry:8081"})},
        {"config": config(schema_registry={"url": "https://registry:8081/a@b"})},
    ),
    "a password in an address of a variable": Case(
        "extraEnv holds an address with a user or password in SCHEMA_REGISTRY_URL",
        {"extraEnv": [{"name": "SCHEMA_REGISTRY_URL", "value": "https://user:password@registry"}]},
        {"extraEnv": [{"name": "SCHEMA_REGISTRY_URL", "value": "https://registry"}]},
    ),
    "a secret of a workflow in a route": Case(
        "CONNECTOR__ROUTES__MY_CLAIMS__CREATE__secrets__TOKEN with valueFrom",
        {"config": config(routes={"my.claims": {"run": "workflow", "create": {"secrets": {"TOKEN": "x"}}}})},
        {"configText": "name: a\nkafka: {bootstrap_servers: k}\nextend: {api_key_file: f}\nroutes: {a: {create: }}\n"},
    ),
    "no API key at all": Case(
        "config.extend.api_key_file is not set",
        {"config": NO_KEY_FILE},
        {"config": NO_KEY_FILE, "extraEnv": [{"name": "EXTEND_API_KEY", **KEY}]},
    ),
    "an unknown admin port": Case(
        "config.admin.port is 0", {"config": config(admin={"port": 0})}, {"config": config(admin={"port": 9090})}
    ),
    "an admin port inside of the container": Case(
        "config.admin.host listens inside of the container only",
        {"config": config(admin={"host": "127.0.0.1"})},
        {"config": config(admin={"host": "::"})},
    ),
    "KIP-848 with a session timeout": Case(
        "config.kafka.session_timeout has no effect with group.protocol: consumer",
        {
            "config": config(
                kafka={
                    "bootstrap_servers": "k:1",
                    "session_timeout": "30s",
                    "properties": {"group.protocol": "consumer"},
                }
            )
        },
        {"config": config(kafka={"bootstrap_servers": "k:1", "session_timeout": "30s"})},
    ),
    "KIP-848 with session.timeout.ms": Case(
        "config.kafka.properties.session.timeout.ms is refused by librdkafka with group.protocol: consumer",
        {"config": kafka(group_protocol="consumer", session_timeout_ms=30_000)},
        {"config": kafka(group_protocol="consumer")},
    ),
    "KIP-848 with an assignor": Case(
        "config.kafka.properties.partition.assignment.strategy is refused by librdkafka",
        {"config": kafka(group_protocol="consumer", partition_assignment_strategy="cooperative-sticky")},
        {"config": kafka(group_protocol="classic", partition_assignment_strategy="cooperative-sticky")},
    ),
    "a property that is not the user's": Case(
        "config.kafka.properties.group.id is refused by the connector",
        {"config": kafka(group_id="a")},
        {"config": kafka(client_rack="a")},
    ),
    "Kerberos": Case(
        "asks for Kerberos (GSSAPI)",
        {"config": kafka(sasl_mechanism="GSSAPI")},
        {"config": kafka(sasl_mechanism="SCRAM-SHA-512")},
    ),
    "more replicas than partitions": Case(
        "replicas is 5, and the 1 input topic(s) have 4 partitions in all",
        {"replicas": 5, **PARTITIONS},
        {"replicas": 5, **PARTITIONS, "config": TWO_TOPICS},
    ),
    "more documents than the plan carries": Case(
        "start.max_in_flight 20000 x replicas 6 are 120000 documents in flight, and the plan starts at most 115200",
        {"replicas": 6},
        {"replicas": 6, "config": config(extend={"api_key_file": "/f", "plan": "scale"})},
    ),
    "one name for several static members": Case(
        "group.instance.id is one name for all workers",
        {"replicas": 2, "config": kafka(group_instance_id="a")},
        {"replicas": 1, "config": kafka(group_instance_id="a")},
    ),
    "static members that are scaled": Case(
        "group.instance.id (static membership) and autoscaling.enabled exclude each other",
        {**scaling(), "extraEnv": [STATIC_ENV]},
        {**scaling(), "extraEnv": []},
    ),
    "nobody to ask how full the workers are": Case(
        "autoscaling.prometheusAddress is empty", scaling(prometheusAddress=""), scaling()
    ),
    "fewest above most": Case(
        "autoscaling.minReplicas is 3 and above maxReplicas 2",
        scaling(minReplicas=3, maxReplicas=2),
        scaling(minReplicas=2, maxReplicas=2),
    ),
    "nobody to wake a worker": Case(
        "autoscaling.minReplicas is 0, and nothing would ever wake a worker",
        scaling(minReplicas=0),
        scaling(minReplicas=0, **LAG),
    ),
    "a sidecar of nobody": Case(
        "autoscaling.minReplicas is 0, and webhook.mode is sidecar",
        {**scaling(minReplicas=0, **LAG), **webhook()},
        {**scaling(minReplicas=0, **LAG), **webhook(mode="deployment")},
    ),
    "webhooks without a secret": Case(
        "webhook.enabled without a signing secret",
        {"webhook": {"enabled": True}},
        {"webhook": {"enabled": True, "extraEnv": [{"name": "EXTEND_WEBHOOK_SECRET", **KEY}]}},
    ),
    "an unknown webhook port": Case(
        "config.webhook.port is 0", webhook({"webhook": {**SECRET_FILES, "port": 0}}), webhook()
    ),
    "one port for two": Case(
        "worker and webhook sidecar share one network",
        webhook({"admin": {"port": 8081}}),
        webhook({"admin": {"port": 8083}}),
    ),
    "a port twice in the sidecar": Case(
        "webhook.adminPort is a port of the worker or of the webhook itself",
        webhook(adminPort=8081),
        webhook(adminPort=8082),
    ),
    "a Secret of its own for a sidecar": Case(
        "webhook.existingSecret needs webhook.mode: deployment",
        webhook(existingSecret="s"),
        webhook(existingSecret="s", mode="deployment"),
    ),
    "an ingress to nothing": Case(
        "webhook.ingress.enabled, but webhook.enabled is not",
        {"webhook": {"ingress": {"enabled": True, "hosts": [HOST]}}},
        webhook(ingress={"enabled": True, "hosts": [HOST]}),
    ),
    "an ingress for every host": Case(
        "webhook.ingress.hosts is empty",
        webhook(ingress={"enabled": True}),
        webhook(ingress={"enabled": False}),
    ),
    "a route that no gateway takes": Case(
        "webhook.httpRoute needs parentRefs and hostnames",
        webhook(httpRoute={**ROUTE, "parentRefs": []}),
        webhook(httpRoute=ROUTE),
    ),
    "a certificate from nobody": Case(
        "webhook.certificate.issuer is empty",
        webhook(httpRoute=ROUTE, certificate={"enabled": True}),
        webhook(httpRoute=ROUTE, certificate=ISSUER),
    ),
    "a certificate for nothing": Case(
        "webhook.certificate has no host",
        webhook(certificate=ISSUER),
        webhook(certificate=ISSUER, ingress={"enabled": True, "hosts": [HOST]}),
    ),
    "input topics that nobody makes": Case(
        "topics.createInputs does nothing without topics.create",
        {"topics": {"createInputs": True}},
        {"topics": {"createInputs": True, "create": True}},
    ),
    "topics from a user that is not there yet": Case(
        "topics.create and strimzi.enabled exclude each other",
        {"topics": {"create": True}, "strimzi": {"enabled": True, "cluster": "kafka"}},
        {"topics": {"create": False}, "strimzi": {"enabled": True, "cluster": "kafka"}},
    ),
    "a user of no cluster": Case(
        "strimzi.cluster is empty", {"strimzi": {"enabled": True}}, {"strimzi": {"enabled": True, "cluster": "kafka"}}
    ),
}

cases = pytest.mark.parametrize("name", CASES)


def refusal(values: dict[str, Any]) -> str:
    """The sentence with which rendering ends."""
    return _refusal(json.dumps(values))


@cache
def _refusal(values: str) -> str:
    with pytest.raises(helm.HelmRenderError) as caught:
        render(json.loads(values))
    return str(caught.value)


@cases
def test_the_guard_fires_with_the_way_out(name: str, count: Count) -> None:
    said = refusal(smallest(**CASES[name].fires))
    assert CASES[name].sentence in said
    # A sentence about what is wrong, and one about what to do.
    assert re.search(r"[.:;,] ?\S.*\.$", said.partition("): ")[2] or said)
    count("chart: guards that fire and stay silent", name)


@cases
def test_the_guard_is_silent_where_nothing_is_wrong(name: str) -> None:
    assert render(smallest(**CASES[name].silent))


def sentences() -> Iterator[re.Pattern[str]]:
    """What each ``fail`` of the templates says, with any text in the place of what is filled in."""
    for path in sorted((CHART / "templates").glob("_guards*.tpl")):
        for text in re.findall(r'\bfail \(?(?:printf )?"((?:[^"\\]|\\.)*)"', path.read_text(encoding="utf-8")):
            parts = re.split(r"%[dsv]", text.replace('\\"', '"').replace("%%", "%"))
            yield re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def test_every_guard_has_a_case() -> None:
    said = [refusal(smallest(**case.fires)) for case in CASES.values()]
    patterns = list(sentences())
    assert len(patterns) > 35
    assert [each.pattern for each in patterns if not any(each.search(text) for text in said)] == []


def test_guards_stand_nowhere_else() -> None:
    others = [path for path in (CHART / "templates").rglob("*") if path.is_file() and "_guards" not in path.name]
    assert [path.name for path in others if re.search(r"\b(?:fail|required) ", path.read_text(encoding="utf-8"))] == []


# What a guard knows of the connector is what the connector does.


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_every_secret_of_the_connector_is_refused_in_the_configuration(path: tuple[str, ...]) -> None:
    section, key = path
    (_, file), _ = SECRETS[path]
    sections = {section: {**config().get(section, {}), key: ["a-secret"] if section == "webhook" else "a-secret"}}
    said = refusal(smallest(config=config(**sections)))
    assert f"config.{section}.{key} stands in a ConfigMap" in said
    assert f"config.{section}.{file}." in said


@pytest.mark.parametrize("variable", sorted({variable for _, variable in SECRETS.values()}))
def test_every_secret_of_the_connector_is_refused_as_the_value_of_a_variable(variable: str) -> None:
    assert f"extraEnv holds the value of {variable}" in refusal(
        smallest(extraEnv=[{"name": variable, "value": "a-secret"}])
    )


@pytest.mark.parametrize(
    "name",
    [
        "CONNECTOR__KAFKA__PROPERTIES__SASL_OAUTHBEARER_CLIENT_SECRET",
        "CONNECTOR__KAFKA__PROPERTIES__SSL_KEY_PASSWORD",
        "connector__kafka__properties__ssl_key_pem",
        "CONNECTOR__ROUTES__CLAIMS__CREATE__secrets__TOKEN",
    ],
)
@pytest.mark.parametrize("of", ["extraEnv", "webhook"])
def test_every_variable_with_the_name_of_a_secret_is_refused_with_a_value(name: str, of: str) -> None:
    def values(variable: dict[str, Any]) -> dict[str, Any]:
        return smallest(extraEnv=[variable]) if of == "extraEnv" else smallest(**webhook(extraEnv=[variable]))

    assert f"extraEnv holds the value of {name}" in refusal(values({"name": name, "value": "x"}))
    assert render(values({"name": name, **KEY}))


@pytest.mark.parametrize(
    "name",
    [
        "CONNECTOR__KAFKA__PASSWORD_FILE",
        "CONNECTOR__WEBHOOK__SECRET_FILES",
        "CONNECTOR__KAFKA__PROPERTIES__SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
    ],
)
def test_variables_that_name_a_file_or_an_address_may_have_a_value(name: str) -> None:
    assert render(smallest(extraEnv=[{"name": name, "value": "x"}]))


def test_the_variable_that_a_workflows_secret_is_sent_to_is_read(tmp_path: Path) -> None:
    route = {"run": "workflow", "processor": "workflow_abc123", "create": {"secrets": {"TOKEN": "x"}}}
    said = refusal(smallest(config=config(routes={"my.claims": route})))
    (variable,) = re.findall(r"CONNECTOR__\w+", said)
    values = smallest(config=config(routes={"my.claims": {**route, "create": {}}}))
    found = containers_of({**values, "extraEnv": [{"name": variable, **KEY}]}, tmp_path)
    assert dict(found[0].load().core_routes()[0].create)["secrets"] == {"TOKEN": "a-secret"}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_every_property_that_the_connector_refuses_is_refused_here(name: str) -> None:
    assert f"config.kafka.properties.{name} is refused" in refusal(smallest(config=kafka(**{name: "1"})))


@pytest.mark.parametrize("name", sorted(BROKER_SIDE))
def test_what_the_broker_decides_with_the_new_protocol_is_refused_here(name: str) -> None:
    values = smallest(config=kafka(group_protocol="consumer", **{name: "1"}))
    assert "KIP-848" in refusal(values)


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_the_plans_are_those_of_the_connector(plan: str) -> None:
    files = PLANS[plan].files_per_minute
    assert files is not None
    limit = int(files * 1440)
    extend = {"api_key_file": "/f", "plan": plan}
    assert render(smallest(config=config(extend=extend, start={"max_in_flight": limit})))
    said = refusal(smallest(config=config(extend=extend, start={"max_in_flight": limit + 1})))
    assert f"Lower config.start.max_in_flight to {limit}," in said


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [({"files_per_minute": 10}, 14_400), ({"get": 50}, 115_200), ({"files_per_minute": None}, 10_000_000)],
)
def test_limits_count_instead_of_the_plan(limits: dict[str, object], allowed: int) -> None:
    def values(limit: int) -> dict[str, Any]:
        return smallest(config=config(extend={"api_key_file": "/f", "limits": limits}, start={"max_in_flight": limit}))

    assert render(values(allowed))
    if allowed < 10_000_000:
        assert "Lower config.start.max_in_flight" in refusal(values(allowed + 1))


def test_the_most_workers_of_autoscaling_count_and_not_the_replicas() -> None:
    assert "autoscaling.maxReplicas is 5" in refusal(smallest(**scaling(maxReplicas=5), **PARTITIONS))
    assert render(smallest(**scaling(maxReplicas=4), **PARTITIONS, replicas=9))


def test_several_replicas_need_no_other_setting() -> None:
    assert render(smallest(replicas=3))


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"tag": "0.1.0"},
        {"tag": "v1.0.0-rc.1"},
        {"tag": "0.2.0.1"},
        {"tag": "edge"},
        {"digest": "sha256:" + "0" * 64},
    ],
    ids=str,
)
def test_webhooks_go_with_any_image(image: dict[str, str]) -> None:
    # Every version has the command, this one too; and a tag need not be a version.
    assert render(smallest(**webhook(), image=image))


def test_variables_from_elsewhere_may_hold_what_is_missed() -> None:
    anywhere = [{"secretRef": {"name": "s"}}]
    assert render(smallest(config=NO_KEY_FILE, extraEnvFrom=anywhere))
    assert render(smallest(webhook={"enabled": True}, extraEnvFrom=anywhere))
