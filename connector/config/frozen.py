"""Mappings that cannot be changed, and mappings that cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from connector.core.redaction import HIDDEN


class ReadOnly(Mapping[str, Any]):
    """A mapping that cannot be changed. Unlike ``MappingProxyType`` it can be copied and pickled."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a value of the user's own
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __reduce__(self) -> tuple[type[ReadOnly], tuple[dict[str, Any]]]:
        return ReadOnly, (self._values,)

    def __deepcopy__(self, _memo: object) -> ReadOnly:
        return self


class Veiled(ReadOnly):
    """Its values work as usual, and do not show in its ``repr`` and its pickle.

    Not a ``dict``: libraries that print or dump a dict look past its ``repr``.
    """

    __slots__ = ()
    visible: ClassVar[frozenset[str]] = frozenset()

    def shown(self) -> dict[str, Any]:
        """A copy for people: what is not known to be harmless is ``***``."""
        return {name: value if name in self.visible else HIDDEN for name, value in self.items()}

    def __repr__(self) -> str:
        return repr(self.shown())

    def __reduce__(self) -> tuple[type[ReadOnly], tuple[dict[str, Any]]]:
        return ReadOnly, (self.shown(),)


def freeze(value: object) -> object:
    """The value, with read-only mappings and tuples in place of dicts and lists."""
    if isinstance(value, dict):
        return ReadOnly({name: freeze(item) for name, item in value.items()})
    if isinstance(value, list):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: object) -> object:
    """The opposite: plain dicts and lists, what is veiled stays hidden."""
    if isinstance(value, Veiled):
        return value.shown()
    if isinstance(value, Mapping):
        return {name: thaw(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value
