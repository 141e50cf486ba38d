"""What is committed about the configuration is what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from connector.config.document import page
from connector.config.kafka import REFUSED
from connector.config.keys import known_keys
from connector.config.reference import json_schema, rows
from tests.config.given import parsed

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_schema_is_current() -> None:
    assert (DOCS / "connector.schema.json").read_text(encoding="utf-8") == json_schema(), "run make schemas"


def test_the_committed_reference_is_current() -> None:
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == page(), "run make schemas"


def test_the_reference_has_a_row_for_every_key() -> None:
    text = page()
    leaves = {path for path in known_keys() if not any(other[: len(path)] == path != other for other in known_keys())}
    assert len(leaves) > 40
    assert [path for path in leaves if f"| `{'.'.join(path)}` |" not in text] == []
    assert [name for name in REFUSED if f"| `{name}` |" not in text] == []


def test_every_row_has_a_type_and_a_meaning() -> None:
    table = [line for line in page().splitlines() if re.match(r"\| `[a-z_]+(\.[^`]*)?` \|.*\|.*\|.*\|$", line)]
    assert len(table) > 40
    for line in table:
        _, _, kind, _, meaning, _ = re.split(r"(?<!\\)\|", line)
        assert kind.strip()
        assert len(meaning.strip()) > 10


def test_the_example_of_the_reference_is_right() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", page(), re.DOTALL)
    without_files = example.replace("api_key_file: /run/secrets/extend-api-key, ", "")
    assert without_files != example
    assert parsed(without_files).config.name == "invoices"


def test_the_schema_knows_the_keys_of_the_file_and_no_secrets() -> None:
    schema = json.loads(json_schema())
    assert set(schema["properties"]) == {path[0] for path in known_keys()}
    assert "api_key_file" in schema["$defs"]["Extend"]["properties"]
    assert "api_key" not in schema["$defs"]["Extend"]["properties"]
    assert "password" not in schema["$defs"]["Kafka"]["properties"]
    assert all(part["additionalProperties"] is False for part in [schema, *schema["$defs"].values()])
    assert schema["$defs"]["Start"]["properties"]["settle"]["default"] == "10m"


def test_what_is_shown_can_be_read_again() -> None:
    first = parsed(
        "start: {settle: 90s, max_bytes: 1.5GiB}\nextend: {budget_share: 12.5%}\ninput: {start: 2026-12-01T00:00:00Z}"
    )
    shown = {row.key: row.value for row in rows(first)}
    assert (shown["start.settle"], shown["start.max_bytes"], shown["extend.budget_share"]) == (
        "90s",
        "1536MiB",
        "12.5%",
    )
    written = first.config.model_dump(mode="json")
    written["extend"].pop("api_key")
    written["kafka"].pop("password")
    written["webhook"].pop("secrets")
    assert parsed(yaml.safe_dump(written)).config == first.config
