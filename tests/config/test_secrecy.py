"""Whatever is written, the answer is a configuration or a list of problems, and no secret shows anywhere."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connector.config import Config, Parsed, parse
from connector.config.document import page
from connector.config.environment import PREFIX
from connector.config.keys import known_keys
from connector.config.reference import json_schema, rows
from connector.core.errors import ConfigurationError
from tests.config.given import FILES, read_file

CANARY = "cAnArY"

KEYS = sorted({name for path in known_keys() for name in path if name != "<name>"} | {"nonsense", "a b", "", "0"})
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["15s", "10m", "256MB", "80%", "extract", "parse", "scale", "earliest", "*x", "!t", *FILES]),
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=25,
)
VARIABLES = st.dictionaries(
    st.one_of(
        st.lists(st.sampled_from(KEYS), max_size=4).map(lambda parts: PREFIX + "__".join(parts).upper()),
        st.sampled_from(["KAFKA_BOOTSTRAP_SERVERS", "EXTEND_API_KEY", "EXTEND_BASE_URL", "EXTEND_WEBHOOK_SECRET"]),
    ),
    st.one_of(st.text(max_size=20), st.sampled_from(["a:1", "sk_x", "15s", "1", "{}", "[]", "{a: {}}", "https://x"])),
    max_size=5,
)


def outcome(text: str | None, environ: Mapping[str, str]) -> Parsed | ConfigurationError:
    try:
        return parse(text, environ, read_file)
    except ConfigurationError as error:
        return error


@given(tree=TREES, environ=VARIABLES)
def test_any_tree_is_a_configuration_or_problems(tree: object, environ: dict[str, str]) -> None:
    found = outcome(yaml.safe_dump(tree, allow_unicode=True), environ)
    if isinstance(found, ConfigurationError):
        assert found.problems
        assert all(problem.message and "\n" not in str(problem) for problem in found.problems)
    else:
        assert isinstance(found.config, Config)
        assert found.config.core_routes()
        assert rows(found)


@given(text=st.text(max_size=200), environ=VARIABLES)
def test_any_text_is_a_configuration_or_problems(text: str, environ: dict[str, str]) -> None:
    found = outcome(text, environ)
    assert isinstance(found, Parsed) or found.problems


@given(name=st.text(max_size=10), content=st.binary(max_size=50))
def test_any_secret_file_is_a_configuration_or_problems(name: str, content: bytes) -> None:
    text = json.dumps({"kafka": {"bootstrap_servers": "a", "password_file": name}, "extend": {"api_key_file": name}})
    try:
        found: Any = parse(text, {}, lambda _: content)
    except ConfigurationError as error:
        found = error
    assert isinstance(found, Parsed) or found.problems


SPILLS = [
    {"EXTEND_API_KEY": f"sk_{CANARY}"},
    {"EXTEND_API_KEY": f"sk {CANARY}"},
    {"EXTEND_API_KEY": f"sk_{CANARY}\n{CANARY}"},
    {"EXTEND_WEBHOOK_SECRET": f"wss_{CANARY}"},
    {"EXTEND_WEBHOOK_SECRET": f"wss_{CANARY}\nx"},
    {"CONNECTOR__EXTEND__API_KEY": f"*{CANARY}"},
    {"CONNECTOR__EXTEND": f"{{api_key: {CANARY}}}"},
    {"CONNECTOR__EXTEND": f"{{api_key: {CANARY}"},
    {"CONNECTOR__EXTEND": f"{{api_key: *{CANARY}}}"},
    {"CONNECTOR__EXTEND": f"{{api_key: [{CANARY}]}}"},
    {"CONNECTOR__EXTEND": f"api_key: '{CANARY}"},
    {"CONNECTOR__EXTEND": CANARY},
    {"CONNECTOR__KAFKA": f"{{password: {{x: {CANARY}}}}}"},
    {"CONNECTOR__KAFKA__PASSWORD": CANARY},
    {"CONNECTOR__KAFKA__PASSWORD__X": CANARY},
    {"CONNECTOR__KAFKA__PROPERTIES__SASL_PASSWORD": CANARY},
    {"CONNECTOR__KAFKA__PROPERTIES": f'{{"ssl.key.password": {CANARY}, "some.new.thing": {CANARY}}}'},
    {"CONNECTOR__KAFKA__PROPERTIES": f'{{"sasl.password": [{CANARY}]}}'},
    {"CONNECTOR__KAFKA__PROPERTIES": CANARY},
    {"CONNECTOR__KAFKA__BOOTSTRAP_SERVERS": f"user:{CANARY}@host:9092"},
    {"CONNECTOR__EXTEND__BASE_URL": f"https://user:{CANARY}@host"},
    {"CONNECTOR__EXTEND__PLAN": f"sk_{CANARY}"},
    {"CONNECTOR__ROUTES__A__RUN": f"sk_{CANARY}"},
    {"CONNECTOR__INPUT__START": CANARY},
    {"CONNECTOR__START__SETTLE": CANARY},
    {"CONNECTOR__NAME": f"sk {CANARY}"},
    {"CONNECTOR__ROUTES": f"{{a: {{run: workflow, processor: w, create: {{secrets: {{token: {CANARY}}}}}}}}}"},
    {"CONNECTOR__ROUTES__A__CREATE__SECRETS": f"[{CANARY}]"},
    {"CONNECTOR__ROUTES__A__FIELDS__SECRETS": f"[{CANARY}]"},
    {"CONNECTOR__ROUTES__A__CREATE__secrets": f"[{CANARY}]"},
    {"CONNECTOR__ROUTES__A__FIELDS__secrets": f"[{CANARY}]"},
    {"CONNECTOR__ROUTES__A__CREATE__secrets": CANARY},
    {"CONNECTOR__ROUTES__A__FIELDS__secrets": CANARY},
    {"CONNECTOR__ROUTES__A__FIELDS": CANARY},
    {"CONNECTOR__ROUTES__A__CREATE__secrets__TOKEN": CANARY},
    {"CONNECTOR__ROUTES__A__FIELDS__secrets__TOKEN": CANARY},
    {"CONNECTOR__WEBHOOK__SECRETS": f"wss_{CANARY}"},
    {"SCHEMA_REGISTRY_URL": f"http://user:{CANARY}@r"},
    {"SCHEMA_REGISTRY_URL": "http://r", "CONNECTOR__SCHEMA_REGISTRY__PASSWORD": CANARY},
    {"SCHEMA_REGISTRY_URL": "http://r", "CONNECTOR__SCHEMA_REGISTRY__TOKEN": CANARY},
    {"SCHEMA_REGISTRY_URL": "http://r", "CONNECTOR__SCHEMA_REGISTRY__TOKEN": f"two {CANARY}"},
    {"SCHEMA_REGISTRY_URL": "http://r", "CONNECTOR__SCHEMA_REGISTRY": f"{{token: {CANARY}, username: {CANARY}}}"},
    {"CONNECTOR__WEBHOOK": f"{{secrets: {CANARY}}}"},
]


@pytest.mark.parametrize("environ", SPILLS, ids=lambda environ: next(iter(environ)))
@pytest.mark.parametrize("in_file", [False, True], ids=["environment", "both"])
def test_a_secret_never_shows(environ: dict[str, str], in_file: bool) -> None:  # noqa: FBT001 - a table
    around = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "EXTEND_API_KEY": f"sk_{CANARY}", **environ}
    text = None
    if in_file:
        text = (
            f"kafka: {{properties: {{sasl.password: {CANARY}, ssl.key.pem: {CANARY}}}}}\nextend: {{workspace_id: ws}}\n"
        )
    found = outcome(text, around)
    if isinstance(found, ConfigurationError):
        forms = [str(found), repr(found), repr(found.problems)]
    else:
        config = found.config
        forms = [
            repr(found),
            str(config),
            repr(config.core_routes()),
            repr(config.model_dump()),
            config.model_dump_json(),
            repr(rows(found)),
            pickle.dumps(config).decode("latin-1"),
            *map(str, found.warnings),
        ]
    assert not [form for form in forms if CANARY in form]


def test_the_secrets_themselves_arrive() -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "a:1",
        "EXTEND_API_KEY": "sk_1",
        "CONNECTOR__KAFKA__PASSWORD": "p",
        "SCHEMA_REGISTRY_URL": "https://r",
        "CONNECTOR__SCHEMA_REGISTRY__TOKEN": "r",
        "CONNECTOR__KAFKA__PROPERTIES__SSL_KEY_PASSWORD": "q",
        "CONNECTOR__ROUTES__a__RUN": "workflow",
        "CONNECTOR__ROUTES__a__CREATE__secrets__TOKEN": "t",
    }
    config = parse(None, environ, read_file).config
    assert config.kafka.password is not None
    assert config.kafka.password.reveal() == "p"
    assert config.kafka.properties["ssl.key.password"] == "q"
    assert {secret.reveal() for secret in config.secrets()} == {"sk_1", "p", "q", "r", "t"}
    assert dict(config.core_routes()[0].create["secrets"]) == {"TOKEN": "t"}  # type: ignore[call-overload]  # a mapping


def test_the_reference_and_the_schema_hold_no_value_of_anybody() -> None:
    assert CANARY not in page() + json_schema()
