"""One request in, one answer out: the simulated API without sockets."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import msgspec

from connector.clock import Clock
from connector.core.run_types import RUN_TYPES, RunType
from connector.simulator.documents import name_of
from connector.simulator.endpoints import PATHS, Endpoints, Recipient
from connector.simulator.faults import Faults, Question
from connector.simulator.ledger import Ledger, Withheld
from connector.simulator.limits import Category, Limiter
from connector.simulator.objects import full_object
from connector.simulator.pages import page, parse_query
from connector.simulator.postman import Postman
from connector.simulator.processors import extractor_version
from connector.simulator.refusals import Refusal, invalid, not_found
from connector.simulator.rules import Action, Rule
from connector.simulator.run import SimulatedRun
from connector.simulator.settings import API_VERSION, Settings
from connector.simulator.statistics import Statistics
from connector.simulator.store import Store
from connector.simulator.validation import check_metadata, decode_object, validate_create

_BY_PATH = {run_type.path[1:]: run_type for run_type in RUN_TYPES.values()}
_BY_SYNC_PATH = {run_type.sync_path[1:]: run_type for run_type in RUN_TYPES.values() if run_type.sync_path}
_CATEGORIES: Mapping[Action, Category] = {
    "create": "RUN",
    "sync": "RUN",
    "get": "GET",
    "list": "GET",
    "cancel": "WRITE",
    "delete": "WRITE",
    "update": "WRITE",
}
_SERVER_FAULTS = frozenset({"INTERNAL_ERROR", "OCR_ERROR", "DOCUMENT_PROCESSOR_ERROR"})


class Operation(NamedTuple):
    """What a request asks for."""

    action: Action
    run_type: RunType
    run_id: str = ""

    @property
    def name(self) -> str:
        """``extract.create``; what statistics count."""
        return f"{self.run_type.name}.{self.action}"

    @property
    def category(self) -> Category:
        """Which limit it counts for."""
        return _CATEGORIES[self.action]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, read whole.

    Attributes:
        method: upper case.
        path: decoded, without the query.
        query: the query parameters; of doubles the last.
        headers: names in lower case.
        body: the bytes.
        base_url: scheme and host that the client used, for links.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    base_url: str = "http://simulator"


class Engine:
    """A simulated account: its runs, limits, faults and books."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.endpoints = Endpoints(settings.seed)
        self.postman: Postman | None = None
        self._settings = settings
        self.store = Store(settings.lifetimes, settings.seed, self._changed)
        self.statistics = Statistics()
        self.ledger = Ledger(settings.ledger)
        self.withheld = Withheld(settings.withheld)
        self.faults = Faults(Random(f"{settings.seed}/faults"))  # noqa: S311 - repeatable faults, no secret
        self.faults.install(settings.rules, clock.monotonic())
        self._limiter = Limiter(settings.limits)

    def close(self) -> None:
        """Close the books' files."""
        self.ledger.close()
        self.withheld.close()

    def operation(self, request: Request) -> Operation:
        """What the request asks for.

        Raises:
            Refusal: 404: there is no such endpoint.
        """
        parts = request.path.strip("/").split("/")
        run_type = _BY_PATH.get(parts[0])
        if run_type is None:
            run_type = _BY_SYNC_PATH.get(parts[0])
            if run_type is not None and len(parts) == 1 and request.method == "POST":
                return Operation("sync", run_type)
            raise not_found("No such endpoint.")
        match request.method, parts[1:]:
            case "POST", []:
                return Operation("create", run_type)
            case "GET", []:
                return Operation("list", run_type)
            case "GET", [run_id]:
                return Operation("get", run_type, run_id)
            case "DELETE", [run_id]:
                return Operation("delete", run_type, run_id)
            case "POST", [run_id, "cancel"] if run_type.cancellable:
                return Operation("cancel", run_type, run_id)
            case "POST", [run_id] if run_type.name == "workflow":
                return Operation("update", run_type, run_id)
            case _:
                raise not_found("No such endpoint.")

    def admit(self, operation: Operation, request: Request) -> Rule | None:
        """Let a request in, or not.

        Returns:
            The fault that it runs into, or None.

        Raises:
            Refusal: 401, 400 (version) or 429.
        """
        self._enter(operation.category, request)
        question = Question(
            request.method,
            request.path,
            operation.action,
            operation.run_type.name,
            request.body,
        )
        return self.faults.choose(question, self.clock.monotonic())

    def output_fault(self, request: Request) -> Rule | None:
        """The fault that a request for an output runs into, or None."""
        question = Question(request.method, request.path, "output", "parse", request.body)
        return self.faults.choose(question, self.clock.monotonic())

    def webhooks(self, request: Request) -> bytes | None:
        """The answer about endpoints and subscriptions; None when the request is about something else.

        Raises:
            Refusal: 400, 401, 404 or 429.
        """
        parts = request.path.strip("/").split("/")
        if parts[0] not in PATHS:
            return None
        self._enter("GET" if request.method == "GET" else "WRITE", request)
        return self.endpoints.answer(request.method, parts, request.body, self.clock.wall_ms())

    def extractors(self, request: Request) -> bytes | None:
        """The answer about a version of an extractor; None when the request is about something else.

        Raises:
            Refusal: 401, 404 or 429.
        """
        parts = request.path.strip("/").split("/")
        if parts[0] != "extractors":
            return None
        self._enter("GET", request)
        match request.method, parts[1:]:
            case "GET", [extractor, "versions", version]:
                return msgspec.json.encode(extractor_version(extractor, version))
            case _:
                raise not_found("No such endpoint.")

    def deliver_webhooks(self, base_url: str) -> Postman:
        """Send events from now on, in the running event loop; whoever calls closes it.

        Args:
            base_url: where the simulator answers.
        """
        settings = self._settings
        self.postman = Postman(
            self._recipients, settings.webhook_troubles, seed=settings.seed, base_url=base_url, wall=self.clock.wall
        )
        return self.postman

    def carry_out(self, operation: Operation, request: Request) -> bytes:
        """Do what was asked.

        Returns:
            The JSON of the answer (status 200).

        Raises:
            Refusal: the API would refuse it.
        """
        run_type, now_ms = operation.run_type, self.clock.wall_ms()
        if operation.action == "get":
            return self.show(self.store.get(run_type, operation.run_id, now_ms), request)
        if operation.action == "list":
            return msgspec.json.encode(page(self.store, parse_query(run_type, request.query), now_ms))
        if operation.action in {"create", "sync"}:
            return self.show(self.create(operation, request), request)
        if operation.action == "cancel":
            return self.show(self.store.cancel(run_type, operation.run_id, now_ms), request)
        if operation.action == "update":
            return self.show(self._update(operation, request), request)
        self.store.delete(run_type, operation.run_id, now_ms)
        return msgspec.json.encode({"id": operation.run_id})

    def create(self, operation: Operation, request: Request) -> SimulatedRun:
        """A new run. It stands in the ledger when this returns.

        Raises:
            Refusal: 400.
        """
        sync = operation.action == "sync"
        if request.query and (operation.run_type.name != "parse" or request.query.keys() > {"responseType"}):
            raise invalid("This endpoint has no such query parameter.")
        body = validate_create(operation.run_type, request.body, sync=sync)
        run = self.store.create(operation.run_type, request.body, body, self.clock.wall_ms())
        self.ledger.write(run)
        return run

    def withhold(self, operation: Operation, request: Request) -> None:
        """Note a create that a fault keeps from creating a run, or from creating it at once. Other requests are not.

        A body that would have been refused anyway is not noted.
        """
        if operation.action != "create":
            return
        with contextlib.suppress(Refusal):
            body = validate_create(operation.run_type, request.body)
            self.withheld.write(operation.run_type.name, body, name_of(body), self.clock.wall_ms())

    def show(self, run: SimulatedRun, request: Request) -> bytes:
        """The run's JSON.

        Raises:
            Refusal: 400: an unknown ``responseType``.
        """
        form = request.query.get("responseType", "json")
        if run.run_type.name == "parse" and form not in {"json", "url"}:
            raise invalid("responseType is json or url.")
        return msgspec.json.encode(full_object(run, request.base_url, output_by_url=form == "url"))

    def sync_result(self, run: SimulatedRun, request: Request) -> bytes | None:
        """The answer of a synchronous endpoint, or None while the run is not at its end.

        Raises:
            Refusal: the run failed: synchronous endpoints answer with its reason as the error code.
        """
        self.store.advance(self.clock.wall_ms())
        if run.ended_ms is None:
            return None
        if run.status == "FAILED":
            reason = run.failure_reason or "INTERNAL_ERROR"
            raise Refusal(500 if reason in _SERVER_FAULTS else 422, "The run failed.", code=reason)
        return self.show(run, request)

    def find(self, run_type: str, run_id: str) -> SimulatedRun:
        """A run by its id.

        Raises:
            Refusal: 404.
        """
        return self.store.get(RUN_TYPES[run_type], run_id, self.clock.wall_ms())

    def report(self) -> dict[str, Any]:
        """Statistics, with the runs by status."""
        report = {**self.statistics.report(), "runs": self.store.by_status(self.clock.wall_ms())}
        return report | ({} if self.postman is None else {"webhooks": dict(self.postman.counts)})

    def _enter(self, category: Category, request: Request) -> None:
        self.statistics.arrived(category, self.clock.monotonic())
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.startswith("sk_"):
            raise Refusal(401)
        if request.headers.get("x-extend-api-version") != API_VERSION:
            raise invalid(f"The header x-extend-api-version is missing or unknown; known is {API_VERSION}.")
        self._limiter.admit(category, self.clock.wall())

    def _changed(self, run: SimulatedRun) -> None:
        if self.postman is not None:
            self.postman.changed(run)

    def _recipients(self, event: str, run: SimulatedRun) -> list[Recipient]:
        found = list(self.endpoints.recipients(event, run))
        if self._settings.webhook_url is not None:
            found.append(Recipient(self._settings.webhook_url, self._settings.webhook_secret.encode()))
        return found

    def _update(self, operation: Operation, request: Request) -> SimulatedRun:
        now_ms = self.clock.wall_ms()
        changes = decode_object(request.body)
        if not changes.keys() <= {"name", "metadata"}:
            raise invalid("A workflow run has only name and metadata to change.")
        check_metadata(changes)
        run = self.store.get(operation.run_type, operation.run_id, now_ms)
        if "metadata" in changes:
            body = {**run.request(), "metadata": changes["metadata"]}
            self.store.touch(run, msgspec.json.encode(body), now_ms)
        return run
