"""What a person sees of a request: all that it says, and nothing that opens a document."""

from __future__ import annotations

import json

import pytest

from connector.core.accept.preview import shown_body
from connector.core.redaction import HIDDEN, Redactor


def shown(body: object, *secrets: str) -> object:
    redactor = Redactor()
    for secret in secrets:
        redactor.register(secret)
    return shown_body(json.dumps(body).encode(), redactor)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://files.example.com/in/a.pdf", "https://files.example.com/in/a.pdf"),
        ("https://files.example.com/in/a.pdf?X-Sig=canary", "https://files.example.com/in/a.pdf…"),
        ("https://files.example.com/in/a.pdf#canary?x", "https://files.example.com/in/a.pdf…"),
    ],
)
def test_a_url_is_shown_up_to_its_signature(url: str, expected: str) -> None:
    assert shown({"file": {"url": url}}) == {"file": {"url": expected}}
    package = {"package": {"files": [{"url": url}, {"id": "file_1"}]}}
    assert shown(package) == {"package": {"files": [{"url": expected}, {"id": "file_1"}]}}


def test_secrets_are_hidden_by_place_by_name_and_by_value() -> None:
    body = {
        "workflow": {"id": "workflow_1"},
        "file": {"url": "https://a.example/b", "settings": {"password": "canary"}},
        "secrets": {"token": "canary", "other": ["canary"]},
        "metadata": {"api_key": "canary", "note": "the canary sings", "link": "https://a.example/b?c=canary", "n": 7},
        "config": {"schema": {"properties": {"signature": {"type": "string"}, "total": {"type": "number"}}}},
    }
    assert shown(body, "canary") == {
        "workflow": {"id": "workflow_1"},
        "file": {"url": "https://a.example/b", "settings": {"password": HIDDEN}},
        "secrets": HIDDEN,
        "metadata": {"api_key": HIDDEN, "note": f"the {HIDDEN} sings", "link": "https://a.example/…", "n": 7},
        "config": {"schema": {"properties": {"signature": {"type": "string"}, "total": {"type": "number"}}}},
    }
    assert list(shown_body(json.dumps(body).encode(), Redactor())) == list(body)
