"""Key and headers of a record, as options of a command."""

from __future__ import annotations

import os

import typer

from connector.core.accept.dead_letter import CONNECT
from connector.core.record import Headers

_OURS = ("extend.", CONNECT)


def key_of(written: str | None) -> bytes | None:
    """The bytes of a key as they were typed; None for none."""
    return None if written is None else os.fsencode(written)


def headers_of(written: list[str] | None) -> Headers:
    """Headers in their order; a name may come several times, and a value may be empty or hold a ``=``.

    Args:
        written: ``NAME=VALUE`` each.

    Raises:
        BadParameter: one has another form, or a name that is no UTF-8.
    """
    return tuple(_header(each) for each in written or ())


def headers_to_send(written: list[str] | None) -> Headers:
    """Headers for a record that will be sent.

    Args:
        written: ``NAME=VALUE`` each.

    Raises:
        BadParameter: as ``headers_of``, and one says what only the connector may say.
    """
    headers = headers_of(written)
    for name, _ in headers:
        if name.startswith(_OURS):
            raise typer.BadParameter(
                f"--header {name}: names that begin with {' or '.join(_OURS)} are the connector's own."
            )
    return headers


def _header(written: str) -> tuple[str, bytes]:
    name, equals, value = written.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--header is NAME=VALUE, for example source=erp, and not {written!r}.")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"--header {written!r}: names of Kafka's headers are UTF-8.") from None
    return name, os.fsencode(value)
