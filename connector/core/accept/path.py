"""Where something stands in somebody's record: ``payload.location``, ``items[0].url``, ``payload.`file.name```.

A dot goes into an object, brackets into a list, and what stands in backticks is one name as it is, as in Kafka
Connect's transformations (KIP-821) and in ksqlDB. A path is parsed once, when the configuration is read; a record is
only walked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn

from connector.core.accept.field_reader import json_type, nearest_name
from connector.core.formats.strict_json import shown_name

MAX_STEPS = 64
"""JSON of a record is not deeper."""

MAX_COMPARED = 200
"""Names of one object among which the one that was meant is looked for: an object may have a million."""

_BARE = re.compile(r"[^.\[\]()?`\s]+")
_QUOTED = re.compile(r"`((?:[^`\\]|\\[`\\])+)`")
_ESCAPED = re.compile(r"\\([`\\])")
_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,6})\]")


class NotationError(ValueError):
    """Something of the configuration is not written as it has to be. The sentence shows places and no text."""


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the top of a decoded value: names into objects, numbers into lists."""

    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        text = ""
        for step in self.steps:
            if isinstance(step, int):
                text += f"[{step}]"
            else:
                text += f"{'.' if text else ''}{_written(step)}"
        return text

    def find(self, value: object) -> object:
        """What stands there; None when nothing does, or null.

        Args:
            value: dicts, lists and scalars, as a decoder of values makes them.
        """
        for step in self.steps:
            if step.__class__ is str:
                if not isinstance(value, dict):
                    return None
                value = value.get(step)
            elif isinstance(value, list) and step < len(value):  # type: ignore[operator]  # no text, so a number
                value = value[step]  # type: ignore[index]  # as above
            else:
                return None
        return value

    def absence(self, value: object) -> str:
        """Why nothing stands there: how far the path leads, without a value and with one name at most."""
        for place, step in enumerate(self.steps):
            here = str(Path(self.steps[:place])) or "the value"
            if value is None:
                return f"{here} is null"
            if isinstance(step, int):
                if not isinstance(value, list):
                    return f"{here} is {json_type(value)}, not an array"
                if step >= len(value):
                    return f"{here} has {len(value)} item{'' if len(value) == 1 else 's'}, and none at [{step}]"
                value = value[step]
                continue
            if not isinstance(value, dict):
                return f"{here} is {json_type(value)}, not an object"
            if step not in value:
                near = nearest_name(step, [name for name in islice(value, MAX_COMPARED) if isinstance(name, str)])
                hint = f"; did you mean {shown_name(near)}?" if near else ""
                return f"{here} has no {_written(step)}{hint}"
            value = value[step]
        return f"{self} is null"


def parse_path(text: str) -> Path:
    """The path that a text says.

    Raises:
        NotationError: it says none; the sentence tells at which character.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        if index := _INDEX.match(text, at):
            steps.append(int(index[1]))
            at = index.end()
            continue
        if steps:
            if text[at] != ".":
                _refuse(text, at)
            at += 1
        if quoted := _QUOTED.match(text, at):
            steps.append(_ESCAPED.sub(r"\1", quoted[1]))
            at = quoted.end()
        elif bare := _BARE.match(text, at):
            steps.append(bare[0])
            at = bare.end()
        else:
            _refuse(text, at)
    if not steps:
        raise NotationError("is empty: a path has at least one name, for example payload.location")
    if len(steps) > MAX_STEPS:
        raise NotationError(f"has {len(steps)} steps; no record is deeper than {MAX_STEPS}")
    return Path(tuple(steps))


def _refuse(text: str, at: int) -> NoReturn:
    if at >= len(text):
        raise NotationError("is no path: a name is missing at its end")
    wrong = text[at]
    if wrong == "[":
        why = "brackets hold the number of an item of a list, from 0, for example items[0].url"
    elif wrong == "`":
        why = "a name in backticks is empty, or does not end"
    elif wrong == ".":
        why = "a name is missing before this dot"
    else:
        why = "a name that holds spaces, dots, brackets or question marks stands in backticks"
    raise NotationError(f"is no path, at character {at + 1}: {why}")


def _written(name: str) -> str:
    if _BARE.fullmatch(name):
        return name
    return f"`{name.replace(chr(92), chr(92) * 2).replace('`', chr(92) + '`')}`"
