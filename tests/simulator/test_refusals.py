"""What is refused: bodies, queries, rates; and which fault hits which request. No sockets."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.run_types import RUN_TYPES
from connector.simulator.faults import Faults, Question
from connector.simulator.ledger import Ledger
from connector.simulator.limits import Limiter
from connector.simulator.pages import parse_query
from connector.simulator.refusals import Refusal
from connector.simulator.rules import Rule, parse_rule, parse_rules
from connector.simulator.settings import Lifetimes, Limits, RetryHeader
from connector.simulator.validation import METADATA_BYTES, validate_create
from tests.simulator.judge import CREATE_BODIES
from tests.simulator.machine import Machine

URL = {"url": "https://files.example.com/a.pdf"}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("extract", {}, "file"),
    ("extract", {"file": URL, "surprise": 1}, "surprise"),
    ("extract", {"file": URL, "package": {"files": [URL]}}, "exactly one"),
    ("extract", {"file": {**URL, "id": "file_1"}}, "exactly one"),
    ("extract", {"file": {**URL, "pages": 1}}, "pages"),
    ("extract", {"file": {"url": "ftp://files.example.com/a.pdf"}}, "http"),
    ("extract", {"file": {"url": "http://[::1"}}, "valid URL"),
    ("extract", {"file": {"url": "https:///a.pdf"}}, "host"),
    ("extract", {"file": {"base64": "AA=="}}, "exactly one"),
    ("extract", {"file": "a.pdf"}, "file must be an object"),
    ("extract", {"file": URL, "extractor": "ex_1"}, "extractor must be an object"),
    ("extract", {"file": URL, "extractor": {"version": "1.0"}}, "extractor.id"),
    ("extract", {"file": URL, "extractor": {"id": "ex_1"}, "config": {}}, "only one"),
    ("extract", {"file": URL, "config": {"target": "markdown"}}, "target"),
    ("extract", {"file": URL, "config": {"schema": {"type": "object"}}}, "config.schema.properties"),
    ("extract", {"file": URL, "priority": 0}, "priority"),
    ("extract", {"file": URL, "priority": True}, "priority"),
    ("extract", {"file": URL, "metadata": []}, "metadata"),
    ("extract", {"file": URL, "metadata": {"note": "x" * METADATA_BYTES}}, "10 KB"),
    ("extract", {"package": {"files": []}}, "1 to 50"),
    ("extract", {"package": {"files": [{"text": "x"}]}}, "package.files[0]"),
    ("classify", {"file": URL}, "classifier"),
    ("classify", {"file": URL, "config": {}}, "classifications"),
    ("classify", {"file": URL, "config": {"classifications": []}}, "not empty"),
    ("split", {"file": {"text": "x"}, "splitter": {"id": "spl_1"}}, "exactly one"),
    ("parse", {"file": {"text": "x"}}, "exactly one"),
    ("parse", {"file": URL, "priority": 5}, "priority"),
    ("parse", {"file": URL, "dataRetention": {"mode": "never"}}, "dataRetention"),
    ("edit", {"file": URL, "metadata": {}}, "metadata"),
    ("edit", {"file": URL, "templateId": "edt_1"}, "exactly one"),
    ("workflow", {"file": URL}, "workflow"),
    ("workflow", {"file": URL, "workflow": {"id": "w", "overrideConfig": {}}}, "overrideConfig"),
    ("workflow", {"workflow": {"id": "w"}, "package": {"files": [URL]}}, "2 to 50"),
    ("workflow", {"workflow": {"id": "w"}, "package": {"files": [URL, URL]}}, "twice"),
    ("workflow", {"workflow": {"id": "w"}, "file": URL, "outputs": {}}, "outputs"),
]


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_good_body_is_taken(run_type: str) -> None:
    body = CREATE_BODIES[run_type]
    assert validate_create(RUN_TYPES[run_type], json.dumps(body).encode()) == body


@pytest.mark.parametrize(("run_type", "body", "named"), WRONG)
def test_a_wrong_body_is_refused_with_the_field_named(run_type: str, body: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal) as refusal:
        validate_create(RUN_TYPES[run_type], json.dumps(body).encode())
    assert refusal.value.status == 400
    assert named in refusal.value.message


def test_a_synchronous_body_has_no_priority() -> None:
    body = json.dumps({"file": URL, "priority": 5}).encode()
    validate_create(RUN_TYPES["extract"], body)
    with pytest.raises(Refusal):
        validate_create(RUN_TYPES["extract"], body, sync=True)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"1", b'{"a":"\xff"}', b"[" * 100_000, b'{"file":NaN}', b'{"a":' * 101 + b"1" + b"}" * 101],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Refusal):
        validate_create(RUN_TYPES["extract"], raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "url", "text", "files", "schema", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    run_type=st.sampled_from(list(RUN_TYPES.values())),
    body=st.dictionaries(
        st.sampled_from(["file", "extractor", "classifier", "config", "package", "metadata", "priority", "templateId"]),
        JSON,
        max_size=4,
    ),
)
def test_any_body_is_taken_or_refused_but_never_breaks_it(run_type: Any, body: dict[str, Any]) -> None:  # noqa: ANN401
    try:
        validate_create(run_type, json.dumps(body).encode())
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 - taken or refused: both are right


@pytest.mark.parametrize(
    ("run_type", "query"),
    [
        ("parse", {"sortBy": "createdAt"}),
        ("parse", {"sortDir": "asc"}),
        ("parse", {"limit": "10"}),
        ("extract", {"classifierId": "cl_1"}),
        ("extract", {"sortBy": "name"}),
        ("extract", {"sortDir": "up"}),
        ("extract", {"maxPageSize": "0"}),
        ("extract", {"maxPageSize": "1001"}),
        ("extract", {"maxPageSize": "²"}),
        ("edit", {"batchId": "b"}),
        ("workflow", {"source": "API"}),
    ],
)
def test_a_list_refuses_what_it_does_not_have(run_type: str, query: dict[str, str]) -> None:
    with pytest.raises(Refusal):
        parse_query(RUN_TYPES[run_type], query)


def test_no_second_sees_more_requests_than_the_limit() -> None:
    limiter = Limiter(Limits(get=5))
    random, now, passed = Random(3), 1000.0, list[float]()
    for _ in range(2000):
        now += random.random() / 10
        try:
            limiter.admit("GET", now)
        except Refusal:
            continue
        passed.append(now)
    assert max(sum(1 for other in passed if at <= other < at + 1) for at in passed) == 5
    assert len(passed) > 0.8 * 5 * (now - 1000)


def test_categories_have_limits_of_their_own() -> None:
    limiter = Limiter(Limits(run=0))
    limiter.admit("GET", 1.0)
    limiter.admit("WRITE", 1.0)
    with pytest.raises(Refusal) as refusal:
        limiter.admit("RUN", 1.0)
    assert refusal.value.status == 429


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        ("retry-after", (("retry-after", "1"),)),
        ("x-ratelimit-reset", (("x-ratelimit-reset", "102"),)),
        ("none", ()),
    ],
)
def test_a_429_says_when_to_come_back_or_does_not(style: RetryHeader, headers: tuple[tuple[str, str], ...]) -> None:
    limiter = Limiter(Limits(get=1, retry_header=style))
    limiter.admit("GET", 100.5)
    with pytest.raises(Refusal) as refusal:
        limiter.admit("GET", 100.6)
    assert refusal.value.headers == headers


CREATE = Question("POST", "/extract_runs", "create", "extract", b"{}")
GET = Question("GET", "/extract_runs/exr_1", "get", "extract")


def hits(rule: Rule, questions: list[Question], now: float = 0.0) -> list[bool]:
    faults = Faults(Random(1))
    faults.install([rule], 0.0)
    return [faults.choose(question, now) is not None for question in questions]


def test_a_rule_hits_what_it_names() -> None:
    for rule in (
        Rule(kind="reset", method="POST"),
        Rule(kind="reset", action="create"),
        Rule(kind="reset", contains="{}"),
        Rule(kind="reset", nth=1),
        Rule(kind="reset", count=1),
    ):
        assert hits(rule, [CREATE, GET]) == [True, False]
    assert hits(Rule(kind="reset", run_type="parse"), [CREATE, GET]) == [False, False]
    assert hits(Rule(kind="reset", path="exr_1"), [CREATE, GET]) == [False, True]
    assert hits(Rule(kind="reset", nth=2, action="create"), [CREATE, GET, CREATE, CREATE]) == [
        False,
        False,
        True,
        False,
    ]


def test_a_rule_has_a_beginning_and_an_end() -> None:
    rule = Rule(kind="error", after=10, duration=5)
    assert [hits(rule, [GET], now)[0] for now in (9.9, 10.0, 14.9, 15.0)] == [False, True, True, False]


def test_a_share_is_kept_and_repeatable() -> None:
    rule = Rule(kind="error", share=0.1)
    assert sum(hits(rule, [GET] * 5000)) == pytest.approx(500, abs=80)
    assert hits(rule, [GET] * 100) == hits(rule, [GET] * 100)


def test_rules_come_from_json_and_from_the_command_line() -> None:
    rule = Rule(kind="error", stage="after", status=503, share=0.5)
    assert parse_rule("kind=error, stage=after,status=503,share=0.5") == rule
    text = b'{"kind":"error","stage":"after","status":503,"share":0.5}'
    assert parse_rules(text) == parse_rules(b"[" + text + b"]") == parse_rules(b'{"rules":[' + text + b"]}") == (rule,)


@pytest.mark.parametrize(
    "text",
    [
        "kind=explode",
        "error",
        "kind=error,share=2",
        "kind=error,run_type=x",
        "kind=error,nht=1",
        "kind=error,status=99",
    ],
)
def test_a_rule_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Fault|of the form"):
        parse_rule(text)


@pytest.mark.parametrize("wrong", [{"median": -1.0}, {"failed": 1.5}, {"failed": 0.6, "cancelled": 0.6}])
def test_lifetimes_that_no_run_could_have_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|share|more than"):
        Lifetimes(**wrong)


def test_the_ledger_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    run = Machine().create(metadata={"kafka_connector": {"tag": "a/b/0/1#" + "a" * 22}})
    ledger.write(run)
    (entry,) = map(json.loads, path.read_bytes().splitlines())
    ledger.close()
    assert entry == {
        "tag": "a/b/0/1#" + "a" * 22,
        "run_id": run.id,
        "run_type": "extract",
        "metadata": {"kafka_connector": {"tag": "a/b/0/1#" + "a" * 22}},
        "file_name": run.file_name,
        "time": "2025-10-09T08:53:20.000Z",
    }
    assert ledger.lines() == path.read_bytes()
