"""Signatures: the vectors, the official SDK in both directions, and everything that is no signature."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from extend_ai.wrapper.errors import WebhookSignatureVerificationError
from extend_ai.wrapper.webhooks import Webhooks
from hypothesis import given
from hypothesis import strategies as st

from connector.core.signals.signature import (
    MAX_AGE_SECONDS,
    MAX_AHEAD_SECONDS,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Claim,
    Refusal,
    Verifier,
    read_claim,
    sign,
)

BODIES = Path(__file__).parent / "webhook_bodies"
VECTOR = json.loads((BODIES / "webhook-signature-vector.json").read_text(encoding="utf-8"))
SECRET = VECTOR["secret"].encode()
OTHER = b"wss_another_secret_that_is_long"
STAMP = VECTOR["timestamp"].encode()
NOW = 1_760_000_000

signed = [
    (VECTOR["body"].encode(), VECTOR["signature"]),
    (b"", VECTOR["empty_body_signature"]),
    *(((BODIES / name).read_bytes(), facts["signature"]) for name, facts in VECTOR["files"].items()),
]
secrets = st.text(st.characters(codec="utf-8"), min_size=24, max_size=60)


@pytest.mark.parametrize(("body", "signature"), signed)
def test_the_vectors_are_signed_and_believed(body: bytes, signature: str) -> None:
    assert sign(SECRET, STAMP, body) == signature.encode()
    assert Verifier([SECRET]).verify(Claim(STAMP, signature.encode()), body, NOW) == 0


def test_a_wrong_secret_gives_the_signature_that_the_vector_gives_for_it() -> None:
    claim = Claim(STAMP, VECTOR["wrong_secret_signature_must_differ"].encode())
    assert Verifier([SECRET]).verify(claim, VECTOR["body"].encode(), NOW) is Refusal.BAD_SIGNATURE


@given(secrets, st.text(st.characters(codec="utf-8")), st.integers(0, 3))
def test_the_sdk_believes_what_we_sign_and_disbelieves_what_we_do_not_believe(
    secret: str, body: str, changed: int
) -> None:
    stamp = str(int(time.time()) - 30)
    signature = sign(secret.encode(), stamp.encode(), body.encode())
    sent = [secret, stamp, signature.decode(), body]
    if changed:
        sent[changed] = [secret, str(int(stamp) - 1), "0" * 64, body + "x"][changed]
    headers = {TIMESTAMP_HEADER: sent[1], SIGNATURE_HEADER: sent[2]}
    ours = Verifier([secret.encode()]).verify(Claim(sent[1].encode(), sent[2].encode()), sent[3].encode(), time.time())
    try:
        theirs = Webhooks().verify(sent[3], headers, sent[0])
    except WebhookSignatureVerificationError:
        theirs = False
    assert theirs is (ours == 0) is (changed == 0)


def test_each_of_several_secrets_is_believed_and_named() -> None:
    verifier = Verifier([SECRET, OTHER])
    for index, secret in enumerate([SECRET, OTHER]):
        assert verifier.verify(Claim(STAMP, sign(secret, STAMP, b"{}")), b"{}", NOW) == index
    third = sign(b"x" * 30, STAMP, b"{}")
    assert verifier.verify(Claim(STAMP, third), b"{}", NOW) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("age", "answer"),
    [
        (MAX_AGE_SECONDS, 0),
        (MAX_AGE_SECONDS + 1, Refusal.TOO_OLD),
        (-MAX_AHEAD_SECONDS, 0),
        (-MAX_AHEAD_SECONDS - 1, Refusal.TOO_NEW),
    ],
)
def test_only_what_was_signed_a_moment_ago_is_believed(age: int, answer: int | Refusal) -> None:
    claim = Claim(STAMP, sign(SECRET, STAMP, b"{}"))
    assert Verifier([SECRET]).verify(claim, b"{}", NOW + age) == answer


def test_a_forger_is_not_told_that_his_timestamp_is_old() -> None:
    claim = Claim(b"1", b"0" * 64)
    assert Verifier([SECRET]).verify(claim, b"{}", NOW) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("secrets", [[], [b""], [b"short"], [SECRET, b""]])
def test_no_secret_or_a_short_one_verifies_nothing(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secret"):
        Verifier(secrets)


@pytest.mark.parametrize(
    "stamp",
    [
        b"", b" 1", b"1 ", b"1_0", b"-1", b"+1", b"NaN", b"inf", b"1.0", b"1e9", b"0x1", b"1" * 13, b"1" * 5000, b"1\n",
        "١٧٦".encode(), b"\xff",
    ],
)  # fmt: skip
def test_a_timestamp_is_a_few_ascii_digits(stamp: bytes) -> None:
    assert read_claim([stamp], [b"0" * 64]) is Refusal.BAD_TIMESTAMP


@pytest.mark.parametrize("text", [b"", b"0" * 63, b"0" * 65, b"A" * 64, b"\xe9" * 64, b"0" * 63 + b"\n", b"g" * 64])
def test_a_signature_is_64_lower_case_hexadecimal_digits(text: bytes) -> None:
    assert read_claim([b"1"], [text]) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(("stamps", "signatures"), [(0, 1), (1, 0), (2, 1), (1, 2)])
def test_a_header_that_is_missing_or_doubled_signs_nothing(stamps: int, signatures: int) -> None:
    assert read_claim([b"1"] * stamps, [b"0" * 64] * signatures) is Refusal.NOT_SIGNED


@given(st.lists(st.binary(max_size=70), max_size=2), st.lists(st.binary(max_size=70), max_size=2), st.binary())
def test_nothing_brings_it_down_or_is_believed_unsigned(
    stamps: list[bytes], signatures: list[bytes], body: bytes
) -> None:
    claim = read_claim(stamps, signatures)
    if isinstance(claim, Claim):
        assert isinstance(Verifier([SECRET]).verify(claim, body, NOW), Refusal)
