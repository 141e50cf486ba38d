"""A create request as a person may see it: what would be sent, without what opens the document."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from connector.core.redaction import HIDDEN, Redactor, names_a_secret

_WHOLLY_SECRET = frozenset({"secrets", "password"})
_URL_FIELD = "url"


def shown_body(body: bytes, redactor: Redactor) -> dict[str, object]:
    """The body as JSON values, in its order.

    Args:
        body: the request's bytes.
        redactor: knows the secrets of the configuration.

    Returns:
        The same body, except that a file's URL is without its query, which is a key to the document; that passwords,
        workflow secrets and texts whose name says that they are secret are ``***``; and that texts are redacted as in
        logs.
    """
    return {name: _shown(name, value, redactor) for name, value in msgspec.json.decode(body, type=dict).items()}


def _shown(name: str, value: object, redactor: Redactor) -> object:
    if name in _WHOLLY_SECRET:
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner: _shown(inner, item, redactor) for inner, item in value.items()}
    if isinstance(value, list):
        return [_shown(name, item, redactor) for item in value]
    if not isinstance(value, str):
        return value
    if names_a_secret(name):
        return HIDDEN
    return redactor.redact(_without_query(value) if name == _URL_FIELD else value)


def _without_query(url: str) -> str:
    """The URL up to what a signature may stand in."""
    ends = [place for mark in "?#" if (place := url.find(mark)) >= 0]
    return f"{url[: min(ends)]}…" if ends else url
