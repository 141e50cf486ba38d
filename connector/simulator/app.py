"""The simulated API over HTTP: an ASGI application.

Plain ASGI and no router: a benchmark asks it for thousands of runs a second, and six tables of paths need no
regular expressions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from connector.simulator.control import OUTPUTS, control
from connector.simulator.delivery import Answer, Delivery, html_answer, without_id
from connector.simulator.engine import Engine, Operation, Request
from connector.simulator.refusals import Refusal
from connector.simulator.rules import Rule
from connector.simulator.run import SimulatedRun

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request body; the real limit is not documented."""

SYNC_SECONDS = 300.0
"""Synchronous endpoints give up after five minutes, as documented."""

_SYNC_LOOKS = 0.5
_INSTEAD = frozenset({"error", "html", "redirect", "throttle"})
"""Kinds that answer something else than the request deserved."""

FindTransport = Callable[[object], asyncio.Transport | None]


class SimulatorApp:
    """The ASGI application.

    Args:
        engine: the simulated account.
        find_transport: from an ASGI scope's ``client`` to its transport, for faults that break connections.
    """

    def __init__(self, engine: Engine, find_transport: FindTransport) -> None:
        self._engine = engine
        self._find_transport = find_transport
        self._closing = asyncio.Event()
        self._numbers = count(1)
        self._late: set[asyncio.TimerHandle] = set()

    def close(self) -> None:
        """Let nothing wait any longer: hanging requests are reset, late runs are not created any more."""
        self._closing.set()
        for timer in self._late:
            timer.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request_id = f"req_{next(self._numbers):010d}"
        delivery = Delivery(
            receive,
            send,
            request_id=request_id,
            transport=lambda: self._find_transport(scope["client"]),
            closing=self._closing,
        )
        body = await _read(receive)
        if body is None:
            return
        request = _request(scope, body)
        if request.path.startswith("/_simulator/"):
            await self._own(request, request_id, delivery)
            return
        try:
            answered = self._engine.webhooks(request) or self._engine.extractors(request)
            if answered is not None:
                await delivery.whole(Answer(200, answered))
                return
            operation = self._engine.operation(request)
            rule = self._engine.admit(operation, request)
        except Refusal as refusal:
            await self._refuse(request, refusal, request_id, delivery)
            return
        if rule is not None and not rule.carried_out:
            self._engine.withhold(operation, request)
            answer: Answer | None = self._spoilt(rule, operation, request, request_id)
        elif operation.action == "sync":
            answer = await self._sync(operation, request, request_id, delivery)
        else:
            answer = _unless_refused(
                lambda: Answer(200, self._engine.carry_out(operation, request)),
                request_id,
            )
        if answer is None:
            self._engine.statistics.answered(operation.category, operation.name, "gone")
            return
        if rule is not None and rule.carried_out and answer.status == 200 and rule.kind in _INSTEAD:
            answer = self._spoilt(rule, operation, request, request_id)
        if rule is None:
            await delivery.whole(answer)
            code = str(answer.status)
        else:
            code = await _deliver(rule, answer, delivery)
        self._engine.statistics.answered(operation.category, operation.name, code)

    async def _own(self, request: Request, request_id: str, delivery: Delivery) -> None:
        """What the real API does not have. No key is asked for, and only what an ``outputUrl`` leads to has faults."""
        answer = _unless_refused(lambda: control(self._engine, request), request_id)
        rule = self._engine.output_fault(request) if request.path.startswith(OUTPUTS) else None
        if rule is None:
            await delivery.whole(answer)
            return
        if not rule.carried_out:
            answer = _instead(rule, request, request_id)
        await _deliver(rule, answer, delivery)

    async def _refuse(self, request: Request, refusal: Refusal, request_id: str, delivery: Delivery) -> None:
        try:
            operation: Operation | None = self._engine.operation(request)
        except Refusal:
            operation = None  # no endpoint: nothing to count
        if operation is not None:
            self._engine.statistics.answered(operation.category, operation.name, str(refusal.status))
        await delivery.whole(Answer(refusal.status, refusal.body(request_id), refusal.headers))

    async def _sync(
        self,
        operation: Operation,
        request: Request,
        request_id: str,
        delivery: Delivery,
    ) -> Answer | None:
        """Create a run and wait for its end; None when there is nobody left to answer."""
        try:
            run = self._engine.create(operation, request)
            waited = 0.0
            while (body := self._engine.sync_result(run, request)) is None:
                pause = self._time_left(run)
                if not await delivery.pause(pause):
                    await delivery.reset()
                    return None
                waited += pause
                if waited > SYNC_SECONDS:
                    late = Refusal(504, "The run takes longer than this endpoint waits.")
                    return Answer(504, late.body(request_id))
            return Answer(200, body)
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body(request_id), refusal.headers)

    def _time_left(self, run: SimulatedRun) -> float:
        # Looks now and then, because somebody may cancel it earlier.
        return min(max(0.001, run.first_end_ms / 1000 - self._engine.clock.wall()), _SYNC_LOOKS)

    def _spoilt(self, rule: Rule, operation: Operation, request: Request, request_id: str) -> Answer:
        """The answer that a rule gives instead of the real one."""
        if rule.kind == "late":
            self._create_later(rule.seconds if rule.seconds is not None else 5.0, operation, request)
        return _instead(rule, request, request_id)

    def _create_later(self, seconds: float, operation: Operation, request: Request) -> None:
        def create() -> None:
            self._late.discard(timer)
            _unless_refused(lambda: Answer(200, self._engine.carry_out(operation, request)), "")

        timer = asyncio.get_running_loop().call_later(seconds, create)
        self._late.add(timer)


def _instead(rule: Rule, request: Request, request_id: str) -> Answer:
    if rule.kind == "html":
        return html_answer(rule.status or 200)
    if rule.kind == "redirect":
        return Answer(rule.status or 307, b"", (("location", f"{request.base_url}/moved{request.path}"),))
    if rule.kind == "throttle":
        wait = rule.retry_after
        refusal = Refusal(429, headers=(("retry-after", wait),) if wait is not None else ())
    else:
        refusal = Refusal(rule.status or (504 if rule.kind == "late" else 500), code=rule.code)
    return Answer(refusal.status, refusal.body(request_id), refusal.headers)


async def _deliver(rule: Rule, answer: Answer, delivery: Delivery) -> str:
    """Send an answer as the rule wants it; returns what statistics call the end."""
    seconds = rule.seconds
    match rule.kind:
        case "reset":
            await delivery.reset()
        case "hang":
            await delivery.pause(3600.0 if seconds is None else seconds)
            await delivery.reset()
        case "delay":
            if await delivery.pause(1.0 if seconds is None else seconds):
                await delivery.whole(answer)
            else:
                await delivery.reset()
        case "drip":
            await delivery.drip(answer, 1.0 if seconds is None else seconds)
        case "truncated":
            await delivery.truncated(answer)
        case "no_id":
            await delivery.whole(without_id(answer))
        case "oversized":
            await delivery.oversized(answer, rule.size)
        case _:
            await delivery.whole(answer)
            return str(answer.status)
    return rule.kind


def _unless_refused(act: Callable[[], Answer], request_id: str) -> Answer:
    try:
        return act()
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body(request_id), refusal.headers)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"]
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers=headers,
        body=body,
        base_url=f"{scope['scheme']}://{headers.get('host', 'localhost')}",
    )


async def _read(receive: Receive) -> bytes | None:
    """The request body; None when the client left, or sent more than anybody needs."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            parts.clear()  # read on, keep nothing: decoding nothing ends as a 400
        if not message.get("more_body", False):
            return b"".join(parts)
