from __future__ import annotations

import copy
import json
import pickle

import pytest
from pydantic import BaseModel

from connector.config import Secret

CANARY = "canary-4711"


class Holder(BaseModel):
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>20}",
        lambda secret: f"{secret:>20}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the way that loggers format
        lambda secret: repr([secret, {secret: secret}]),
        lambda secret: pickle.dumps(secret).decode("latin-1"),
        lambda secret: repr(pickle.loads(pickle.dumps(secret)).reveal()),  # noqa: S301 - its own pickle
        lambda secret: repr(Holder(secret=secret)),
        lambda secret: repr(Holder(secret=secret).model_dump()),
        lambda secret: Holder(secret=secret).model_dump_json(),
        lambda secret: repr(getattr(secret, "__dict__", "***")),
    ],
)
def test_a_secret_shows_as_three_stars(show: object) -> None:
    text = show(Secret(CANARY))  # type: ignore[operator]  # a table of functions
    assert CANARY not in text
    assert "***" in text


def test_a_secret_is_no_json() -> None:
    with pytest.raises(TypeError) as raised:
        json.dumps({"key": Secret(CANARY)})
    assert CANARY not in str(raised.value)


def test_a_secret_reveals_itself_also_when_it_was_copied() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == copy.copy(secret).reveal() == copy.deepcopy(secret).reveal() == CANARY
    assert Holder(secret=secret).model_copy(deep=True).secret.reveal() == CANARY


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("***") != "***"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_secret_never_changes() -> None:
    with pytest.raises(AttributeError) as raised:
        Secret(CANARY)._text = "other"
    assert CANARY not in str(raised.value)
