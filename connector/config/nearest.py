"""Did you mean: the known name that is nearest to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_SHOWN = 200


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    by_plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(name[:100]), by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None


def one_of(name: str, known: tuple[str, ...], noun: str) -> str:
    """The name, when it is known.

    Raises:
        ValueError: it is not; the sentence names the nearest and all. It repeats the name only where it is
            like a known one: what somebody put in the wrong place may be a secret.
    """
    if name in known:
        return name
    close = nearest(name, known)
    hint = f"{shown(name)} is unknown; did you mean {close}? " if close else "is none of the known names. "
    raise ValueError(f"{hint}The {noun} are {', '.join(known)}")


def shown(name: str) -> str:
    """A name for a sentence: one printable line of bounded length."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(".", "_")
