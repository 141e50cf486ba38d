"""Taking secrets out of text before it is shown: known values, and everything that looks like one.

Two nets, because each alone has holes: exact values that the configuration registered (a Kafka password
looks like nothing), and patterns (a presigned URL in an exception of a library was never registered).
"""

from __future__ import annotations

import re
from urllib.parse import quote

HIDDEN = "***"

MIN_SECRET_CHARS = 4
"""Shorter values are not searched for: replacing every ``a`` would hide the log and not the secret."""

_KEYS = re.compile(r"\b(sk|wss)_[A-Za-z0-9_\-]+")
_AUTHORIZATION = re.compile(
    # A header as text, in a mapping's repr, or as httpx' pair of bytes: (b'Authorization', b'Bearer …').
    r"(?i)(authorization[\"']?\s*[:=,]\s*(?:b?[\"'])?)(?:(bearer|basic|digest|negotiate)\s+)?[^\s\"',;)}\]]+",
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=\-]{8,}")
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*)://([^\s\"'<>\\]+)")
_SECRET_NAME = re.compile(
    r"(?i)authorization|password|passwd|secret|token|api_?key|cookie|signature|credential|private_?key",
)


class Redactor:
    """Hides secrets in text. Knows the values that were registered with it."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def register(self, secret: str) -> None:
        """Hide this exact value from now on, also percent-encoded, as it would stand in a URL."""
        value = secret.strip()
        if len(value) < MIN_SECRET_CHARS:
            return
        # Longest first: a secret that contains another one must not leave its rest behind.
        values = {*self._values, value, quote(value, safe="", errors="replace")}
        self._values = tuple(sorted(values, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """The text without registered values, API keys, credentials and all but the host of telling URLs."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        text = _URL.sub(_shortened, text)
        text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
        text = _BEARER.sub(rf"\1{HIDDEN}", text)
        return _KEYS.sub(rf"\1_{HIDDEN}", text)


def names_a_secret(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever it looks like."""
    return _SECRET_NAME.search(name) is not None


def _shortened(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    location, *beyond = re.split(r"[?#]", rest, maxsplit=1)
    authority, *path = location.split("/", maxsplit=1)
    if any("@" in part for part in path) and ":" in authority:
        # A path with an @, or a password with a slash that nobody encoded: then even the host may be secret.
        return f"{scheme}://…"
    user, separator, host = authority.rpartition("@")
    if not beyond and not separator and not user:
        return match.group()
    return f"{scheme}://{host}/…"
