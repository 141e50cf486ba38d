"""The subject of a topic's schema, by each way of naming it."""

from __future__ import annotations

import pytest

from connector.core.subjects import Naming, full_name, subject_of

RECORD = {"type": "record", "name": "Result", "namespace": "org.example", "fields": []}


@pytest.mark.parametrize(
    ("naming", "subject"),
    [
        ("topic", "documents.processed-value"),
        ("record", "org.example.Result"),
        ("topic-record", "documents.processed-org.example.Result"),
    ],
)
def test_a_subject_is_named_as_confluents_serializers_name_it(naming: Naming, subject: str) -> None:
    assert subject_of(naming, "documents.processed", RECORD) == subject


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"name": "Result"}, "Result"),
        ({"name": "Result", "namespace": ""}, "Result"),
        ({"name": "own.Result", "namespace": "org.example"}, "own.Result"),
    ],
)
def test_a_name_with_a_dot_is_a_full_one(record: dict[str, object], name: str) -> None:
    assert full_name(record) == name
