"""What is said of a schema registry, asked for real on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from connector.announce import Rule
from connector.config import Config
from connector.core.diagnosis import Diagnosis, Health
from connector.doctor.examination import examine_schemas
from connector.output_schemas import output_schemas
from tests.fakes.registry import FakeRegistry

CONFIG = Config(name="invoices")
OUTPUTS = output_schemas(CONFIG)
FIRST = OUTPUTS[0]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


async def examine(url: str, rule: Rule = "missing") -> list[Diagnosis]:
    settings = CONFIG.schema_registry.model_copy(update={"url": url, "auto_register": rule})
    return await examine_schemas(CONFIG.model_copy(update={"schema_registry": settings}))


async def test_without_a_registry_there_is_nothing_to_look_at() -> None:
    (only,) = await examine("")
    assert only.health is Health.SKIPPED


async def test_what_is_registered_is_right_and_nothing_is_registered(registry: FakeRegistry) -> None:
    for each in OUTPUTS:
        registry.shelf.put(each.subject, each.text)
    before = json.dumps(registry.shelf.by_subject)
    found = await examine(registry.url, "never")
    assert {each.subject: each.health for each in found} == {each.subject: Health.OK for each in OUTPUTS}
    assert json.dumps(registry.shelf.by_subject) == before
    assert [asked for asked in registry.asked if asked.startswith("POST") and asked.endswith("/versions")] == []


@pytest.mark.parametrize(("rule", "health"), [("missing", Health.OK), ("always", Health.OK), ("never", Health.FAILED)])
async def test_a_subject_that_is_missing_is_right_where_a_worker_may_register_it(
    registry: FakeRegistry, rule: Rule, health: Health
) -> None:
    found = await examine(registry.url, rule)
    assert {each.health for each in found} == {health}
    assert {each.way_out for each in found} == {"extend-connector schemas register" if health is Health.FAILED else ""}
    assert registry.shelf.by_subject == {}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("missing", "another schema, and schema_registry.auto_register is missing"),
        ("always", "would not take the schema as the next version: READER_FIELD_MISSING_DEFAULT_VALUE"),
    ],
)
async def test_another_schema_under_the_subject_fails_with_the_reason(
    registry: FakeRegistry, rule: Rule, words: str
) -> None:
    other = {"type": "record", "name": "Other", "fields": [{"name": "only", "type": "string"}]}
    registry.shelf.put(FIRST.subject, json.dumps(other))
    found = {each.subject: each for each in await examine(registry.url, rule)}
    assert found[FIRST.subject].health is Health.FAILED
    assert words in found[FIRST.subject].found
    assert {each.health for subject, each in found.items() if subject != FIRST.subject} == {Health.OK}


async def test_a_registry_that_fails_refuses_or_is_away_is_told_once(registry: FakeRegistry) -> None:
    registry.broken = 503
    (broken,) = await examine(registry.url)
    registry.broken, registry.authorization = None, "Basic bm8gb25lOmtub3dz"
    (refused,) = await examine(registry.url)
    with registry.down():
        (away,) = await examine(registry.url)
    assert {each.health for each in (broken, refused, away)} == {Health.FAILED}
    assert all(each.subject == registry.url and each.way_out for each in (broken, refused, away))
