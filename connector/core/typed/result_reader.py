"""Reads results of all routes, whatever schema each of them has."""

from __future__ import annotations

from collections.abc import Iterable

from connector.core.formats.framing import HEADER_BYTES, MARKER, Codec
from connector.core.typed.typed_results import VALUE, TypedResults


class ResultReader:
    """Reads results by their fingerprint; a typed one has ``value`` as the JSON was that it was made from."""

    def __init__(self, plain: Codec, typed: Iterable[TypedResults]) -> None:
        """Take the schemas.

        Args:
            plain: of ``run_result``, in every version.
            typed: of every typed route, in every version that may be met.
        """
        self._plain = plain
        self._typed = {each.codec.fingerprint: each for each in typed}

    def decode(self, data: bytes) -> dict[str, object]:
        """The fields of a result.

        Raises:
            Undecodable: as ``Codec.decode``.
        """
        typed = self._typed.get(data[len(MARKER) : HEADER_BYTES]) if data.startswith(MARKER) else None
        if typed is None:
            return self._plain.decode(data)
        fields = typed.codec.decode(data)
        return {**fields, VALUE: typed.restore(fields[VALUE])}
