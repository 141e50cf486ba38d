"""Whether a webhook comes from Extend: HMAC-SHA256 over ``v0:<timestamp>:<raw body>``, and an age.

Source: the official SDK's ``wrapper/webhooks.py`` (1.20.0). Its verifier raises where a signature is not ASCII or a
body is not UTF-8; here everything is bytes, and what is wrong is a named refusal.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TIMESTAMP_HEADER = "x-extend-request-timestamp"
SIGNATURE_HEADER = "x-extend-request-signature"

MAX_AGE_SECONDS = 300
MAX_AHEAD_SECONDS = 60
"""How far the sender's clock may be ahead of ours."""
LEAST_SECRET_BYTES = 24
"""A shorter secret can be guessed; those of Extend are longer."""

# ``int`` would take underscores, spaces, signs and the digits of every script.
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")


class Refusal(StrEnum):
    """Why a webhook is not believed; a metric's label."""

    NOT_SIGNED = "not_signed"
    """A header is missing, or there are several."""
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_SIGNATURE = "bad_signature"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a webhook say, well-formed and not verified.

    Attributes:
        timestamp: 1 to 12 ASCII digits, as they were sent: they are a part of what is signed.
        signature: 64 lower-case hexadecimal digits.
    """

    timestamp: bytes
    signature: bytes


def read_claim(timestamps: Sequence[bytes], signatures: Sequence[bytes]) -> Claim | Refusal:
    """The claim in the values of both headers. Cheap, and needs no body.

    Args:
        timestamps: every value of the timestamp header.
        signatures: every value of the signature header.
    """
    if len(timestamps) != 1 or len(signatures) != 1:
        return Refusal.NOT_SIGNED
    if _TIMESTAMP.fullmatch(timestamps[0]) is None:
        return Refusal.BAD_TIMESTAMP
    if _SIGNATURE.fullmatch(signatures[0]) is None:
        return Refusal.BAD_SIGNATURE
    return Claim(timestamps[0], signatures[0])


def sign(secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The signature.

    Args:
        secret: the whole secret, its ``wss_`` included.
        timestamp: seconds since the epoch, as digits.
        body: the raw body.
    """
    digest = hmac.new(secret, b"v0:" + timestamp + b":", hashlib.sha256)
    digest.update(body)
    return digest.hexdigest().encode()


class Verifier:
    """The secrets that are valid now; several while one is being replaced by another."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Take the secrets, the newest first.

        Raises:
            ValueError: there is none, or one is too short. An empty secret would let everybody sign.
        """
        if not secrets:
            raise ValueError("there is no signing secret")
        if any(len(secret) < LEAST_SECRET_BYTES for secret in secrets):
            raise ValueError(f"a signing secret is shorter than {LEAST_SECRET_BYTES} bytes")
        self._secrets = tuple(secrets)

    def verify(self, claim: Claim, body: bytes, now: float) -> int | Refusal:
        """Which secret signed it, counted from 0, or why it is not believed.

        The age is looked at last: the answer to a forger does not depend on it. Every secret is tried, whether or not
        one before it fits.

        Args:
            claim: what the headers say.
            body: the raw body.
            now: seconds since the epoch.
        """
        fits = [hmac.compare_digest(sign(secret, claim.timestamp, body), claim.signature) for secret in self._secrets]
        if True not in fits:
            return Refusal.BAD_SIGNATURE
        age = now - int(claim.timestamp)
        if age > MAX_AGE_SECONDS:
            return Refusal.TOO_OLD
        if age < -MAX_AHEAD_SECONDS:
            return Refusal.TOO_NEW
        return fits.index(True)
