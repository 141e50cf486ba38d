"""What JSON may look like before a parser sees it: UTF-8, and not too deep."""

from __future__ import annotations

MAX_DEPTH = 64
"""Levels of arrays and objects. The deepest documented answer, a workflow's steps, has less than twenty."""

_STRUCTURE = b'"[]{}'
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(_STRUCTURE)))
_ROUND = bytes.maketrans(b"{}", b"[]")


def is_too_deep(text: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects nest deeper than ``limit``. Brackets inside of strings do not count.

    A text whose brackets do not close counts as too deep when an unclosed one is left: it is no JSON either
    way. Every step works on the whole text in C: a loop over the bytes took 7 times as long for a page of
    runs.
    """
    if text.count(b"[") + text.count(b"{") <= limit:
        return False
    # Without escaped characters every quote left begins or ends a string. Pairs of backslashes go first: they
    # are read from the left, as a parser does, so `\\"` ends its string and `\"` does not.
    quotes = text.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    brackets = b"".join(quotes.split(b'"')[::2]).translate(_ROUND)
    # One round removes the innermost pairs, so a text of depth n is empty after n rounds.
    for _ in range(limit):
        if not brackets:
            return False
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            return True
        brackets = shorter
    return bool(brackets)


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8. JSON parsers that skip over a value do not look."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
