"""Every check of one deployment, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from connector.adapters.http import HttpApi
from connector.adapters.registry import SchemaRegistry
from connector.config import Config
from connector.core.diagnosis import Diagnosis
from connector.doctor.api import examine_api
from connector.doctor.brokers import Brokers
from connector.doctor.kafka import examine_kafka
from connector.doctor.registry import examine_registry
from connector.doctor.webhook import examine_endpoint, examine_round_trip
from connector.output_schemas import output_schemas
from connector.webhook.registration import wanted_of
from connector.webhook.sending import deliver, event_body, signed_headers

_ANY_RUN_TYPE = "extract"
_EVENT, _RUN = "extract_run.processed", "exr_doctor"


def examine_brokers(config: Config) -> Iterator[Diagnosis]:
    """Brokers, rights and topics. Blocks."""
    yield from examine_kafka(Brokers(config), config.topic_plan(), config.name)


async def examine_schemas(config: Config) -> list[Diagnosis]:
    """What a worker would hear from the schema registry at its start."""
    settings = config.schema_registry
    registry = SchemaRegistry(settings) if settings.url else None
    return await examine_registry(registry, output_schemas(config), settings.auto_register)


async def examine_extend(config: Config, url: str | None) -> list[Diagnosis]:
    """Key and clock, and what Extend sends to an address.

    Args:
        config: the configuration.
        url: the public address of the webhook ingress, or None.
    """
    extend, routes = config.extend, config.core_routes()
    api = HttpApi(extend.base_url, extend.api_key.reveal(), extend.api_version, extend.workspace_id)
    try:
        run_type = next((route.run for route in routes if route.run), _ANY_RUN_TYPE)
        found = await examine_api(api, extend.base_url, run_type, time.time)
        if url is not None:
            found.append(await examine_endpoint(api, wanted_of(url, config.name, routes)))
        return found
    finally:
        await api.aclose()


def examine_webhook(config: Config, url: str | None) -> Iterator[Diagnosis]:
    """The way of a webhook to the ingress. Blocks.

    Args:
        config: the configuration; the first of its signing secrets is used.
        url: the public address of the ingress, or None.
    """
    known = config.webhook.secrets
    yield from examine_round_trip(url, partial(_send, url or "", known[0].reveal().encode()) if known else None)


def _send(url: str, secret: bytes, signed: bool) -> int:  # noqa: FBT001 - ``Send`` says it
    body = event_body(_EVENT, _RUN, None)
    headers = signed_headers(body, secret, int(time.time())) if signed else {"content-type": "application/json"}
    return deliver(url, body, headers)
