"""Sends webhooks, and again with growing pauses what was not answered with a 2xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

import msgspec

from connector.core.signals.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from connector.simulator.endpoints import Recipient
from connector.simulator.events import event_of, payload_by_address, payload_of
from connector.simulator.identifiers import identifier
from connector.simulator.mail import REPLAYED_AGE_SECONDS, Kind, Letter, Troubles, letters
from connector.simulator.run import SimulatedRun

REPEATS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Pauses between attempts; the real schedule is not documented."""
ANSWER_SECONDS = 30.0
MOST_AT_ONCE = 64

_FORGER = b"wss_a_secret_that_nobody_has_been_given"


@dataclass(frozen=True, slots=True)
class _Parcel:
    recipient: Recipient
    kind: Kind
    body: bytes


class Postman:
    """Belongs to the event loop that it was made in.

    Args:
        recipients: who hears of an event of a run.
        troubles: what may happen on the way.
        seed: same seed, same runs: same troubles.
        base_url: where the simulator answers, for links.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        recipients: Callable[[str, SimulatedRun], list[Recipient]],
        troubles: Troubles,
        *,
        seed: int,
        base_url: str,
        wall: Callable[[], float],
    ) -> None:
        self._recipients = recipients
        self._troubles = troubles
        self._seed = seed
        self._base_url = base_url
        self._wall = wall
        self._random = Random(f"{seed}/mail")  # noqa: S311 - repeatable troubles, no secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)
        self.counts: Counter[str] = Counter()
        """Answers, as ``genuine.204``; ``failed`` in the place of a status where there was none."""

    def changed(self, run: SimulatedRun) -> None:
        """The status of a run has changed: tell whoever wants to hear."""
        event = event_of(run)
        for recipient in self._recipients(event, run) if event else ():
            # What it holds now: a status that changes before a late letter leaves does not change the letter.
            body = self._body(str(event), run, recipient)
            for letter in letters(self._troubles, self._random):
                task = asyncio.create_task(self._carry(letter, _Parcel(recipient, letter.kind, body)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Forget what is on its way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _body(self, event: str, run: SimulatedRun, recipient: Recipient) -> bytes:
        payload = payload_of(run, self._base_url)
        least = recipient.by_address_from
        if least is not None and len(msgspec.json.encode(payload)) > least:
            payload = payload_by_address(payload, self._base_url)
        event_id = identifier("event_", self._seed, run.id, event, run.step, recipient.url)
        return msgspec.json.encode({"eventId": event_id, "eventType": event, "payload": payload})

    async def _carry(self, letter: Letter, parcel: _Parcel) -> None:
        await asyncio.sleep(letter.after)
        for pause in (*REPEATS_SECONDS, None):
            async with self._gate:
                status = await self._post(parcel)
            self.counts[f"{parcel.kind}.{status or 'failed'}"] += 1
            if 200 <= status < 300 or pause is None or parcel.kind in {"forged", "replayed"}:
                return
            await asyncio.sleep(pause)

    async def _post(self, parcel: _Parcel) -> int:
        """The status of the answer; 0 where there was none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await _exchange(parcel.recipient, self._request(parcel))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return 0

    def _request(self, parcel: _Parcel) -> bytes:
        recipient, body = parcel.recipient, parcel.body
        age = REPLAYED_AGE_SECONDS if parcel.kind == "replayed" else 0
        stamp = str(int(self._wall()) - age)
        secret = _FORGER if parcel.kind == "forged" else recipient.secret
        parts = urlsplit(recipient.url)
        headers = {
            "host": parts.netloc,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            TIMESTAMP_HEADER: stamp,
            SIGNATURE_HEADER: sign(secret, stamp.encode(), body).decode(),
            **recipient.headers,
        }
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body


async def _exchange(recipient: Recipient, request: bytes) -> int:
    parts = urlsplit(recipient.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n")
        return int(head.split()[1])
    except IndexError:
        return 0
    finally:
        writer.close()
