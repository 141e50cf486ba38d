"""Which links to outputs are followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.output_link import LinkRefused, is_public, link_of

API = "https://api.extend.ai"
HOSTS = ("files.example.com", ".store.example.net")
SIGNED = "/a%2Fb/out.json?X-Amz-Signature=ab%2Bc%3D&x=1"


@pytest.mark.parametrize("host", ["files.example.com", "one.store.example.net", "a.b.store.example.net"])
def test_a_link_to_a_host_that_is_named_is_followed_as_it_was_signed(host: str) -> None:
    link = link_of(f"https://{host}{SIGNED}", API, HOSTS)
    assert (link.scheme, link.host, link.port, link.target, link.trusted) == ("https", host, 443, SIGNED, False)
    assert link.authority == host
    assert link_of(f"https://{host.upper()}:443?a", API, HOSTS).target == "/?a"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/",
        "https://store.example.net/",
        "https://evilstore.example.net/",
        "https://files.example.com.evil.com/",
        "https://sub.files.example.com/",
        "http://files.example.com/",
        "https://files.example.com:8443/",
        "https://user@files.example.com/",
        "https://files.example.com@evil.com/",
        "https://files.example.com\\@evil.com/",
        "https://files.example.com /",
        "https://files.example.com/\r\nx: y",
        "https://files.example.com:port/",
        "https://[::1/",
        "https://169.254.169.254/latest/meta-data",
        "http://api.extend.ai/",
        "https://api.extend.ai:8443/",
        "file:///etc/passwd",
        "//files.example.com/",
        "files.example.com",
        "",
        "https://files.example.com/" + "x" * 9000,
        "https://f\u0131les.example.com/",
    ],
)
def test_any_other_link_is_not_followed_and_not_shown(url: str) -> None:
    with pytest.raises(LinkRefused) as refused:
        link_of(url, API, HOSTS)
    assert "/" not in str(refused.value)
    assert "@" not in refused.value.host


@pytest.mark.parametrize(
    ("base_url", "url", "authority"),
    [
        (API, "https://api.extend.ai/out/1", "api.extend.ai"),
        ("https://api.extend.ai:8443/v1", "https://api.extend.ai:8443/out/1", "api.extend.ai:8443"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/out/1", "127.0.0.1:8090"),
        ("http://[::1]:8090", "http://[::1]:8090/out/1", "[::1]:8090"),
        ("http://localhost", "http://localhost/out/1", "localhost"),
    ],
)
def test_the_apis_own_origin_is_trusted_without_a_name(base_url: str, url: str, authority: str) -> None:
    link = link_of(url, base_url, ())
    assert (link.trusted, link.authority, link.target) == (True, authority, "/out/1")


@given(st.text(max_size=60))
def test_no_text_makes_anything_but_a_link_or_a_refusal(text: str) -> None:
    for url in (text, f"https://{text}", f"https://files.example.com{text}"):
        try:
            link = link_of(url, API, HOSTS)
        except LinkRefused:
            continue
        assert link.trusted or link.host in HOSTS or link.host.endswith(".store.example.net")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("52.216.0.1", True),
        ("2600:1f18::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - it is refused
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:52.216.0.1", True),
        ("2002:a00:1::", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::34d8:1", True),
        ("::7f00:1", False),
        ("192.0.0.8", False),
        ("files.example.com", False),
    ],
)
def test_addresses_inside_of_networks_are_not_public(address: str, public: bool) -> None:  # noqa: FBT001 - a row of the table
    assert is_public(address) is public
