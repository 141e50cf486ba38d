"""A text that nobody sees by accident."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from connector.core.redaction import HIDDEN


class Secret:
    """A secret; every form that it can be shown or stored in is ``***``.

    ``reveal`` is the one way to the text; call it where the secret is used, and keep the object elsewhere.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Secret cannot be changed ({name})")

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> tuple[Callable[[str], Secret], tuple[str]]:
        """A pickle leaves the process, and the secret does not."""
        return Secret, (HIDDEN,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Taken from a text or another secret; given out as ``***``."""
        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            ],
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _secret: HIDDEN, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text that editors should not show."""
        return {"type": "string", "writeOnly": True}
