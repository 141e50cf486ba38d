"""The way of a webhook: from an address to our ingress, which takes what is signed and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from connector.core.diagnosis import Diagnosis, Health
from connector.core.errors import ApiError, ConnectorError
from connector.webhook.registration import Api, Wanted, plan

ROUND_TRIP, ENDPOINT = "webhook.round-trip", "webhook.endpoint"

_ACCEPTED, _UNSIGNED = 204, 401
_WAYS_OUT = {
    401: "Another secret or another clock: compare webhook.secret_files and EXTEND_WEBHOOK_SECRET, here and there.",
    404: "The path must be /webhooks/extend, and reach the webhook port.",
    503: "Kafka has not taken the signal: the log of the ingress says why.",
}

Send = Callable[[bool], int]
"""Sends one test event, signed or not, and returns the status of the answer; raises ``ConnectorError``."""


def examine_round_trip(url: str | None, send: Send | None) -> Iterator[Diagnosis]:
    """Whether an event that is signed is taken, and one that is not is refused.

    The second says that it is an ingress that answers: a proxy's 200 for everything looks like success.

    Args:
        url: the address, or None where nobody has named it.
        send: sends to it; None without a signing secret.
    """
    if send is None:
        yield Diagnosis(ROUND_TRIP, url or "-", Health.SKIPPED, "There is no signing secret (webhook.secret_files).")
        return
    if url is None:
        yield Diagnosis(ROUND_TRIP, "-", Health.SKIPPED, "No address was named (--url).")
        return
    try:
        unsigned, signed = send(False), send(True)  # noqa: FBT003 - the two words say it
    except ConnectorError as error:
        way_out = "Check the address, its name in DNS, its certificate, and that the ingress runs."
        yield Diagnosis(ROUND_TRIP, url, Health.FAILED, str(error), way_out)
        return
    if signed != _ACCEPTED:
        found = f"A signed event is answered with {signed}."
        yield Diagnosis(ROUND_TRIP, url, Health.FAILED, found, _WAYS_OUT.get(signed, "See what answers there."))
    elif unsigned != _UNSIGNED:
        found = f"An event without a signature is answered with {unsigned}, and not with {_UNSIGNED}."
        yield Diagnosis(ROUND_TRIP, url, Health.FAILED, found, "Something else than the ingress answers there.")
    else:
        yield Diagnosis(ROUND_TRIP, url, Health.OK, "A signed event is taken, one without a signature is refused.")


async def examine_endpoint(api: Api, wanted: Wanted) -> Diagnosis:
    """Whether Extend sends what the routes need to this address. Reads, and changes nothing.

    Args:
        api: the API.
        wanted: the address, and what the routes need.
    """
    if urlsplit(wanted.url).scheme != "https":
        found = "Extend sends to https:// addresses only: this one is for tests inside."
        return Diagnosis(ENDPOINT, wanted.url, Health.SKIPPED, found)
    way_out = f"extend-connector webhook register --url {wanted.url}"
    try:
        steps = (await plan(api, wanted)).steps
    except ApiError as error:
        return Diagnosis(ENDPOINT, wanted.url, Health.WARNING, str(error), "Look at Extend's dashboard.")
    if steps:
        missing = " ".join(step.sentence for step in steps)
        return Diagnosis(ENDPOINT, wanted.url, Health.WARNING, f"At Extend is left to do: {missing}", way_out)
    return Diagnosis(ENDPOINT, wanted.url, Health.OK, "Extend sends all that the routes need.")
