"""What looks like a secret is hidden, and what does not stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.redaction import Redactor, names_a_secret

CANARY = "c4n4ry-S3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk_live_4f9a-b2", "key sk_***"),
        ("secret wss_9f8e7d", "secret wss_***"),
        (f"Authorization: Bearer {CANARY}", "Authorization: ***"),
        (f"authorization: Basic {CANARY}==", "authorization: ***"),
        (f"{{'Authorization': 'Bearer {CANARY}', 'x': 1}}", "{'Authorization': '***', 'x': 1}"),
        (f"(b'Authorization', b'Bearer {CANARY}')", "(b'Authorization', b'***')"),
        (f"sent Bearer {CANARY}abc", "sent Bearer ***"),
        (f"https://files.example.com/a/{CANARY}.pdf?X-Amz-Signature={CANARY}", "https://files.example.com/…"),
        (f"https://user:{CANARY}@files.example.com/a.pdf", "https://files.example.com/…"),
        (f"http://user:{CANARY}@registry:8081", "http://registry:8081/…"),
        (f"https://files.example.com/a#{CANARY}", "https://files.example.com/…"),
        (f"'https://x.example/?t={CANARY}', next", "'https://x.example/…', next"),
        (f"amqp://user:{CANARY}/half@broker/q", "amqp://…"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert Redactor().redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.extend.ai/extract_runs answered 503",
        "tag invoices/documents/3/17#abcdefghijklmnopqrstuv",
        "the task_list and risk_score of desk_7",
        "s3://bucket/prefix/",
        "a basic authorization problem",
        "100 % of a: b",
    ],
)
def test_what_operators_need_stays(text: str) -> None:
    assert Redactor().redact(text) == text


def test_a_registered_value_is_hidden_wherever_it_stands() -> None:
    redactor = Redactor()
    redactor.register("pa ss/w0rd")
    assert redactor.redact("SASL failed for pa ss/w0rd!") == "SASL failed for ***!"
    assert redactor.redact("q=pa%20ss%2Fw0rd") == "q=***"


def test_a_line_end_after_a_secret_in_its_file_does_not_unhide_it() -> None:
    redactor = Redactor()
    redactor.register("hunter22\n")
    assert redactor.redact("password hunter22 refused") == "password *** refused"


def test_a_secret_inside_of_another_one_leaves_no_rest() -> None:
    redactor = Redactor()
    redactor.register("abcd")
    redactor.register("abcdefgh")
    assert redactor.redact("abcdefgh abcd") == "*** ***"


def test_nothing_is_registered_by_an_empty_or_tiny_value() -> None:
    redactor = Redactor()
    for value in ("", " ", "a", "abc"):
        redactor.register(value)
    assert redactor.redact("a b abc") == "a b abc"


@given(
    secret=st.text(min_size=4, max_size=40).filter(lambda text: len(text.strip()) >= 4),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_no_registered_secret_survives_in_any_text(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    shown = redactor.redact(before + secret + after)
    # The mark and its neighbours can spell the secret again only when the secret is made of such marks.
    assert secret.strip() not in shown or set(secret) & set("*…:/")


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    Redactor().redact(text)


@pytest.mark.parametrize("name", ["password", "ssl.key.password", "api_key", "Authorization", "webhook_secret"])
def test_names_tell_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["key", "partition", "route", "run_id", "author", "credits"])
def test_other_names_do_not(name: str) -> None:
    assert not names_a_secret(name)
