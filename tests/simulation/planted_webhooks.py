"""Planted bugs about webhooks: what they say is believed, or waited for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import inf
from typing import Any, cast

from connector.client import ExtendClient
from connector.core.follow.doorbells import Doorbells
from connector.core.follow.following import Following
from connector.core.follow.open_run import OpenRun, Stage
from connector.core.run import Run
from connector.follow.asking import Followed
from connector.follow.looks import Looks
from tests.simulation.api import output_of
from tests.simulation.http import SimHttp
from tests.simulation.planting import Patches


def payload_trusted() -> Patches:
    """A run that rang is what the payload says, and nobody asks the API."""
    look = Looks.look

    async def believe(self: Looks, followed: Followed) -> None:
        webhooks = cast("SimHttp", cast("ExtendClient", self._client)._http)._world.webhooks
        told = webhooks.told.get(followed.run_id) if webhooks is not None else None
        if followed.via == "webhook" and told is not None and followed.is_ended_by(told):
            output = json.dumps(output_of(followed.run_id, told)).encode()
            await self._finish(followed, Run(id=followed.run_id, run_type="extract", status=told, output=output))
        else:
            await look(self, followed)

    return [(Looks, "look", believe)]


def poll_stops() -> Patches:
    """While the webhooks of a route ring, its runs are waited for and not asked about."""
    rest_until, rest = Doorbells.rest_until, Following._rest

    def for_ever(self: Doorbells, routes: Iterable[str], since: float) -> float:
        return inf if rest_until(self, routes, since) > -inf else -inf

    def without_backstop(self: Following[Any], run: OpenRun, now: float) -> None:
        rest(self, run, now)
        if self._doorbells.rest(run.route):
            run.stage = Stage.RESTING
            self._timed.remove(run)

    return [(Doorbells, "rest_until", for_ever), (Following, "_rest", without_backstop)]
