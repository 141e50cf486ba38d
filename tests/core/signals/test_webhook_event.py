"""What a verified body is read as: which run rings at which document, and everything that rings nowhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.core.record import Partition
from connector.core.run_types import RUN_TYPES
from connector.core.signals.signal import Doorbell
from connector.core.signals.webhook_event import EVENTS, Dropped, Event, NotAnEvent, doorbell_of, read_event
from connector.core.tag import ANY_TOPIC, METADATA_KEY, Tag, metadata_of, tagged_file_name

BODIES = Path(__file__).parent / "webhook_bodies"
TAG = Tag("invoices", Partition("documents", 3), 42, "a" * 22)
OURS = {METADATA_KEY: metadata_of(TAG)}

PROCESSORS = ("extract", "classify", "split", "parse", "edit")
USED = {
    *(f"{name}_run.{end}" for name in PROCESSORS for end in ("processed", "failed")),
    *(f"workflow_run.{end}" for end in ("completed", "failed", "needs_review", "rejected", "cancelled")),
}


def body(**fields: object) -> bytes:
    event = {"eventId": "event_1", "eventType": "extract_run.processed", "payload": {"id": "exr_1", "metadata": OURS}}
    return json.dumps(event | fields).encode()


def ring(kind: str, payload: Mapping[str, object]) -> Doorbell | Dropped:
    return doorbell_of(Event("event_1", kind, payload), "invoices")


def test_the_table_uses_every_event_that_can_end_or_pause_a_run() -> None:
    assert set(EVENTS) == USED
    assert {run_type.name for run_type in EVENTS.values()} == set(RUN_TYPES)


@pytest.mark.parametrize("kind", sorted(USED - {"edit_run.processed", "edit_run.failed"}))
def test_a_run_with_our_tag_rings_at_its_document(kind: str) -> None:
    event = read_event(body(eventType=kind))
    assert doorbell_of(event, "invoices") == Doorbell(TAG, "exr_1")


def test_a_payload_that_comes_by_address_rings_by_its_metadata() -> None:
    payload = {
        "object": "signed_data_url",
        "id": "exr_1",
        "data": "https://files.example.com/x?sig=1",
        "metadata": OURS,
    }
    assert ring("extract_run.failed", payload) == Doorbell(TAG, "exr_1")


def test_an_edit_run_rings_by_its_file_name() -> None:
    payload = {"id": "edr_1", "file": {"name": tagged_file_name("a form.pdf", TAG)}}
    expected = Tag("invoices", Partition(ANY_TOPIC, 3), 0, TAG.hash)
    assert ring("edit_run.processed", payload) == Doorbell(expected, "edr_1")
    assert Tag.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "name", ["form.pdf", "~k3-short.pdf", f"~k1-{'a' * 22}~k2-{'b' * 22}.pdf", f"~k{'1' * 11}-{'a' * 22}"]
)
def test_an_edit_run_without_exactly_one_mark_is_foreign(name: str) -> None:
    assert ring("edit_run.processed", {"id": "edr_1", "file": {"name": name}}) is Dropped.FOREIGN


def test_a_file_name_says_nothing_where_runs_carry_metadata() -> None:
    assert (
        ring("extract_run.processed", {"id": "exr_1", "file": {"name": tagged_file_name("x", TAG)}}) is Dropped.FOREIGN
    )


@pytest.mark.parametrize(
    "kind",
    [
        "workflow_run.step_run.processed", "batch_processor_run.processed", "batch_parse_run.failed",
        "form_detection_run.processed", "workflow.deployed", "extractor.version.published", "extract_run.cancelled",
        "a_kind.of_the_future",
    ],
)  # fmt: skip
def test_what_the_table_does_not_use_is_ignored(kind: str) -> None:
    assert ring(kind, {"id": "exr_1", "metadata": OURS}) is Dropped.IGNORED


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": "exr_1"},
        {"id": "exr_1", "metadata": None},
        {"id": "exr_1", "metadata": {METADATA_KEY: "text"}},
        {"id": "exr_1", "metadata": {METADATA_KEY: {"tag": 7}}},
        {"id": "exr_1", "metadata": {METADATA_KEY: {"tag": "no tag"}}},
        {"id": "exr_1", "metadata": {METADATA_KEY: {"tag": str(TAG).replace("invoices", "others")}}},
        {"id": "exr_1", "metadata": {METADATA_KEY: {"tag": f"invoices/documents/{'1' * 5000}/1#{'a' * 22}"}}},
        {"id": "exr_1", "metadata": {METADATA_KEY: {"tag": f"invoices/{'d' * 2000}/1/1#{'a' * 22}"}}},
        {"metadata": OURS},
        {"id": 7, "metadata": OURS},
        {"id": "../batch_runs", "metadata": OURS},
        {"id": "x" * 256, "metadata": OURS},
    ],
)
def test_what_is_not_certainly_ours_is_foreign(payload: Mapping[str, object]) -> None:
    assert ring("extract_run.processed", payload) is Dropped.FOREIGN


@pytest.mark.parametrize("path", sorted(BODIES.glob("webhook-*-*.json")), ids=lambda path: path.stem)
def test_documented_events_are_read_and_belong_to_others(path: Path) -> None:
    if "vector" in path.name:
        return
    event = read_event(path.read_bytes())
    expected = Dropped.IGNORED if event.type.startswith("batch") else Dropped.FOREIGN
    assert doorbell_of(event, "invoices") is expected


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[1]", b"null", b'{"payload":null}', b'{"eventId":"e","eventType":"t"}', b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf" + body(), body() + b" x", b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000,
        body(eventId=""), body(eventId=7), body(eventId="x" * 256), body(eventType="a\nb"), body(payload=[]),
        b'{"eventId":"a","eventId":"b","eventType":"t","payload":{}}',
        b'{"eventId":"a","eventType":"t","payload":{"x":1,"x":2}}',
        b'{"eventId":"a","eventType":"t","payload":{"x":NaN}}',
        b'{"eventId":"a","eventType":"t","payload":{"x":"\\ud800"}}',
        b'{"eventId":"a","eventType":"t","payload":{"x":' + b"1" * 5000 + b"}}",
    ],
)  # fmt: skip
def test_a_signed_body_that_is_no_event_is_refused_plainly(text: bytes) -> None:
    with pytest.raises(NotAnEvent):
        read_event(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30) | st.just(str(TAG)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "metadata", METADATA_KEY, "tag", "file", "name", "x"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(
    st.fixed_dictionaries(
        {
            "eventId": st.text(max_size=300) | json_values,
            "eventType": st.sampled_from([*sorted(USED), "unknown"]) | json_values,
            "payload": json_values,
        }
    ).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
)
@example(b'{"eventId":"\xf0\x9f\x98\x80","eventType":"t","payload":{}}')
def test_whatever_was_signed_rings_refuses_or_is_dropped(text: bytes) -> None:
    try:
        event = read_event(text)
    except NotAnEvent:
        return
    found = doorbell_of(event, "invoices")
    assert isinstance(found, Dropped) or (found.tag.name == "invoices" and Tag.parse(str(found.tag)) == found.tag)
