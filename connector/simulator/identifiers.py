"""Ids that look like the API's and depend on nothing but what they are made from."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b


def identifier(prefix: str, *parts: object) -> str:
    """An id such as ``exr_9Qm2kV7tLx4RbN8cYw1Z``: the prefix and 20 letters and digits (119 bits)."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=15).digest()
    return prefix + b64encode(digest, b"Qx").decode()


def share_of(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)
