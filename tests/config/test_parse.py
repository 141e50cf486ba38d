"""What a file and an environment come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from connector.config.reference import rows
from connector.core.accept.reference import ReferenceDecoder
from connector.core.accept.request import resolve
from connector.core.formats.framing import Codec
from connector.core.record import Partition, Record
from connector.core.route import Route
from connector.core.tag import tag_of
from connector.schema_files import load_schema
from tests.config.given import SMALLEST, parsed

DESIGN = """
name: invoices
kafka:
  bootstrap_servers: localhost:9092
  properties: {security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, sasl.username: invoices}
  password_file: /secrets/password
  commit_linger: 20ms
extend:
  api_key_file: /secrets/key
  base_url: https://api.extend.ai
  plan: scale
input: {start: 2026-12-01T00:00:00Z, ordering: key}
routes:
  documents: {topic: documents-in, run: extract, processor: ex_abc123, version: "2.1"}
  parses: {run: parse, create: {dataRetention: {mode: none}}}
start:  {on_unclear: park, settle: 10m, deadline: 15s, max_in_flight: 20000}
follow: {mode: poll, on_timeout: emit, reviews: false, max_wait_ms: 60000}
output: {prefix: documents}
webhook: {port: 8082, secret_files: [/secrets/old, /secrets/new]}
admin: {port: 8081}
"""


def test_the_file_of_the_readme_is_taken() -> None:
    config = parsed(DESIGN, {}).config
    assert config.name == "invoices"
    assert config.kafka.commit_linger == 0.02
    assert config.kafka.properties["sasl.username"] == "invoices"
    assert config.kafka.password is not None
    assert config.kafka.password.reveal() == " pass word "
    assert config.extend.api_key.reveal() == "sk_from_file"
    assert config.extend.api_key_file == "/secrets/key"
    assert config.extend.budget.get == 20.0
    assert config.extend.budget.files_per_minute == 96.0
    assert config.input.start == datetime(2026, 12, 1, tzinfo=UTC)
    assert config.input.start_ms == 1_796_083_200_000
    assert config.follow.polling.max_wait_ms == 60_000
    assert [secret.reveal() for secret in config.webhook.secrets] == ["wss_old", "wss_new"]
    assert config.core_routes() == (
        Route("documents", "documents-in", "extract", "ex_abc123", "2.1"),
        Route("parses", "parses", "parse", create=config.routes["parses"].create),
    )
    assert dict(config.core_routes()[1].create) == {"dataRetention": {"mode": "none"}}


def test_the_four_short_variables_suffice() -> None:
    environ = {**SMALLEST, "EXTEND_BASE_URL": "http://127.0.0.1:8090/", "EXTEND_WEBHOOK_SECRET": "wss_1\n"}
    config = parsed(None, environ).config
    assert config.name == config.output.prefix == "extend-connector"
    assert config.core_routes() == (Route("documents", "documents"),)
    assert config.kafka.bootstrap_servers == "localhost:9092"
    assert config.extend.api_key.reveal() == "sk_test"
    assert config.extend.base_url == "http://127.0.0.1:8090"
    assert [secret.reveal() for secret in config.webhook.secrets] == ["wss_1"]
    assert config.input.start_ms is None


@pytest.mark.parametrize(
    ("plan", "rate", "files"), [(None, 8.0, 64.0), ("payg", 8.0, 64.0), ("scale", 20, 96), ("enterprise", 60, 240)]
)
def test_the_budget_is_the_share_of_the_plan(plan: str | None, rate: float, files: float) -> None:
    budget = parsed(f"extend: {{plan: {plan or 'null'}}}").config.extend.budget
    assert (budget.get, budget.write, budget.run, budget.files_per_minute) == (rate, rate, rate, files)


def test_a_limit_of_null_is_none() -> None:
    text = "extend: {limits: {get: 40, run: null, files_per_minute: null}, budget_share: 50%}"
    budget = parsed(text).config.extend.budget
    assert (budget.get, budget.write, budget.run, budget.files_per_minute) == (20.0, 5.0, None, None)


@pytest.mark.parametrize("text", [None, "", "kafka:\nextend:\nroutes:\nadmin:\n", "# empty\n"])
def test_what_is_blank_has_its_defaults(text: str | None) -> None:
    assert parsed(text).config == parsed(None).config


def test_a_route_with_nothing_below_it_has_its_defaults() -> None:
    assert parsed("routes: {a: , b: {}}").config.core_routes() == (Route("a", "a"), Route("b", "b"))


@pytest.mark.parametrize(
    ("variable", "value", "key", "found"),
    [
        ("CONNECTOR__NAME", "123", ("name",), "123"),
        ("connector__name", "other", ("name",), "other"),
        ("CONNECTOR__KAFKA__COMMIT_LINGER", "5ms", ("kafka", "commit_linger"), 0.005),
        ("CONNECTOR__Start__Max_In_Flight", "7", ("start", "max_in_flight"), 7),
        ("CONNECTOR__FOLLOW__REVIEWS", "false", ("follow", "reviews"), False),
        ("CONNECTOR__FOLLOW__MAX_WAIT_MS", "1000", ("follow", "max_wait_ms"), 1000.0),
        ("CONNECTOR__EXTEND__LIMITS__GET", "5", ("extend", "limits", "get"), 5.0),
        ("CONNECTOR__EXTEND", '{"plan": "scale"}', ("extend", "plan"), "scale"),
        ("CONNECTOR__WEBHOOK__SECRET_FILES", "[/secrets/old]", ("webhook", "secret_files"), ("/secrets/old",)),
        ("CONNECTOR__INPUT__START", "2026-12-01T00:00:00Z", ("input", "start"), datetime(2026, 12, 1, tzinfo=UTC)),
        ("CONNECTOR__LOG__LEVEL", "debug", ("log", "level"), "debug"),
    ],
)
def test_every_key_is_a_variable(variable: str, value: str, key: tuple[str, ...], found: object) -> None:
    at: object = parsed(None, {**SMALLEST, variable: value}).config
    for name in key:
        at = getattr(at, name)
    assert at == found


def test_routes_are_set_by_variables() -> None:
    environ = {
        **SMALLEST,
        "CONNECTOR__ROUTES__documents__RUN": "extract",
        "CONNECTOR__ROUTES__documents__PROCESSOR": "ex_1",
        "CONNECTOR__ROUTES__documents__VERSION": "2.10",
        "CONNECTOR__ROUTES__documents__METADATA__Team": "billing",
        "CONNECTOR__ROUTES__documents__PRIORITY": "5",
    }
    (route,) = parsed(None, environ).config.core_routes()
    assert (route.run, route.processor, route.version, route.priority) == ("extract", "ex_1", "2.10", 5)
    assert dict(route.metadata) == {"Team": "billing"}


def test_a_variable_finds_the_route_of_the_file_in_any_case() -> None:
    text = "routes: {My-Route.1: {run: parse}}"
    environ = {**SMALLEST, "CONNECTOR__ROUTES__MY_ROUTE_1__TOPIC": "other"}
    assert parsed(text, environ).config.core_routes() == (Route("My-Route.1", "other", "parse"),)


def test_a_property_is_set_by_a_variable() -> None:
    environ = {
        **SMALLEST,
        "CONNECTOR__KAFKA__PROPERTIES": '{"security.protocol": "SSL", "linger.ms": 5}',
        "CONNECTOR__KAFKA__PROPERTIES__SSL_CA_LOCATION": "/ca.pem",
    }
    properties = parsed("kafka: {properties: {client.rack: a, linger.ms: 1}}", environ).config.kafka.properties
    assert dict(properties) == {
        "client.rack": "a",
        "linger.ms": 5,
        "security.protocol": "SSL",
        "ssl.ca.location": "/ca.pem",
    }


def test_the_environment_beats_the_file_and_the_long_name_the_short_one() -> None:
    text = "kafka: {bootstrap_servers: 'file:1'}\nextend: {base_url: 'https://file', plan: scale}"
    environ = {
        **SMALLEST,
        "EXTEND_BASE_URL": "https://short",
        "KAFKA_BOOTSTRAP_SERVERS": "short:1",
        "CONNECTOR__KAFKA__BOOTSTRAP_SERVERS": "long:1",
    }
    config = parsed(text, environ).config
    assert config.kafka.bootstrap_servers == "long:1"
    assert config.extend.base_url == "https://short"
    assert config.extend.plan == "scale"


def test_a_variable_without_a_value_counts_as_not_set() -> None:
    environ = {**SMALLEST, "EXTEND_BASE_URL": "", "CONNECTOR__NAME": "", "CONNECTOR__NONSENSE": ""}
    assert parsed(None, environ).config == parsed(None).config


def test_variables_with_one_underscore_are_somebody_elses() -> None:
    environ = {**SMALLEST, "CONNECTOR_STOP_AT": "x:stop", "CONNECTOR_CONFIG": "y", "CONNECTORX__A": "z"}
    assert parsed(None, environ).config == parsed(None).config


@pytest.mark.parametrize(
    ("text", "environ", "warning"),
    [
        ("extend: {api_key_file: /secrets/missing}", {}, "c.yaml:1: extend.api_key_file: is not used"),
        ("extend: {plan: scale}", {"CONNECTOR__EXTEND__LIMITS__GET": "5"}, "c.yaml:1: extend.plan: is not used"),
        (
            None,
            {"CONNECTOR__EXTEND__API_KEY_FILE": "/secrets/key"},
            "EXTEND_API_KEY: extend.api_key: is not used",
        ),
    ],
)
def test_of_two_that_exclude_each_other_the_higher_place_is_taken(
    text: str | None, environ: dict[str, str], warning: str
) -> None:
    found = parsed(text, {**SMALLEST, **environ})
    assert str(found.warnings[0]).startswith(warning)
    assert found.config.extend.api_key.reveal() == ("sk_from_file" if text is None else "sk_test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start: {settle: 30s}", "start.settle: is short"),
        ("start: {on_unclear: retry}", "start.on_unclear: is retry"),
        ("start: {deadline: 30s}", "start.deadline: is longer than the 20s"),
        ("kafka: {session_timeout: 10s}", "kafka.session_timeout: is short"),
        (
            "kafka: {session_timeout: 30s, properties: {group.protocol: consumer}}",
            "kafka.session_timeout: is not used",
        ),
        ("follow: {max_delay_ms: 10}", "follow.max_delay_ms: is below initial_delay_ms"),
        ("output: {parse_hosts: [a.com]}", "output.parse_hosts: is not used: it goes with output.parse_by_url"),
        ("output: {parse_by_url: true}", "output.parse_hosts: names no host: only links to the host of extend"),
        ("follow: {safety_interval: 10s}", "follow.safety_interval: is not used: it goes with follow.mode webhook"),
        ("kafka: {properties: {sasl.password: x}}", "plain text; set kafka.password_file"),
        ("kafka: {properties: {ssl.key.password: x}}", "plain text; set it by an environment variable"),
        ("routes: {a: {run: workflow, create: {secrets: {token: x}}}}", "holds a secret"),
    ],
)
def test_what_a_person_should_know_is_a_warning(text: str, words: str) -> None:
    (warning,) = parsed(text).warnings
    assert words in str(warning)
    assert str(warning).startswith("c.yaml:1: ")


def test_nothing_is_said_about_a_good_configuration() -> None:
    assert parsed(DESIGN, {}).warnings == ()


def test_every_value_knows_where_it_comes_from() -> None:
    found = parsed(DESIGN, {"CONNECTOR__ADMIN__PORT": "1", "CONNECTOR__EXTEND": "{workspace_id: ws_1}"})
    assert found.source(("name",)) == "c.yaml:2"
    assert found.source(("kafka", "commit_linger")) == "c.yaml:7"
    assert found.source(("kafka", "password")) == "c.yaml:6"
    assert found.source(("kafka", "session_timeout")) == "default"
    assert found.source(("routes", "parses", "create", "dataRetention", "mode")) == "c.yaml:15"
    assert found.source(("admin", "port")) == "CONNECTOR__ADMIN__PORT"
    assert found.source(("extend", "workspace_id")) == "CONNECTOR__EXTEND"
    assert found.source(("extend", "plan")) == "c.yaml:11"


def test_a_secret_with_a_byte_order_mark_is_read() -> None:
    config = parsed("extend: {api_key_file: /secrets/bom}", {"KAFKA_BOOTSTRAP_SERVERS": "a"}).config
    assert config.extend.api_key.reveal() == "sk_bom"


def test_a_configuration_never_changes() -> None:
    config = parsed("routes: {a: {run: parse, config: {blockOptions: {x: [1]}}, metadata: {a: {b: 1}}}}").config
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"
    (route,) = config.core_routes()
    assert route.config is not None
    for mapping in (route.config, route.metadata, route.config["blockOptions"]):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]  # what a read-only mapping refuses


def test_a_route_of_the_file_makes_a_create_request() -> None:
    text = """
routes:
  a:
    run: workflow
    processor: workflow_1
    priority: 5
    metadata: {team: {name: billing, ids: [1, 2.5, true, null]}}
    create: {secrets: {token: t}, outputs: [{processorId: p, output: {value: {}}}]}
"""
    routes = parsed(text).config.core_routes()
    record = Record(Partition("a", 0), 7, None, b'{"url": "https://example.com/a.pdf"}')
    tag = tag_of("invoices", "topic-id", record)
    decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
    body = json.loads(resolve(record, routes, tag, decoder).body)
    assert body["workflow"] == {"id": "workflow_1"}
    assert body["secrets"] == {"token": "t"}
    assert body["outputs"] == [{"processorId": "p", "output": {"value": {}}}]
    assert body["metadata"]["team"] == {"name": "billing", "ids": [1, 2.5, True, None]}
    assert body["priority"] == 5


def test_a_mapped_route_of_file_and_environment_makes_a_create_request() -> None:
    text = """
routes:
  bills:
    topic: orders
    run: extract
    when: {type: [bill, invoice], header(source): erp, draft: {exists: false}}
    fields:
      url: payload.location
      document_id: id
      metadata.customer: customer.`full name`?
      metadata.tags: {value: [a, {b: 1}]}
"""
    environ = {**SMALLEST, "CONNECTOR__ROUTES__BILLS__FIELDS__name": "header(file-name)?"}
    found = parsed(text, environ)
    value = b'{"type": "bill", "id": 7, "payload": {"location": "https://example.com"}, "customer": {"full name": "A"}}'
    record = Record(Partition("orders", 0), 7, None, value, (("source", b"erp"), ("file-name", b"a.pdf")))
    decoder = ReferenceDecoder(Codec(load_schema("document_reference")))
    request = resolve(record, found.config.core_routes(), None, decoder)
    assert (request.route, request.document_id) == ("bills", "7")
    assert json.loads(request.body) == {
        "file": {"url": "https://example.com", "name": "a.pdf"},
        "metadata": {"customer": "A", "tags": ["a", {"b": 1}]},
    }
    shown = {row.key: row.shown for row in rows(found)}
    assert shown["routes.bills.fields.url"] == "payload.location"
    assert shown["routes.bills.fields.name"] == "header(file-name)?"
    assert shown["routes.bills.when.header(source)"] == "erp"
