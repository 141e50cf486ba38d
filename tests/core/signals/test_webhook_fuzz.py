"""Bodies and headers that nobody would think of, made from a corpus that is kept, for a limited time.

What finds something becomes a file of ``webhook_corpus``, named after what must become of it. Hypothesis makes whole
new values next door (``test_webhook_event.py``); here bytes of real ones are spoiled, 10,000 a second.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from random import Random

import pytest

from connector.core.record import Partition
from connector.core.signals.signal import Doorbell
from connector.core.signals.signature import Claim, Refusal, Verifier, read_claim, sign
from connector.core.signals.webhook_event import Dropped, NotAnEvent, doorbell_of, read_event
from connector.core.tag import ANY_TOPIC, Tag

SECONDS = float(os.environ.get("FUZZ_SECONDS", "45"))
SEED = os.environ.get("FUZZ_SEED", "1")
"""The same spoilt bodies in the same order, as far as the time allows."""

FOLDER = Path(__file__).parent
KEPT = sorted((FOLDER / "webhook_corpus").glob("*.json"))
CORPUS = [path.read_bytes() for path in (*KEPT, *sorted((FOLDER / "webhook_bodies").glob("*.json")))]
NAME = "invoices"
TAG = Tag(NAME, Partition("documents", 3), 42, "a" * 22)
SECRET = b"wss_of_this_test_alone_and_no_secret"
NOW = 1_760_000_000

_TOKENS = (
    *(b'"', b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b":", b",", b"null", b"NaN", b"-0", b"1e999"),
    *(b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"id"', b'"metadata"', b'"kafka_connector"'),
    *(b'"tag"', b'"file"', b'"name"', b'"payload"', b"edit_run.processed", str(TAG).encode(), b"~k3-" + b"a" * 22),
    *(b"9" * 20, b"[" * 70, b'{"a":' * 70, b" " * 200),
)
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_is_kept_is_read_as_its_name_says(path: Path) -> None:
    wanted = path.stem.partition("-")[0]
    found = _read(path.read_bytes())
    if wanted == "rings":
        assert isinstance(found, Doorbell)
        assert found.tag in {TAG, Tag(NAME, Partition(ANY_TOPIC, 3), 0, TAG.hash)}
        assert found.run_id in {"exr_1", "edr_1"}
    else:
        assert found == {"ignored": Dropped.IGNORED, "foreign": Dropped.FOREIGN, "refused": None}[wanted]


@pytest.mark.timeout(SECONDS + 120)
def test_no_spoilt_webhook_brings_it_down_or_rings_elsewhere() -> None:
    random, verifier = Random(SEED), Verifier([b"x" * 30, SECRET])
    until, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        number += 1
        body = random.choice(CORPUS)
        stamp = str(NOW + random.randrange(-600, 600)).encode()
        signature = sign(SECRET, stamp, body)
        sent = [
            _spoilt(each, random) if random.random() < share else each
            for each, share in ((body, 0.8), (stamp, 0.1), (signature, 0.1))
        ]
        try:
            _check_signature(verifier, (body, stamp, signature), (sent[0], sent[1], sent[2]))
            _check_event(sent[0])
        except Exception as error:
            error.add_note(f"number {number} of FUZZ_SEED={SEED}: timestamp {sent[1]!r}, body {sent[0]!r}")
            raise
    assert number > SECONDS, "hardly anything was tried"


def _check_signature(verifier: Verifier, signed: tuple[bytes, bytes, bytes], sent: tuple[bytes, bytes, bytes]) -> None:
    body, stamp, signature = sent
    claim = read_claim([stamp], [signature])
    found = verifier.verify(claim, body, NOW) if isinstance(claim, Claim) else claim
    if sent != signed:
        assert isinstance(found, Refusal)
    else:
        age = NOW - int(stamp)
        assert found == (Refusal.TOO_OLD if age > 300 else Refusal.TOO_NEW if age < -60 else 1)


def _check_event(body: bytes) -> None:
    found = _read(body)
    if found is None:
        return
    value = json.loads(body.decode())  # who is stricter than the standard library understands no less of it
    if isinstance(found, Doorbell):
        assert found.run_id == value["payload"]["id"]
        assert _RUN_ID.fullmatch(found.run_id)
        assert found.tag.name == NAME
        assert Tag.parse(str(found.tag)) == found.tag
        shown = value["payload"].get("metadata") or {}
        said = shown["kafka_connector"]["tag"] if "kafka_connector" in shown else value["payload"]["file"]["name"]
        assert found.tag.hash in said


def _read(body: bytes) -> Doorbell | Dropped | None:
    """What is made of a verified body; None: it is refused."""
    try:
        return doorbell_of(read_event(body), NAME)
    except NotAnEvent:
        return None


def _spoilt(text: bytes, random: Random) -> bytes:
    """A few changes of bytes, of known pieces, of the order, or with a part of another one."""
    spoilt = bytearray(text)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        begin = random.randrange(len(spoilt) + 1)
        end = min(len(spoilt), begin + random.choice((0, 1, 1, 2, 4, 16, 64)))
        match random.randrange(5):
            case 0:
                spoilt[begin:end] = random.randbytes(end - begin)
            case 1:
                spoilt[begin:begin] = random.choice(_TOKENS)
            case 2:
                del spoilt[begin:end]
            case 3:
                spoilt[begin:begin] = spoilt[begin:end]
            case _:
                other = random.choice(CORPUS)
                place = random.randrange(len(other) + 1)
                spoilt[begin:end] = other[place : place + 40]
    return bytes(spoilt)
