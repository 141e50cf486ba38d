"""Everything that is wrong is said at once, with its key, its place and a way out."""

from __future__ import annotations

import pytest

from connector.config import parse
from tests.config.given import SMALLEST, parsed, problem, problems, read_file

WITHOUT_KEY = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nam: x", "nam: is unknown; did you mean name?"),
        ("kafka: {bootstrap.server: x}", "kafka.bootstrap.server: is unknown; did you mean bootstrap_servers?"),
        ("plan: scale", "plan: is unknown here; did you mean extend.plan?"),
        ("admin: {qqqqqq: 1}", "admin.qqqqqq: is unknown; the keys here are host, port"),
        ("routes: {a: {proccessor: x}}", "routes.a.proccessor: is unknown; did you mean processor?"),
        ("routes: {a: {dataRetention: {}}}", "routes.a.dataRetention: is unknown; it belongs under create"),
        ("routes: {a: {extractor: x}}", "routes.a.extractor: is unknown; name its id as processor"),
        ("<<: {name: x}", "<<: is unknown"),
        ("name: 5", 'name: must be a text; put it in quotes, for example "2.1"'),
        ("name: a/b", "name: must be 1 to 249 letters"),
        ("name: ..", "name: must be 1 to 249 letters"),
        ("name: ''", "name: must be 1 to 249 letters"),
        (
            "{name: " + "x" * 242 + ", output: {prefix: a}}",
            "name: is 1 characters too long: the topic that ends in .journal may have 249",
        ),
        (
            "output: {prefix: " + "x" * 240 + "}",
            "output.prefix: is 4 characters too long: the topic that ends in .needs",
        ),
        ("output: {prefix: a b}", "output.prefix: must be 1 to 249 letters"),
        ("output: {oversize: drop}", "output.oversize: must be"),
        ("output: {parse_hosts: ['https://a.com']}", "output.parse_hosts.0: must be a host in lower case"),
        ("output: {parse_hosts: [localhost]}", "output.parse_hosts.0: must be a host in lower case"),
        ("output: {parse_max_bytes: 6}", "output.parse_max_bytes: needs a unit"),
        ("log: 5", "log: must be a mapping with its keys below it"),
        ("kafka: {commit_linger: 20}", "kafka.commit_linger: needs a unit"),
        ("kafka: {commit_linger: 2s}", "kafka.commit_linger: must be from 0ms to 1s"),
        ("kafka: {transaction_timeout: 9s}", "kafka.transaction_timeout: must be from 10s to 15m"),
        ("kafka: {session_timeout: 5s}", "kafka.session_timeout: must be from 6s to 30m"),
        ("kafka: {properties: [a]}", "kafka.properties: must be a mapping of librdkafka's properties"),
        (
            "kafka: {properties: {linger.ms: [1]}}",
            "kafka.properties.linger.ms: must be a text, a number, true or false",
        ),
        ("kafka: {properties: {linger.ms: null}}", "kafka.properties.linger.ms: must be a text, a number, true"),
        ("kafka: {properties: {'Linger MS': 1}}", "kafka.properties.Linger MS: is no property of librdkafka"),
        (
            "kafka: {properties: {partition.assignment.strategy: 'cooperative-sticky, range'}}",
            "kafka.properties.partition.assignment.strategy: may not be range or roundrobin",
        ),
        (
            "kafka: {properties: {group.protocol: consumer, session.timeout.ms: 1}}",
            "kafka.properties.session.timeout.ms: is set at the broker when group.protocol is consumer",
        ),
        (
            "kafka: {properties: {group.protocol: consumer, partition.assignment.strategy: cooperative-sticky}}",
            "kafka.properties.partition.assignment.strategy: is set at the broker",
        ),
        (
            "kafka: {properties: {sasl.password: x}, password_file: /secrets/password}",
            "kafka.properties.sasl.password: may not be set beside the password",
        ),
        ("schema_registry: {url: 'registry:8081'}", "schema_registry.url: must begin with http:// or https://"),
        ("schema_registry: {url: 'http://a,http://b'}", "schema_registry.url: must begin with http:// or https://"),
        ("schema_registry: {url: 'http://u:p@r'}", "schema_registry.url: may not hold a user or password"),
        ("schema_registry: {url: 'http://r/?a=b'}", "schema_registry.url: may not hold ? or #"),
        ("schema_registry: {url: 'http://r:99999'}", "schema_registry.url: must be a URL"),
        ("schema_registry: {auto_register: never}", "schema_registry.url: is missing"),
        (
            "schema_registry: {url: 'http://r', username: 'a:b', password_file: /secrets/password}",
            "schema_registry.username: may not hold a colon",
        ),
        ("schema_registry: {url: 'http://r', username: a}", "schema_registry.password_file: is missing"),
        (
            "schema_registry: {url: 'http://r', password_file: /secrets/password}",
            "schema_registry.username: is missing",
        ),
        ("schema_registry: {url: 'https://r', key_file: k}", "schema_registry.certificate_file: is missing"),
        ("schema_registry: {url: 'http://r', ca_file: c}", "schema_registry.ca_file: has no use"),
        ("schema_registry: {url: 'http://r', password: x}", "schema_registry.password: does not belong into the file"),
        (
            "schema_registry: {url: 'http://r', token_file: /secrets/umlaut}",
            "schema_registry.token_file: holds a space or a character that an HTTP header cannot carry",
        ),
        (
            "schema_registry: {url: 'https://r', username: a, password_file: /secrets/old, token_file: /secrets/key}",
            "schema_registry.username: and a token exclude each other",
        ),
        ("extend: {plan: scal}", "extend.plan: must be payg, scale or enterprise"),
        ("extend: {plan: scale, limits: {get: 1}}", "extend.plan: and extend.limits exclude each other"),
        ("extend: {limits: {get: 0}}", "extend.limits.get: must be more than 0"),
        ("extend: {limits: {get: ten}}", "extend.limits.get: must be a number"),
        ("extend: {budget_share: 0%}", "extend.budget_share: must be from 1% to 100%"),
        ("extend: {budget_share: 0.8}", "extend.budget_share: needs a unit (%)"),
        ("extend: {base_url: 'ftp://x'}", "extend.base_url: must begin with https:// and name a host"),
        ("extend: {base_url: 'https://'}", "extend.base_url: must begin with https:// and name a host"),
        ("extend: {base_url: 'https://[x'}", "extend.base_url: must be a URL"),
        ("extend: {base_url: 'https://x:port'}", "extend.base_url: must be a URL"),
        ("extend: {base_url: 'http://api.extend.ai'}", "extend.base_url: must begin with https://: the key would"),
        ("extend: {base_url: 'http://localhost.evil'}", "extend.base_url: must begin with https://: the key would"),
        ("extend: {base_url: 'https://u:p@x'}", "extend.base_url: may not hold a user or password"),
        ("extend: {base_url: 'https://x?y=1'}", "extend.base_url: may not hold ? or #"),
        ("extend: {workspace_id: ' '}", "extend.workspace_id: must not be empty"),
        ("input: {start: latest}", "input.start: must be earliest, or an instant"),
        ("input: {start: 2026-12-01T00:00:00}", "input.start: must be earliest, or an instant"),
        ("input: {ordering: keys}", "input.ordering: must be none or key"),
        ("routes: {}", "routes: must name at least one"),
        ("routes: [a]", "routes: must be a mapping with names as its keys"),
        ("routes: {a b: {}}", "routes.a b: must be 1 to 249 letters"),
        ("routes: {a: {topic: b/c}}", "routes.a.topic: must be 1 to 249 letters"),
        ("routes: {a: {run: extrakt}}", "routes.a.run: extrakt is unknown; did you mean extract?"),
        ("routes: {a: {run: zzz}}", "routes.a.run: is none of the known names. The run types are extract, classify"),
        ("routes: {a: {run: extract, version: 2.1}}", "routes.a.version: must be a text; put it in quotes"),
        ("routes: {a: {run: extract, version: '2'}}", "routes.a.version: needs a processor that it is a version of"),
        ("routes: {a: {run: parse, processor: x}}", "routes.a.processor: does not go with parse runs"),
        ("routes: {a: {run: parse, version: '1'}}", "routes.a.version: does not go with parse runs"),
        ("routes: {a: {run: edit, processor: x, version: '1'}}", "routes.a.version: does not go with edit runs"),
        ("routes: {a: {run: workflow, config: {}}}", "routes.a.config: does not go with workflow runs"),
        ("routes: {a: {run: parse, priority: 5}}", "routes.a.priority: does not go with parse runs"),
        ("routes: {a: {priority: 0}}", "routes.a.priority: must be at least 1"),
        ("routes: {a: {priority: 101}}", "routes.a.priority: must be at most 100"),
        ("routes: {a: {priority: 5.5}}", "routes.a.priority: must be a whole number"),
        ("routes: {a: {priority: true}}", "routes.a.priority: must be a whole number"),
        ("routes: {a: {metadata: {kafka_connector: 1}}}", "routes.a.metadata: may not hold the key kafka_connector"),
        ("routes: {a: {metadata: {a: " + "x" * 10_000 + "}}}", "routes.a.metadata: is 10008 bytes of JSON"),
        ("routes: {a: {metadata: 5}}", "routes.a.metadata: must be a mapping"),
        ("routes: {a: {processor: x}}", "routes.a.processor: would never be used: the route has no run"),
        ("routes: {a: {create: {output: []}}}", "routes.a.create.output: is no create field of the run types; did"),
        ("routes: {a: {run: parse, create: {outputs: []}}}", "routes.a.create.outputs: does not go with parse runs"),
        ("routes: {a: {run: split, create: {zzz: 1}}}", "routes.a.create.zzz: is no create field of split runs"),
        (
            "routes: {a: {run: extract, fields: {urll: a}}}",
            "routes.a.fields.urll: is no field of a reference; did you mean",
        ),
        ("routes: {a: {run: extract, fields: {fileId: a}}}", "routes.a.fields.fileId: is no field of a reference; did"),
        (
            "routes: {a: {run: extract, fields: {zzz: a}}}",
            "routes.a.fields.zzz: is no field of a reference; there are url,",
        ),
        ("routes: {a: {run: extract, fields: {url: a.}}}", "routes.a.fields.url: is no path: a name is missing at its"),
        ("routes: {a: {run: extract, fields: {url: {path: a}}}}", "routes.a.fields.url: must be a path such as"),
        ("routes: {a: {run: extract, fields: [url]}}", "routes.a.fields: must be a mapping of fields of a reference"),
        (
            "routes: {a: {run: extract, fields: {url: a, file_id: b}}}",
            "routes.a.fields.file_id: url and file_id exclude each other",
        ),
        (
            "routes: {a: {run: extract, fields: {url: a, metadata: b, metadata.c: d}}}",
            "routes.a.fields.metadata.c: stands in metadata, which is mapped as a whole",
        ),
        (
            "routes: {a: {run: extract, fields: {url: a, metadata.c: b, 'metadata.`c`': d}}}",
            "routes.a.fields.metadata.`c`: is metadata.c in another spelling",
        ),
        (
            "routes: {a: {run: extract, fields: {url: a, metadata.b.c: d}}}",
            "routes.a.fields.metadata.b.c: must be metadata.<key>",
        ),
        ("routes: {a: {run: parse, fields: {url: a, processor: b}}}", "routes.a.fields.processor: parse runs take no"),
        ("routes: {a: {run: split, processor: x, fields: {text: b}}}", "routes.a.fields.text: split runs take no text"),
        (
            "routes: {a: {run: parse, fields: {url: a, create.outputs: b}}}",
            "routes.a.fields.create.outputs: parse runs",
        ),
        (
            "routes: {a: {run: extract, fields: {url: a, priority: {value: 101}}}}",
            "routes.a.fields.priority: a priority is 1 to 100",
        ),
        (
            "routes: {a: {run: extract, fields: {name: a}}}",
            "routes.a.fields.name: there is no url, file_id or text for",
        ),
        ("routes: {a: {run: extract, fields: {document_id: a}}}", "routes.a.fields: never makes a request: name the"),
        (
            "routes: {a: {run: classify, fields: {url: a}}}",
            "routes.a.fields: never makes a request: processor: classify",
        ),
        ("routes: {a: {fields: {url: a}}}", "routes.a.run: is missing: the route maps fields, and run is none of them"),
        ("routes: {a: {when: [type]}}", "routes.a.when: must be a mapping of conditions"),
        ("routes: {a: {when: {type: null}}}", "routes.a.when.type: is null, which counts as not there"),
        ("routes: {a: {when: {header(v): 2.1}}}", "routes.a.when.header(v): must be a text, in quotes"),
        (
            "routes: {a: {topic: t}, b: {topic: t}}",
            "routes.b: is never reached: the route a comes first and takes every",
        ),
        (
            "routes: {a: {topic: t, when: {x: [1, 2]}}, b: {topic: t, when: {y: 1, x: 2}}}",
            "routes.b: is never reached: the route a comes first and takes every record that this one would take",
        ),
        ("routes: {a: {topic: extend-connector.failed}}", "routes.a: needs the topic extend-connector.failed for"),
        ("routes: {extend-connector.journal: {}}", "routes.extend-connector.journal: needs the topic"),
        ("start: {on_unclear: drop}", "start.on_unclear: must be park or retry"),
        ("start: {max_attempts: 1}", "start.max_attempts: must be at least 2"),
        ("start: {settle: 19s}", "start.settle: must be at least start.deadline and 5s (20s)"),
        ("start: {deadline: 20m}", "start.deadline: must be from 1s to 5m"),
        ("start: {max_bytes: 256}", "start.max_bytes: needs a unit"),
        ("start: {max_bytes: 1kB}", "start.max_bytes: must be at least 1MB"),
        ("start: {max_open: 0}", "start.max_open: must be at least 1"),
        (
            "follow: {mode: webhook, sweep_interval: 10s, safety_interval: 5s}",
            "follow.safety_interval: is below follow.sweep_interval, so that webhooks would make lists be read more",
        ),
        ("follow: {on_timeout: cancel}", "follow.on_timeout: is cancel, and without follow.max_wait_ms no run ever"),
        ("follow: {reviews: yes}", "follow.reviews: must be true or false"),
        ("follow: {backoff_multiplier: 0.5}", "follow.backoff_multiplier: must be at least 1"),
        ("follow: {fast_poll_interval_ms: 0}", "follow.fast_poll_interval_ms: must be at least 1"),
        ("follow: {fast_poll_interval_ms: 10s}", "follow.fast_poll_interval_ms: must be a number"),
        ("admin: {port: 70000}", "admin.port: must be at most 65535"),
        ("admin: {port: 8081}", "webhook.port: is the port of the section admin too"),
        ("log: {level: loud}", "log.level: must be debug, info, warning or error"),
        ("webhook: {secret_files: /secrets/old}", "webhook.secret_files: must be a list"),
    ],
)
def test_a_mistake_is_said_with_its_key_and_line(text: str, said: str) -> None:
    found = problem(f"# first line\n{text}\n")
    assert str(found).startswith(f"c.yaml:2: {said}")


@pytest.mark.parametrize(
    "name",
    [
        "transactional.id",
        "client.id",
        "group.id",
        "isolation.level",
        "enable.auto.commit",
        "auto.offset.reset",
        "enable.auto.offset.store",
        "bootstrap.servers",
    ],
)
def test_a_property_that_the_guarantees_stand_on_is_refused_with_the_reason(name: str) -> None:
    found = problem(f"kafka: {{properties: {{{name}: x}}}}")
    assert found.path == f"kafka.properties.{name}"
    assert found.message.startswith("may not be set: ")


def test_everything_is_said_at_once_in_the_order_of_the_file() -> None:
    text = """
nam: x
kafka:
  commit_linger: 20
  properties: {group.id: x, client.id: y}
extend: {plan: scal, base_url: 5}
start: {settle: 1s, max_open: 0}
routes:
  a: {run: extrakt, priority: 1000}
  b: {run: parse, processor: x}
admin: {port: 1, port: 2}
"""
    environ = {"CONNECTOR__FOLLOW__MODE": "push", "CONNECTOR__START__DEADLIN": "1s", "CONNECTOR____X": "1"}
    found = problems(text, environ)
    assert [(each.source, each.line, each.path) for each in found] == [
        ("c.yaml", 2, "nam"),
        ("c.yaml", 3, "kafka.bootstrap_servers"),
        ("c.yaml", 4, "kafka.commit_linger"),
        ("c.yaml", 5, "kafka.properties.group.id"),
        ("c.yaml", 5, "kafka.properties.client.id"),
        ("c.yaml", 6, "extend.base_url"),
        ("c.yaml", 6, "extend.plan"),
        ("c.yaml", 6, "extend.api_key_file"),
        ("c.yaml", 7, "start.max_open"),
        ("c.yaml", 7, "start.settle"),
        ("c.yaml", 9, "routes.a.run"),
        ("c.yaml", 9, "routes.a.priority"),
        ("c.yaml", 10, "routes.b.processor"),
        ("c.yaml", 11, "admin.port"),
        ("CONNECTOR__FOLLOW__MODE", None, "follow.mode"),
        ("CONNECTOR__START__DEADLIN", None, "start.deadlin"),
        ("CONNECTOR____X", None, ""),
    ]


@pytest.mark.parametrize("servers", ["a b:1", "a:1,", "a:70000", "a:0", ":9092", "u:p@a:1", "https:///x", "a:1 b:2"])
def test_what_is_no_list_of_servers_is_refused(servers: str) -> None:
    found = problem(None, {**SMALLEST, "KAFKA_BOOTSTRAP_SERVERS": servers})
    assert str(found).startswith("KAFKA_BOOTSTRAP_SERVERS: kafka.bootstrap_servers: must be host:port")


@pytest.mark.parametrize("servers", ["a", "a:1", "a:1, b:2", "SSL://a:1", "[::1]:9092", "kafka-0.kafka.svc:9092"])
def test_a_list_of_servers_is_taken(servers: str) -> None:
    config = parsed(None, {**SMALLEST, "KAFKA_BOOTSTRAP_SERVERS": servers}).config
    assert config.kafka.bootstrap_servers == servers.replace(" ", "")


def test_nothing_is_said_that_only_follows_from_another_mistake() -> None:
    assert problem("start: {deadline: 99, settle: 2s}").path == "start.deadline"
    assert problem("extend: {api_key_file: /secrets/empty}", WITHOUT_KEY).path == "extend.api_key_file"
    assert problem("name: a/b").path == "name"


def test_what_is_missing_is_said_with_its_variable() -> None:
    assert [str(found) for found in problems(None, {})] == [
        "kafka.bootstrap_servers: is missing; set it in the file, or set KAFKA_BOOTSTRAP_SERVERS",
        "extend.api_key_file: is missing; set it in the file, or set EXTEND_API_KEY",
    ]


@pytest.mark.parametrize("text", ["a: [1", "- a\n- b", "just text", "5"])
def test_of_a_file_that_cannot_be_read_only_that_is_said(text: str) -> None:
    assert problem(text, {}).line is not None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CONNECTOR__KAFKA__COMMIT_LINGER": "20"}, "CONNECTOR__KAFKA__COMMIT_LINGER: kafka.commit_linger: needs a"),
        ({"CONNECTOR__ADMIN__PORT": "http"}, "CONNECTOR__ADMIN__PORT: admin.port: must be a whole number"),
        ({"CONNECTOR__ADMIN__PORT": "[1"}, "CONNECTOR__ADMIN__PORT:1: is no YAML"),
        ({"CONNECTOR__KAFK__X": "1"}, "CONNECTOR__KAFK__X: kafk: is unknown; did you mean kafka?"),
        ({"CONNECTOR__": "1"}, "CONNECTOR__: names no setting"),
        (
            {"CONNECTOR__NAME": "a", "CONNECTOR__name": "b"},
            "CONNECTOR__name: name: is set twice, also by CONNECTOR__NAME",
        ),
        ({"CONNECTOR__NAME__X": "a"}, "CONNECTOR__NAME__X: name: must be a text"),
        ({"SCHEMA_REGISTRY_URL": "x"}, "SCHEMA_REGISTRY_URL: schema_registry.url: must begin with http"),
        ({"EXTEND_BASE_URL": "http://x"}, "EXTEND_BASE_URL: extend.base_url: must begin with https://"),
        ({"EXTEND_API_KEY": "sk one"}, "EXTEND_API_KEY: extend.api_key: holds a space"),
        ({"EXTEND_API_KEY": "  "}, "EXTEND_API_KEY: extend.api_key: is empty"),
        ({"EXTEND_WEBHOOK_SECRET": "a\nb"}, "EXTEND_WEBHOOK_SECRET: webhook.secrets: holds more than one line"),
        ({"CONNECTOR__EXTEND__API_KEY__X": "y"}, "CONNECTOR__EXTEND__API_KEY__X"),
    ],
)
def test_a_mistake_in_a_variable_is_said_with_its_name(environ: dict[str, str], said: str) -> None:
    assert str(problem(None, {**SMALLEST, **environ})).startswith(said)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/secrets/nowhere", "names a file that cannot be read: no such file or directory (/secrets/nowhere)"),
        ("/secrets/empty", "names a file that is empty (/secrets/empty)"),
        ("/secrets/lines", "names a file that holds more than one line"),
        ("/secrets/binary", "names a file that is no UTF-8 text"),
        ("/secrets/large", "names a file of more than 65536 bytes"),
        ("/secrets/umlaut", "holds a space or a character that an HTTP header cannot carry"),
    ],
)
def test_a_file_that_holds_no_secret_is_said(path: str, said: str) -> None:
    found = problem(f"extend:\n  api_key_file: {path}\n", WITHOUT_KEY)
    assert str(found).startswith(f"c.yaml:2: extend.api_key_file: {said}")


def test_of_several_secret_files_the_wrong_one_is_said() -> None:
    found = problem("webhook:\n  secret_files:\n    - /secrets/old\n    - /secrets/empty\n")
    assert (found.path, found.line) == ("webhook.secret_files.1", 4)


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("extend: {api_key: sk_canary}", "EXTEND_API_KEY"),
        ("kafka: {password: canary}", "CONNECTOR__KAFKA__PASSWORD"),
        ("webhook: {secrets: [canary]}", "EXTEND_WEBHOOK_SECRET"),
    ],
)
def test_a_secret_in_the_file_is_refused(text: str, variable: str) -> None:
    found = problem(text)
    assert "does not belong into the file" in found.message
    assert variable in found.message
    assert "canary" not in str(found)


TYPED = "{run: extract, output: {typed: true, prefix: own, schema_file: a.avsc}}"


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("{a: {output: {typed: true, prefix: own, schema_file: a.avsc}}}", "a.output.typed: needs a run: without it"),
        (
            "{a: {run: workflow, processor: w, output: {typed: true, prefix: own, schema_file: a.avsc}}}",
            "a.output.typed: does not go with workflow runs: the output of a workflow is a list of its steps",
        ),
        (
            "{a: {run: edit, output: {typed: true, prefix: own, schema_file: a.avsc}}}",
            "a.output.typed: does not go with edit runs: the output of an edit run is a file",
        ),
        (
            "{a: {run: extract, output: {typed: true, prefix: own}}}",
            "a.output.schema_file: is missing: name the file that `extend-connector schemas generate --route a`",
        ),
        (
            "{a: {run: extract, output: {typed: true, schema_file: a.avsc}}}",
            "a.output.prefix: must be the route's own, for example a: a topic of typed results has one schema",
        ),
        (
            "{a-b: " + TYPED + ", a.b: " + TYPED.replace("own", "other") + "}",
            "a.b: cannot have typed results beside the route a-b: in Avro both names become a_b",
        ),
        ("{a: " + TYPED + ", b: {output: {prefix: own}}}", "a.output.prefix: must be the route's own, for example a"),
        ("{a: {output: {prefix: " + "x" * 240 + "}}}", "a.output.prefix: is 4 characters too long"),
        ("{a: {topic: own.failed}, b: {output: {prefix: own}}}", "a: needs the topic own.failed for input and results"),
    ],
)
def test_typed_results_need_a_schema_and_topics_of_their_own(routes: str, said: str) -> None:
    assert str(problem(f"routes: {routes}")).startswith(f"c.yaml:1: routes.{said}")


def test_a_typed_route_beside_others_is_right() -> None:
    found = parsed("{name: n, routes: {a: " + TYPED + ", b: {}, c: {output: {prefix: other}}}}")
    assert not found.warnings
    assert found.config.prefixes() == {"a": "own", "b": "n", "c": "other"}
    topics = found.config.result_topics()
    assert [topic for topic in topics if topic.endswith(".processed")] == [
        "n.processed",
        "own.processed",
        "other.processed",
    ]
    assert set(topics) <= set(found.config.topic_plan().names())


def test_a_schema_that_is_not_used_is_told() -> None:
    (warning,) = parsed("routes: {a: {output: {schema_file: a.avsc}}}").warnings
    assert str(warning).endswith("routes.a.output.schema_file: is not used: it goes with typed: true")


def test_a_registry_that_names_by_record_needs_no_prefix_of_a_route() -> None:
    """Also for a command that does not ask the registry, and takes its section as if it were not there."""
    routes = "routes: {a: {run: extract, output: {typed: true, schema_file: a.avsc}}, b: {}}"
    registry = "schema_registry: {url: 'http://registry', subject_naming: topic-record}"
    text = f"{{name: n, {routes}, {registry}}}"
    assert parse(text, SMALLEST, read_file, unneeded={"schema_registry"}).config.schema_registry.url == ""
    assert not parsed(f"{{name: n, {routes}, {registry}}}").warnings
    assert (
        problem(f"{{name: n, {routes}, {registry.replace('topic-record', 'topic')}}}").path == "routes.a.output.prefix"
    )
