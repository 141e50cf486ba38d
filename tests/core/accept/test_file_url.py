"""URLs in references: plain http and https only, and never shown."""

from __future__ import annotations

import pytest

from connector.core.accept.file_url import MAX_CHARS, check_url, file_name_of
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("ftp://canary.example/a", "only http and https"),
        ("gopher://canary.example/a", "only http and https"),
        ("javascript:alert(1)", "only http and https"),
        ("data:text/plain,canary", "only http and https"),
        ("//canary.example/a", "only http and https"),
        ("canary.example/a.pdf", "only http and https"),
        ("s3://canary/a.pdf", "only http and https"),
        ("https://user:canary@example.com/a", "user name"),
        ("https://canary@example.com/a", "user name"),
        ("https://@example.com/a", "user name"),
        ("https://", "host"),
        ("https:///canary.pdf", "host"),
        ("https://:443/canary", "host"),
        ("https://example.com:0/canary", "port"),
        ("https://example.com:99999/canary", "port"),
        ("https://example.com:x/canary", "port"),
        ("https://[::1/canary", "host"),
        ("https://example.com/a b?canary", "white space"),
        (" https://example.com/canary", "white space"),
        ("https://example.com/canary\r\nHost: x", "white space"),
        ("ht\ttps://example.com/canary", "white space"),
        ("https://example.com\\@canary.example/", "backslash"),
        ("https://example.com/\x00canary", "white space"),
        ("https://example.com/\x85canary", "white space"),
        ("https://example.com/canary" + "a" * MAX_CHARS, "characters"),
    ],
)
def test_a_url_that_is_not_plain_is_refused_without_being_shown(url: str, said: str) -> None:
    with pytest.raises(RecordRejected, match=said) as caught:
        check_url(url, "files[2].url")
    assert (caught.value.reason, caught.value.path) == (Reason.URL_NOT_ALLOWED, "files[2].url")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.com/a.pdf?X-Amz-Signature=ab%2Fc&x=1#page=2",
        "http://localhost:9000/bucket/a.pdf",
        "HTTPS://EXAMPLE.COM/",
        "https://[2001:db8::1]:8443/a.pdf",
        "https://xn--bcher-kva.example/b%C3%BCcher.pdf",
        "https://bücher.example/ü.pdf",
        "https://example.com/a?mail=a@b.example",
    ],
)
def test_a_plain_url_is_allowed(url: str) -> None:
    check_url(url, "url")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://e.com/in/invoice%20%C3%BC.pdf?sig=x", "invoice ü.pdf"),
        ("https://e.com/in/", "in"),
        ("https://e.com", None),
        ("https://e.com/?a=b.pdf", None),
        ("https://e.com/a%0d%0ab%00.pdf", "ab.pdf"),
        ("https://e.com/a%2Fb.pdf", "b.pdf"),
    ],
)
def test_the_file_name_comes_from_the_path_alone(url: str, name: str | None) -> None:
    assert file_name_of(url) == name
