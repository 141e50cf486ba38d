"""What a configuration is made from in these tests: texts, and files that exist only here."""

from __future__ import annotations

from collections.abc import Mapping

from connector.config import Parsed, parse
from connector.core.errors import ConfigurationError, Problem

SMALLEST = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "EXTEND_API_KEY": "sk_test"}
FILES = {
    "/secrets/key": b"sk_from_file\n",
    "/secrets/password": b" pass word \r\n",
    "/secrets/old": b"wss_old",
    "/secrets/new": b"wss_new\n\n",
    "/secrets/empty": b"\n",
    "/secrets/lines": b"one\ntwo\n",
    "/secrets/binary": b"\xff\xfe\x00",
    "/secrets/large": b"x" * 100_000,
    "/secrets/bom": b"\xef\xbb\xbfsk_bom\n",
    "/secrets/umlaut": "sk_ü".encode(),
}


def read_file(name: str) -> bytes:
    if name in FILES:
        return FILES[name]
    raise FileNotFoundError(2, "No such file or directory", name)


def parsed(text: str | None = None, environ: Mapping[str, str] = SMALLEST) -> Parsed:
    return parse(text, environ, read_file, source="c.yaml")


def problems(text: str | None = None, environ: Mapping[str, str] = SMALLEST) -> tuple[Problem, ...]:
    try:
        found = parse(text, environ, read_file, source="c.yaml")
    except ConfigurationError as error:
        return error.problems
    raise AssertionError(f"nothing was wrong with {found.config}")


def problem(text: str | None = None, environ: Mapping[str, str] = SMALLEST) -> Problem:
    (only,) = problems(text, environ)
    return only
