"""Which URLs a reference may name. The connector never fetches them: the API does.

Error texts never show any part of a URL: presigned ones are keys to the document.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from connector.core.accept.field_reader import CONTROL
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason

MAX_CHARS = 8192
"""Of a URL. Presigned ones take about 2,000."""

# urlsplit drops tabs and line ends without a word, and browsers read a backslash as a slash: refuse, do not
# repair.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029]")


def check_url(url: str, path: str) -> None:
    """Refuse what is not a plain http or https URL.

    Args:
        url: the URL.
        path: the field's path, for the error.

    Raises:
        RecordRejected: URL_NOT_ALLOWED, with what is wrong and without the URL.
    """
    if len(url) > MAX_CHARS:
        raise _not_allowed(f"the URL has {len(url)} characters; {MAX_CHARS} are allowed", path)
    if _FORBIDDEN.search(url):
        raise _not_allowed("the URL holds white space, a control character or a backslash", path)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _not_allowed("the URL has no valid host or port", path) from None
    _check_parts(parts, port, path)


def _check_parts(parts: SplitResult, port: int | None, path: str) -> None:
    if parts.scheme not in {"http", "https"}:
        raise _not_allowed("only http and https URLs are allowed", path)
    if "@" in parts.netloc:
        raise _not_allowed("a URL with a user name or password is not allowed; use a presigned URL", path)
    if not parts.hostname or port == 0:
        raise _not_allowed("the URL has no valid host or port", path)


def _not_allowed(message: str, path: str) -> RecordRejected:
    return RecordRejected(Reason.URL_NOT_ALLOWED, message, path=path)


def file_name_of(url: str) -> str | None:
    """The file name in a URL's path, or None when the path has none."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return CONTROL.sub("", name).strip() or None
