"""The endpoint at Extend and its subscriptions: what is there, what should be, and the steps from the one to the other.

Nothing is ever taken away: other programs may listen at the same address, and events of theirs stay enabled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from connector.adapters.http import API_VERSION, Operation
from connector.core.answer import Answer
from connector.core.errors import ApiUnreadable
from connector.core.formats.strict_json import parse_json
from connector.core.route import Route
from connector.core.signals.webhook_event import EVENTS

BY_ADDRESS_BYTES = 262_144
"""Larger payloads come as an address, which the connector does not fetch: bodies stay far below their limit."""

_ENDPOINTS, _SUBSCRIPTIONS = "/webhook_endpoints", "/webhook_subscriptions"
_ENDPOINT_ID = "webhookEndpointId"
_MOST_PAGES = 100

Object = Mapping[str, object]


class Api(Protocol):
    """What is needed of ``HttpApi``; see there."""

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request, once; a 2xx answer or an ApiError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the routes need.

    Attributes:
        url: where webhooks go.
        name: what the endpoint is called where it does not exist yet.
        events: of runs of processors.
        workflows: their ids: no endpoint hears of a workflow without a subscription to it.
    """

    url: str
    name: str
    events: frozenset[str]
    workflows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One change at Extend.

    Attributes:
        sentence: what it does, for a person.
        path: where it is POSTed.
        body: what.
    """

    sentence: str
    path: str
    body: Object

    @property
    def makes_endpoint(self) -> bool:
        """Whether its answer holds the signing secret, for the only time."""
        return self.path == _ENDPOINTS


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        endpoint_id: the endpoint where it exists, else None.
        steps: in order.
    """

    endpoint_id: str | None
    steps: tuple[Step, ...]


def wanted_of(url: str, name: str, routes: Sequence[Route]) -> Wanted:
    """What webhooks the routes need. A route that leaves the run to its references may need every one.

    Args:
        url: where webhooks go.
        name: the connector's name.
        routes: the routes.
    """
    used = {route.run for route in routes}
    events = {event for event, row in EVENTS.items() if row.name != "workflow" and (None in used or row.name in used)}
    workflows = dict.fromkeys(route.processor for route in routes if route.run == "workflow" and route.processor)
    return Wanted(url, f"Kafka connector {name}", frozenset(events), tuple(workflows))


async def plan(api: Api, wanted: Wanted) -> Plan:
    """Look at what is there, and say what is missing.

    Raises:
        ApiError: the API does not answer as it should.
    """
    found = [each for each in await _every(api, _ENDPOINTS, {}) if each.get("url") == wanted.url]
    if not found:
        steps = [_new_endpoint(wanted), *(_subscription(workflow, frozenset()) for workflow in wanted.workflows)]
        return Plan(None, tuple(steps))
    endpoint = found[0]
    key = _id(endpoint)
    subscribed = {
        str(each.get("resourceId")): _texts(each.get("enabledEvents"))
        for each in await _every(api, _SUBSCRIPTIONS, {_ENDPOINT_ID: key})
        if each.get(_ENDPOINT_ID) == key and each.get("resourceType") == "workflow"
    }
    missing = [
        _subscription(workflow, subscribed.get(workflow, frozenset()))
        for workflow in wanted.workflows
        if not _workflow_events() <= subscribed.get(workflow, frozenset())
    ]
    return Plan(key, (*_change(endpoint, key, wanted), *missing))


async def carry_out(api: Api, step: Step, endpoint_id: str | None) -> Object:
    """Do one step; the object that it made or changed.

    Args:
        api: the API.
        step: of a plan.
        endpoint_id: the endpoint that a subscription belongs to.

    Raises:
        ApiError: it was refused, or nobody knows what became of it.
    """
    body = {**step.body, _ENDPOINT_ID: endpoint_id} if step.path == _SUBSCRIPTIONS else step.body
    return _object(await api.send("create", "POST", step.path, body=json.dumps(body).encode()), step.path)


def _new_endpoint(wanted: Wanted) -> Step:
    body = {
        "url": wanted.url,
        "name": wanted.name,
        "enabledEvents": sorted(wanted.events),
        "apiVersion": API_VERSION,
        "advancedOptions": {"payload": {"format": "url", "urlThresholdBytes": BY_ADDRESS_BYTES}},
    }
    return Step(f"Create the endpoint {wanted.url} with the events {_listed(wanted.events)}.", _ENDPOINTS, body)


def _change(endpoint: Object, key: str, wanted: Wanted) -> tuple[Step, ...]:
    events = _texts(endpoint.get("enabledEvents"))
    changes: list[str] = []
    if missing := wanted.events - events:
        changes.append(f"add the events {_listed(missing)}")
    if endpoint.get("status") != "enabled":
        changes.append("enable it")
    if not changes:
        return ()
    body = {"enabledEvents": sorted(events | wanted.events), "status": "enabled"}
    return (Step(f"Update the endpoint {key}: {', '.join(changes)}.", f"{_ENDPOINTS}/{quote(key, safe='')}", body),)


def _subscription(workflow: str, events: frozenset[str]) -> Step:
    missing = _workflow_events() - events
    return Step(
        f"Subscribe it to the workflow {workflow}: {_listed(missing)}.",
        _SUBSCRIPTIONS,
        {"resourceType": "workflow", "resourceId": workflow, "enabledEvents": sorted(events | missing)},
    )


def _workflow_events() -> frozenset[str]:
    return frozenset(event for event, row in EVENTS.items() if row.name == "workflow")


async def _every(api: Api, path: str, query: Mapping[str, str]) -> list[Object]:
    """All objects of a list."""
    found: list[Object] = []
    asked = dict(query)
    for _ in range(_MOST_PAGES):
        page = _object(await api.send("list", "GET", path, query=asked), path)
        data = page.get("data")
        found += [each for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []
        token = page.get("nextPageToken")
        if not isinstance(token, str) or not token:
            return found
        asked["nextPageToken"] = token
    raise ApiUnreadable(f"The list {path} does not end.", reason="ENDLESS_LIST")


def _object(answer: Answer, path: str) -> Object:
    try:
        found = parse_json(answer.body.decode())
    except ValueError:  # no UTF-8, or no JSON
        found = None
    if not isinstance(found, Mapping):
        raise ApiUnreadable(f"The answer about {path} is no JSON object.", reason="NOT_JSON", status=answer.status)
    return found


def _id(found: Object) -> str:
    key = found.get("id")
    if not isinstance(key, str) or not key:
        raise ApiUnreadable("The webhook endpoint has no id.", reason="NO_ID")
    return key


def _texts(value: object) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


def _listed(events: frozenset[str]) -> str:
    return ", ".join(sorted(events)) or "none"
