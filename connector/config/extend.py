"""The section ``extend``: the API, the account's plan, and how much of it is ours."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from connector.config.quantities import Share
from connector.config.secret import Secret
from connector.config.section import FilePath, Section, Text

Rate = Annotated[float, Field(gt=0, le=1_000_000)]


class Limits(Section):
    """What the account allows; `null` means no limit. Default of each: as in the plan `payg`."""

    get: Rate | None = 10.0
    """Reads per second."""

    write: Rate | None = 10.0
    """Changes per second that start nothing, such as a cancel."""

    run: Rate | None = 10.0
    """Starts per second."""

    files_per_minute: Rate | None = 80.0
    """Files per minute through processors."""

    def part(self, share: float) -> Limits:
        """A part of each limit.

        Args:
            share: more than 0, at most 1.
        """
        return Limits(**{name: None if rate is None else rate * share for name, rate in self.model_dump().items()})


PLANS: Mapping[str, Limits] = MappingProxyType(
    {
        "payg": Limits(),
        "scale": Limits(get=25.0, write=25.0, run=25.0, files_per_minute=120.0),
        "enterprise": Limits(get=75.0, write=75.0, run=75.0, files_per_minute=300.0),
    }
)
"""The least that each plan allows to one organisation (the API's page Rate Limits)."""


def _base_url(text: str) -> str:
    example = "for example https://api.extend.ai"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must be a URL, {example}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"must begin with https:// and name a host, {example}")
    if "@" in parts.netloc:
        raise ValueError("may not hold a user or password; the key is sent in a header")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("may not hold ? or #: paths are added to it")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("must begin with https://: the key would travel in clear text")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Extend(Section):
    """The API, the account's plan, and how much of it is ours."""

    api_version: ClassVar[str] = "2026-02-09"
    """The API's version that this connector speaks."""

    api_key_file: FilePath | None = None
    """File with the API key. This or `EXTEND_API_KEY` is required."""

    api_key: Secret = Secret("")
    """The API key itself; from the environment only (`EXTEND_API_KEY`)."""

    base_url: Annotated[Text, AfterValidator(_base_url)] = "https://api.extend.ai"
    """Where the API is. `https`, except for this machine. Also `EXTEND_BASE_URL`."""

    workspace_id: Text | None = None
    """The workspace, for keys that reach several."""

    plan: Literal["payg", "scale", "enterprise"] | None = None
    """The account's plan; starts and reads are paced by its limits. Default: `payg`, when there are no `limits`."""

    limits: Limits | None = None
    """The account's limits, instead of a plan."""

    budget_share: Annotated[float, Share(least=0.01, most=1)] = 0.8
    """How much of the limits all workers together may use; others use the account too. The workers divide it."""

    @property
    def plan_in_force(self) -> str | None:
        """The plan that paces the account; None where limits do."""
        return None if self.limits is not None else self.plan or "payg"

    @property
    def budget(self) -> Limits:
        """What all workers together may use: the share of the plan's or the given limits."""
        limits = PLANS[self.plan or "payg"] if self.limits is None else self.limits
        return limits.part(self.budget_share)
