"""The page about the simulator says what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from connector.simulator.rules import Action, Kind, Rule
from connector.simulator.timeline import wish_in

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_it_lists_every_kind_of_fault_and_every_action() -> None:
    faults = PAGE[PAGE.index("| Kind |") : PAGE.index("`stage` says")]
    assert re.findall(r"^\| `(\w+)` \|", faults, flags=re.MULTILINE) == list(get_args(Kind))
    assert all(f"`{action}`" in PAGE for action in get_args(Action))


def test_it_names_every_condition_and_setting_of_a_rule() -> None:
    fields = {field.name for field in msgspec.structs.fields(Rule)} - {"kind"}
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE] == []


def test_the_wishes_that_it_lists_are_understood() -> None:
    table = PAGE[PAGE.index("| Text |") : PAGE.index("A status that runs")]
    wishes = re.findall(r"`(simulate-[\w-]+)`", table)
    assert len(wishes) >= 10
    assert all(wish_in(wish) is not None for wish in wishes)
    assert len({wish_in(wish) for wish in wishes}) == len(wishes)
