"""A link to an output that the API keeps elsewhere: whether it may be followed, and where it leads.

The link comes from the API over TLS, and still nothing inside our network may be asked because an answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

MAX_CHARS = 8192
"""Of a link. Presigned ones take about 2,000."""

_PRINTABLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # no backslash: some read it as a slash
_HTTPS = 443
_NAT64 = IPv6Network("64:ff9b::/96")
_NOWHERE = (IPv4Network("192.0.0.0/24"), IPv6Network("::/96"))
"""Addresses of protocols, and the old form of IPv4 in IPv6; Python calls some of them global."""


class LinkRefused(ValueError):  # noqa: N818 - it names what happened
    """A link that is not followed. The message names its host at most: the rest is a key to the document.

    Attributes:
        host: where it leads, or empty.
    """

    def __init__(self, why: str, host: str = "") -> None:
        self.host = host
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Link:
    """Where an output is.

    Attributes:
        scheme: ``https``; ``http`` only where the API itself is asked by it.
        host: the host's name.
        port: the port.
        target: path and query, as they were signed.
        trusted: it is the API's own origin, which may be inside our network; any other host must not be.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    trusted: bool

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (_HTTPS if self.scheme == "https" else 80) else f"{host}:{self.port}"


def link_of(url: str, base_url: str, hosts: Sequence[str]) -> Link:
    """The link in a run.

    Args:
        url: what the run says.
        base_url: of the API; its own origin may always be asked.
        hosts: other hosts that may be: names, or ``.example.com`` for every host below it.

    Raises:
        LinkRefused: it is no plain https link to one of these hosts.
    """
    if len(url) > MAX_CHARS or not _PRINTABLE.fullmatch(url):
        raise LinkRefused("the link is too long, or holds what no link holds")
    own = urlsplit(base_url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise LinkRefused("the link has no valid host or port") from None
    if not host or "@" in parts.netloc:
        raise LinkRefused("the link names no host, or a user")
    port = port or (_HTTPS if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    same_port = port == (own.port or (_HTTPS if own.scheme == "https" else 80))
    if (parts.scheme, host) == (own.scheme, own.hostname) and same_port:
        return Link(parts.scheme, host, port, target, trusted=True)
    if parts.scheme != "https" or port != _HTTPS:
        raise LinkRefused("the link is not https on its usual port", host)
    if not any(_is_of(host, allowed) for allowed in hosts):
        raise LinkRefused("output.parse_hosts does not name its host", host)
    return Link(parts.scheme, host, port, target, trusted=False)


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, and not of this machine, its networks or its cloud's services."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        # One that wraps an IPv4 address leads to that, whatever it looks like.
        nat64 = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        inner = nat64 or ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOWHERE)


def _is_of(host: str, allowed: str) -> bool:
    return host.endswith(allowed) if allowed.startswith(".") else host == allowed
