"""The file of the API key, read again while the worker runs."""

from __future__ import annotations

from connector.config import read_key
from connector.logs import logger


class KeyFile:
    """Reads the key again and again. A file that cannot be used changes nothing and is logged once, not every time."""

    def __init__(self, path: str | None) -> None:
        """Take the file's name.

        Args:
            path: what ``extend.api_key_file`` says; None when the key comes from elsewhere.
        """
        self._path = path
        self._complained = ""

    def read(self) -> str | None:
        """The key as the file has it now; None where there is no file or it holds no key: the old one stays."""
        if self._path is None:
            return None
        try:
            key = read_key(self._path).reveal()
        except ValueError as error:
            self._complain(str(error))
            return None
        self._complained = ""
        return key

    def _complain(self, why: str) -> None:
        if why != self._complained:
            self._complained = why
            logger.warning("api_key_not_read", problem=f"extend.api_key_file: {why}", keeps="the key that it has")
