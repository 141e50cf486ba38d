"""Durations, sizes, shares and instants: a number with a unit in the file, a plain number in Python."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z%]*)", re.ASCII)

DURATION_UNITS: Mapping[str, float] = MappingProxyType({"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400})
SIZE_UNITS: Mapping[str, float] = MappingProxyType(
    {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
)

FROM_FILE = "from_file"
"""Key of the validation context: numbers need their unit. Python code may give plain seconds and bytes."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How one kind of quantity is read, checked and shown.

    Attributes:
        least: the smallest value, in the unit of the Python value.
        most: the largest value.
    """

    least: float = 0.0
    most: float = math.inf

    noun: ClassVar[str]
    units: ClassVar[Mapping[str, float]]
    example: ClassVar[str]
    whole: ClassVar[bool] = False

    def parse(self, value: object, *, needs_unit: bool) -> float | int:
        """The plain number.

        Raises:
            ValueError: a sentence without the value, except where the value is a number.
        """
        number = self._number(value, needs_unit=needs_unit)
        if not self.least <= number <= self.most:
            raise ValueError(f"must be {self.bounds()}")
        return round(number) if self.whole else number

    def _number(self, value: object, *, needs_unit: bool) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"must be a {self.noun} with its unit, for example {self.example}")  # noqa: TRY004 - pydantic collects ValueErrors only
        if not isinstance(value, str):
            if needs_unit:
                raise ValueError(f"needs a unit ({', '.join(self.units)}), for example {self.example}")
            return float(value)
        match = _NUMBER.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"must be a {self.noun} with its unit, for example {self.example}")
        digits, unit = match.groups()
        if unit not in self.units:
            reason = f"has a unit that a {self.noun} does not have" if unit else "needs a unit"
            raise ValueError(f"{reason} ({', '.join(self.units)}), for example {self.example}")
        return _product(float(digits), self.units[unit])

    def bounds(self) -> str:
        """``from 1s to 10m``, or ``at least 1s``."""
        if self.most == math.inf:
            return f"at least {self.show(self.least)}"
        return f"from {self.show(self.least)} to {self.show(self.most)}"

    def show(self, value: float) -> str:
        """The shortest exact way to write it with a unit."""
        for unit, factor in sorted(self.units.items(), key=lambda pair: -pair[1]):
            count = round(value / factor)
            if count >= 1 and _product(count, factor) == value:
                return f"{count}{unit}"
        smallest = min(self.units, key=self.units.__getitem__)
        return f"{value / self.units[smallest]:.6f}".rstrip("0").rstrip(".") + smallest

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Reads through ``parse``, shows through ``show``."""

        def read(value: object, info: ValidationInfo) -> float | int:
            return self.parse(value, needs_unit=bool((info.context or {}).get(FROM_FILE)))

        return core_schema.with_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(self.show),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text with a unit."""
        units = "|".join(self.units)
        return {
            "type": "string",
            "x-quantity": self.noun,
            "pattern": rf"^\s*[0-9]+(\.[0-9]+)?\s*({units})\s*$",
            "examples": [self.example],
        }


def _product(count: float, factor: float) -> float:
    """Rounded, because 3 * 0.001 is not 0.003 in floating point."""
    return round(count * factor, 9)


@dataclass(frozen=True, slots=True)
class Duration(Quantity):
    """Seconds as a float; ``20ms``, ``15s``, ``10m``, ``1h``, ``1d`` in the file."""

    noun: ClassVar[str] = "duration"
    units: ClassVar[Mapping[str, float]] = DURATION_UNITS
    example: ClassVar[str] = "15s"


@dataclass(frozen=True, slots=True)
class Size(Quantity):
    """Bytes as an int; ``256MB`` (10^6) or ``256MiB`` (2^20) in the file."""

    noun: ClassVar[str] = "size"
    units: ClassVar[Mapping[str, float]] = SIZE_UNITS
    example: ClassVar[str] = "256MB"
    whole: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Share(Quantity):
    """A part of one as a float; ``80%`` in the file."""

    noun: ClassVar[str] = "share"
    units: ClassVar[Mapping[str, float]] = MappingProxyType({"%": 0.01})
    example: ClassVar[str] = "80%"


class Instant:
    """``earliest``, or an instant (RFC 3339) as a ``datetime`` that knows its offset from UTC."""

    @staticmethod
    def parse(value: object) -> datetime | Literal["earliest"]:
        """The instant, or the word.

        Raises:
            ValueError: it is neither.
        """
        if value == "earliest":
            return "earliest"
        moment = value
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                moment = None
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise ValueError(
                "must be earliest, or an instant with its offset from UTC, for example 2026-12-01T00:00:00Z"
            )
        return moment

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Reads through ``parse``, shows ISO 8601."""
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value if isinstance(value, str) else value.isoformat(),
            ),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The word or a date-time."""
        return {"anyOf": [{"const": "earliest"}, {"type": "string", "format": "date-time"}]}
