"""`check --registry`: mappings beside the schemas that are registered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.schema_files import load_schema
from tests.cli.test_check import command
from tests.core.accept.test_framed import ORDER
from tests.fakes.registry import FakeRegistry

CONFIG = """
name: invoices
kafka: {bootstrap_servers: "localhost:9092"}
extend: {limits: {run: 10}}
routes:
  bills: {topic: orders, run: extract, processor: ex_1, when: {kind: %s}, fields: {url: %s, name: "labels.name?"}}
  others: {topic: orders, run: parse, fields: {url: payload.at, name: "nme?"}}
  plain: {topic: references, run: parse}
"""
ENVIRON = {"EXTEND_API_KEY": "sk_test"}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


def check(folder: Path, url: str | None, *, kind: str = "INVOICE", path: str = "payload.at") -> tuple[int, str, str]:
    written = "" if url is None else f"schema_registry: {{url: '{url}'}}\n"
    (folder / "connector.yaml").write_text(CONFIG % (kind, path) + written)
    done = command(folder, "check", "--registry", environ=ENVIRON)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_what_no_record_can_have_is_refused_with_its_line_and_the_nearest_name(
    tmp_path: Path, registry: FakeRegistry
) -> None:
    registry.shelf.put("orders-value", json.dumps(ORDER))
    code, _, err = check(tmp_path, registry.url, kind="invoice", path="payload.att")
    assert code == 2
    assert "connector.yaml:6: routes.bills.fields.url: payload has no att; did you mean at?" in err
    assert "routes.bills.when.kind: kind is enum" in err
    assert "INVOICE, RECEIPT (subject orders-value, version 1)" in err
    assert "routes.others" not in err


def test_what_fits_is_right_and_a_field_that_need_not_be_there_is_a_warning(
    tmp_path: Path, registry: FakeRegistry
) -> None:
    registry.shelf.put("orders-value", json.dumps(ORDER))
    code, out, err = check(tmp_path, registry.url)
    assert code == 0
    assert "orders-value, version 1 was compared with the routes bills, others" in err
    assert "routes.others.fields.name: the value has no nme" in err
    assert "The configuration is right; see the warnings." in out


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, 0, "subject orders-value is not registered"),
        (json.dumps(load_schema("document_reference")), 0, "was compared"),
        ('{"type": "array", "items": "null"}', 2, "routes.others.topic: has a schema that records cannot be read with"),
    ],
)
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, registry: FakeRegistry, text: str | None, code: int, words: str
) -> None:
    if text is not None:
        registry.shelf.put("orders-value", text)
    found, _, err = check(tmp_path, registry.url)
    assert found == code
    assert words in err


def test_a_registry_that_cannot_be_asked_is_one_sentence(tmp_path: Path, registry: FakeRegistry) -> None:
    with registry.down():
        code, _, err = check(tmp_path, registry.url)
    assert code == 1
    assert "could not be asked" in err
    code, _, err = check(tmp_path, None)
    assert code == 2
    assert "schema_registry.url: is not set" in err
