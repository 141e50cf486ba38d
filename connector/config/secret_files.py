"""Secrets from files, into the settings."""

from __future__ import annotations

from collections.abc import Callable

from connector.config.environment import Origin, Settings
from connector.config.keys import IN_HEADERS, SECRETS, Path, dotted
from connector.config.nearest import shown
from connector.config.secret import Secret
from connector.core.errors import Problem

ReadFile = Callable[[str], bytes]
"""Reads a file; raises OSError."""

MAX_BYTES = 64 * 1024


def read_secret(text: str, *, visible_ascii: bool = False) -> Secret:
    """The secret in the text of a file or a variable, without its last line break.

    Args:
        text: what was read.
        visible_ascii: it goes into an HTTP header, which takes nothing else.

    Raises:
        ValueError: a sentence that does not show the secret.
    """
    secret = text.rstrip("\r\n")
    if visible_ascii:
        secret = secret.strip()
    if not secret.strip():
        raise ValueError("is empty")
    if "\n" in secret or "\r" in secret or "\0" in secret:
        raise ValueError("holds more than one line; a secret is one line")
    if visible_ascii and not all("!" <= char <= "~" for char in secret):
        raise ValueError("holds a space or a character that an HTTP header cannot carry")
    return Secret(secret)


def read_secret_file(name: str, read_file: ReadFile, *, visible_ascii: bool) -> Secret:
    """The secret that a file holds, checked as at the first load.

    Args:
        name: the file.
        read_file: reads it; raises OSError.
        visible_ascii: it goes into an HTTP header as it is.

    Raises:
        ValueError: a sentence that names the file and does not show the secret.
    """
    text = _text_of(name, read_file)
    try:
        return read_secret(text, visible_ascii=visible_ascii)
    except ValueError as error:
        raise ValueError(f"names a file that {error} ({shown(name)})") from None


def read_signing_secret(name: str, read_file: ReadFile) -> Secret:
    """The signing secret that a file holds, checked as at the first load.

    Args:
        name: the file, as ``webhook.secret_files`` names it.
        read_file: reads it; raises OSError.

    Raises:
        ValueError: a sentence that names the file and does not show the secret.
    """
    return read_secret(_text_of(name, read_file))


def read_key_file(name: str, read_file: ReadFile) -> Secret:
    """The API key that a file holds, checked as at the first load.

    Args:
        name: the file, as ``extend.api_key_file`` names it.
        read_file: reads it; raises OSError.

    Raises:
        ValueError: a sentence that names the file and does not show the key.
    """
    return read_secret_file(name, read_file, visible_ascii=True)


def settle_alternatives(settings: Settings) -> list[Problem]:
    """Keep one of two keys that exclude each other: the one from the place that counts more.

    Returns:
        What is not used, each with its place.
    """
    unused = []
    pairs = [*((key, beside) for key, (beside, _) in SECRETS.items()), (("extend", "plan"), ("extend", "limits"))]
    for one, other in pairs:
        if settings.get(one) is None or settings.get(other) is None:
            continue
        ranks = (settings.rank(one), settings.rank(other))
        if ranks[0] == ranks[1]:
            settings.wrong(one, f"and {dotted(other)} exclude each other; remove one")
            settings.drop(other)
            continue
        winner, loser = (one, other) if ranks[0] > ranks[1] else (other, one)
        unused.append(
            settings.problem(loser, f"is not used: {dotted(winner)} comes from the environment and counts more")
        )
        settings.drop(loser)
    return unused


def refuse_secrets_in_the_file(settings: Settings) -> None:
    """A configuration file is shown, mailed and committed."""
    for key, (beside, variable) in SECRETS.items():
        if settings.get(key) is not None and settings.rank(key) == 0:
            settings.wrong(key, f"does not belong into the file; name a file as {dotted(beside)}, or set {variable}")
            settings.drop(key)


def take_secrets(settings: Settings, read_file: ReadFile) -> None:
    """Put the secrets of files and variables where the model expects them."""
    for key, (beside, _) in SECRETS.items():
        if (given := settings.get(key)) is not None:
            _take(settings, key, key, given, lambda text: text)
        elif (named := settings.get(beside)) is not None:
            _take(settings, key, beside, named, lambda name: _text_of(name, read_file))


def _take(settings: Settings, key: Path, path: Path, given: object, text_of: Callable[[str], str]) -> None:
    """Read one value or a list of them; what is no text is left to validation."""
    several = isinstance(given, list)
    if several != (key == ("webhook", "secrets")):
        return
    found: list[Secret] = []
    for index, item in enumerate(given if isinstance(given, list) else [given]):
        place = (*path, str(index)) if several and path != key else path
        if not isinstance(item, str):
            if path == key:
                settings.wrong(place, "must be a text")
                settings.drop(key)
            return
        try:
            found.append(read_secret(text_of(item), visible_ascii=key in IN_HEADERS))
        except ValueError as error:
            settings.wrong(place, str(error))
            if path == key:
                settings.drop(key)
            return
    origin = settings.origin(path) or Origin("")
    settings.put(key, found if several else found[0], origin)


def _text_of(name: str, read_file: ReadFile) -> str:
    try:
        content = read_file(name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ValueError(f"names a file that cannot be read: {reason.lower()} ({shown(name)})") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"names a file of more than {MAX_BYTES} bytes ({shown(name)})")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"names a file that is no UTF-8 text ({shown(name)})") from None
    try:
        read_secret(text)
    except ValueError as error:
        raise ValueError(f"names a file that {error} ({shown(name)})") from None
    return text
