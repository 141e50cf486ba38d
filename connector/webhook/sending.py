"""A webhook as Extend sends it, for a test of one's own."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from connector.core.errors import ConfigurationError, ConnectorError, Problem
from connector.core.signals.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from connector.core.signals.webhook_event import EVENTS
from connector.core.tag import METADATA_KEY, Tag, metadata_of

TIMEOUT_SECONDS = 30.0
"""As long as Extend waits."""


def event_body(event: str, run_id: str, tag: Tag | None) -> bytes:
    """An event about a run, with an id of its own.

    Args:
        event: its type.
        run_id: the run.
        tag: what the run's metadata says, or None.
    """
    payload: dict[str, object] = {"id": run_id, "status": event.rpartition(".")[2].upper()}
    if event in EVENTS:
        payload["object"] = EVENTS[event].object
    if tag is not None:
        payload["metadata"] = {METADATA_KEY: metadata_of(tag)}
    return json.dumps({"eventId": f"event_{secrets.token_hex(8)}", "eventType": event, "payload": payload}).encode()


def signed_headers(body: bytes, secret: bytes, now: int) -> dict[str, str]:
    """The headers of a webhook.

    Args:
        body: its body.
        secret: the signing secret.
        now: seconds since the epoch.
    """
    stamp = str(now)
    return {
        "content-type": "application/json",
        TIMESTAMP_HEADER: stamp,
        SIGNATURE_HEADER: sign(secret, stamp.encode(), body).decode(),
    }


def deliver(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a webhook, once, and return the status of the answer. Blocks.

    Args:
        url: where to.
        body: what.
        headers: from `signed_headers`; without its two headers it is not signed.

    Raises:
        ConfigurationError: the address is none.
        ConnectorError: nobody answers.
    """
    try:
        parts = urlsplit(url)
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[parts.scheme]
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    except (KeyError, ValueError, http.client.InvalidURL):
        raise ConfigurationError([Problem("URL", "is no address that begins with http:// or https://")]) from None
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request("POST", target, body, dict(headers))
        status: int = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise ConnectorError(f"Nobody answers at {parts.scheme}://{parts.netloc} ({type(error).__name__}).") from None
    finally:
        connection.close()
    return status
