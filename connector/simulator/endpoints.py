"""``/webhook_endpoints`` and ``/webhook_subscriptions``: who wants to hear of which events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connector.simulator.fields import timestamp
from connector.simulator.identifiers import identifier
from connector.simulator.refusals import Refusal, invalid, not_found
from connector.simulator.run import SimulatedRun
from connector.simulator.settings import API_VERSION
from connector.simulator.validation import decode_object

PATHS = frozenset({"webhook_endpoints", "webhook_subscriptions"})

_ENDPOINT = frozenset({"url", "name", "enabledEvents", "apiVersion", "status", "advancedOptions"})
_ENDPOINT_NEEDS = frozenset({"url", "name", "enabledEvents", "apiVersion"})
_SUBSCRIPTION = frozenset({"webhookEndpointId", "resourceType", "resourceId", "enabledEvents"})
_RESOURCES = frozenset({"extractor", "classifier", "splitter", "workflow"})


@dataclass(slots=True)
class Recipient:
    """Where webhooks go.

    Attributes:
        url: the address.
        secret: signs them.
        by_address_from: payloads of more bytes than this go by address; None: never.
        headers: further headers.
    """

    url: str
    secret: bytes
    by_address_from: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoints:
    """The endpoints of one account, and their subscriptions."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = count()
        self._endpoints: dict[str, dict[str, Any]] = {}
        self._subscriptions: dict[str, dict[str, Any]] = {}
        self._secrets: dict[str, str] = {}

    def recipients(self, event: str, run: SimulatedRun) -> Iterator[Recipient]:
        """Who hears of an event: endpoints for which it is enabled, and for workflows only those that subscribe."""
        field_name = run.run_type.processor_field
        named = run.request().get(field_name) if field_name else None
        resource = named.get("id") if isinstance(named, Mapping) else None
        subscribed = {
            each["webhookEndpointId"]
            for each in self._subscriptions.values()
            if each["resourceId"] == resource and each["resourceType"] == field_name and event in each["enabledEvents"]
        }
        for key, endpoint in self._endpoints.items():
            everywhere = event in endpoint["enabledEvents"] and run.run_type.name != "workflow"
            if endpoint["status"] == "enabled" and (everywhere or key in subscribed):
                yield self._recipient(endpoint)

    def answer(self, method: str, parts: list[str], body: bytes, now_ms: int) -> bytes:
        """The JSON of an answer.

        Args:
            method: the request's.
            parts: its path: ``webhook_endpoints`` or ``webhook_subscriptions``, and an id.
            body: its body.
            now_ms: the time.

        Raises:
            Refusal: 400 or 404.
        """
        about_endpoints = parts[0] == "webhook_endpoints"
        known = self._endpoints if about_endpoints else self._subscriptions
        match method, parts[1:]:
            case "GET", []:
                found: dict[str, Any] = {"object": "list", "data": list(known.values())}
            case "POST", []:
                found = (self._endpoint if about_endpoints else self._subscription)(decode_object(body), now_ms)
            case "GET", [key]:
                found = _known(known, key)
            case "POST", [key]:
                found = self._update(_known(known, key), decode_object(body), endpoint=about_endpoints)
            case "DELETE", [key]:
                _known(known, key)
                self._delete(key)
                found = {"id": key}
            case _:
                raise not_found("No such endpoint.")
        return msgspec.json.encode(found)

    def _endpoint(self, body: dict[str, Any], now_ms: int) -> dict[str, Any]:
        _check(body, _ENDPOINT, _ENDPOINT_NEEDS)
        if body["apiVersion"] != API_VERSION:
            raise invalid(f"apiVersion is unknown; known is {API_VERSION}.")
        number = next(self._numbers)
        key = identifier("wh_", self._seed, number)
        endpoint = {
            "object": "webhook_endpoint",
            "id": key,
            "status": "enabled",
            **body,
            "createdAt": timestamp(now_ms),
        }
        self._endpoints[key] = endpoint
        self._secrets[key] = identifier("wss_", self._seed, "secret", number)
        return {**endpoint, "signingSecret": self._secrets[key]}

    def _subscription(self, body: dict[str, Any], now_ms: int) -> dict[str, Any]:
        _check(body, _SUBSCRIPTION, _SUBSCRIPTION)
        if body["webhookEndpointId"] not in self._endpoints or body["resourceType"] not in _RESOURCES:
            raise invalid("webhookEndpointId or resourceType is unknown.")
        place = ("webhookEndpointId", "resourceType", "resourceId")
        for each in self._subscriptions.values():
            if all(each[name] == body[name] for name in place):
                each["enabledEvents"] = body["enabledEvents"]
                return each
        key = identifier("whes_", self._seed, next(self._numbers))
        made = {"object": "webhook_subscription", "id": key, **body, "createdAt": timestamp(now_ms)}
        self._subscriptions[key] = made
        return made

    def _update(self, known: dict[str, Any], changes: dict[str, Any], *, endpoint: bool) -> dict[str, Any]:
        _check(changes, _ENDPOINT - {"apiVersion"} if endpoint else frozenset({"enabledEvents"}), frozenset())
        known.update(changes)
        return known

    def _delete(self, key: str) -> None:
        self._endpoints.pop(key, None)
        self._subscriptions.pop(key, None)
        gone = [name for name, each in self._subscriptions.items() if each["webhookEndpointId"] == key]
        for name in gone:
            del self._subscriptions[name]

    def _recipient(self, endpoint: Mapping[str, Any]) -> Recipient:
        options = endpoint.get("advancedOptions") or {}
        payload = options.get("payload") or {}
        least = payload.get("urlThresholdBytes", 0) if payload.get("format") == "url" else None
        return Recipient(endpoint["url"], self._secrets[endpoint["id"]].encode(), least, options.get("headers") or {})


def _known(known: Mapping[str, dict[str, Any]], key: str) -> dict[str, Any]:
    if key not in known:
        raise not_found("Nothing has this id.")
    return known[key]


def _check(body: Mapping[str, Any], allowed: frozenset[str], needed: frozenset[str]) -> None:
    if not needed <= body.keys() <= allowed:
        raise invalid(f"The body needs {sorted(needed)} and may have {sorted(allowed)}.")
    if not _is_texts(body.get("enabledEvents", [])):
        raise invalid("enabledEvents is a list of texts.")
    if "url" in body:
        _check_url(body["url"])


def _check_url(url: object) -> None:
    wrong = Refusal(400, "url is no address that the simulator can post to (http://host:port/path).")
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme != "http" or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:
        raise wrong from None


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
