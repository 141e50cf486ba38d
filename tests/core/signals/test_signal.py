from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.formats.framing import Codec
from connector.core.record import Partition
from connector.core.signals.signal import (
    Action,
    Command,
    Doorbell,
    Fact,
    FactOutcome,
    Reply,
    ReplyOutcome,
    Signal,
    SignalCodec,
    kind_of,
    signal_key,
)
from connector.core.tag import Tag
from connector.schema_files import load_schema

avro = Codec(load_schema("signal"))
codec = SignalCodec(avro)
TAG = Tag("invoices", Partition("documents", 3), 42, "a" * 22)

texts = st.text(max_size=40).filter(lambda text: "\ud800" not in text)
signals: st.SearchStrategy[Signal] = st.one_of(
    st.builds(Doorbell, st.just(TAG), texts),
    st.builds(Fact, st.just(TAG), texts, st.just(FactOutcome.ID), texts),
    st.builds(Fact, st.just(TAG), texts, st.sampled_from([FactOutcome.REFUSED, FactOutcome.NEVER_SENT])),
    st.builds(Command, texts, st.just(TAG), texts, st.just(Action.ADOPT), texts),
    st.builds(Command, texts, st.just(TAG), texts, st.sampled_from([Action.START, Action.DROP])),
    st.builds(Reply, texts, st.just(TAG), st.sampled_from(ReplyOutcome), texts),
)


def fields(**more: object) -> dict[str, object]:
    empty = dict.fromkeys(("nonce", "outcome", "run_id", "command_id", "action", "message"))
    return {"version": 1, "kind": "fact", "tag": str(TAG), "at_ms": 1, **empty, **more}


@given(signals)
def test_a_signal_comes_back_as_it_was_sent(signal: Signal) -> None:
    assert codec.decode(codec.encode(signal, 1_790_000_000_000)) == signal


def test_a_key_is_the_tag() -> None:
    assert signal_key(TAG) == str(TAG).encode()
    assert kind_of(Doorbell(TAG, "run_1")) == "doorbell"


@pytest.mark.parametrize(
    "wrong",
    [
        fields(nonce="n", outcome="id"),  # an id without a run
        fields(outcome="refused"),  # which POST?
        fields(nonce="n", outcome="perhaps"),
        fields(kind="command", command_id="c", nonce="n", action="adopt"),  # adopt what?
        fields(kind="command", command_id="c", nonce="n", action="buy"),
        fields(kind="command", nonce="n", action="drop"),
        fields(kind="reply", command_id="c", outcome="done"),
        fields(kind="doorbell"),
        fields(kind="rumour", nonce="n", outcome="refused"),
        fields(tag="no tag", nonce="n", outcome="refused"),
        fields(version=2, nonce="n", outcome="refused"),
    ],
)
def test_what_is_incomplete_or_unknown_is_no_signal(wrong: dict[str, object]) -> None:
    assert codec.decode(avro.encode(wrong)) is None


@given(st.binary(max_size=200))
def test_no_bytes_are_too_damaged_to_be_looked_at(value: bytes) -> None:
    assert codec.decode(value) is None
