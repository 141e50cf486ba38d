"""The dashboards as files."""

from __future__ import annotations

import json
from pathlib import Path

from helm.dashboards.board import board
from helm.dashboards.internals import INTERNALS
from helm.dashboards.overview import OVERVIEW
from helm.dashboards.panels import Json

FOLDER = Path(__file__).parents[1] / "extend-kafka-connector" / "dashboards"


def dashboards() -> dict[str, Json]:
    """Every dashboard, by the name of its file."""
    return {
        "overview.json": board(
            "overview",
            "Where the documents are: how many wait, how many are under way, how long it takes, and what went wrong.",
            OVERVIEW,
        ),
        "internals.json": board(
            "internals",
            "What the processes do: transactions, restores, lists and starts, signals, and the machine below them.",
            INTERNALS,
        ),
    }


def texts() -> dict[str, str]:
    """The same as they stand in the chart."""
    return {name: json.dumps(dashboard, indent=2) + "\n" for name, dashboard in dashboards().items()}
