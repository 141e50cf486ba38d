"""The reference pages say what the code does."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.core import TyperGroup

from connector.adapters.metrics import Metrics
from connector.cli import COMMANDS, load
from connector.config.extend import PLANS, Extend
from connector.core.follow.ending import OWN_REASONS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for folder in (ROOT, *(ROOT / name for name in ("docs", "schemas", "helm", "tests", "connector", "requirements")))
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def text_of(*names: str) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its level."""
    level = title.partition(" ")[0]
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def first_cells(text: str) -> list[list[str]]:
    """The rows of a section's tables as cells, without heads."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    heads = {index - 1 for index, row in enumerate(rows) if set(row) <= set("|- ")}
    body = [row for index, row in enumerate(rows) if index not in heads and not set(row) <= set("|- ")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in body]


def metrics_table() -> list[str]:
    """The table of docs/metrics.md, as it follows from the definitions."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for metric in Metrics().definitions:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return rows


def test_the_page_about_metrics_lists_exactly_the_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in page if line.startswith("|")]
    # To mend it: python -c "from tests.test_docs import metrics_table; print(*metrics_table(), sep='\n')"
    assert listed == metrics_table()


# Links.


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    broken = []
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_that_leads_nowhere_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[good](page.md#a-title) [file](gone.md) [heading](#gone) [out](https://x.example)\n")
    assert broken_links(page) == ["gone.md", "#gone"]


def test_every_page_of_the_folder_docs_is_linked_from_another_page() -> None:
    everything = {page: page.read_text(encoding="utf-8") for page in PAGES}
    unlinked = [
        page.name
        for page in (ROOT / "docs").glob("*.md")
        if not any(page.name in text for other, text in everything.items() if other != page)
    ]
    assert unlinked == []


# Commands.


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of every `extend-connector ...` in code: inline, or a line of a shell block."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in [*inline, *(line for block in blocks for line in block.splitlines())]:
        words = shlex.split(line, comments=True) if "extend-connector " in line else []
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words and Path(words[0]).name == "extend-connector":
            yield words[1 : words.index(">")] if ">" in words else words[1:]


def parse(words: list[str]) -> None:
    """Raises what the command's own parser raises."""
    name, *arguments = words
    command = load(name, COMMANDS[name])
    if not isinstance(command, TyperGroup):
        command.make_context(name, arguments)
    elif arguments:
        context = command.make_context(name, arguments)
        below, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        inner.make_context(below, rest, parent=context)


COMMAND_LINES = [
    pytest.param(words, id=f"{page.relative_to(ROOT).as_posix()}: {' '.join(words)}")
    for page in PAGES
    for words in command_lines(page.read_text(encoding="utf-8"))
    if words[0] not in {"COMMAND", "…", "..."}
]


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_every_command_on_a_page_exists_with_its_options(words: list[str]) -> None:
    if "--help" not in words:
        parse(words)
    assert words[0] in COMMANDS


@pytest.mark.parametrize("line", ["try --run parse --url https://x.example/a.pdf", "pause --all", "results --last 3"])
def test_a_command_that_does_not_exist_would_be_found(line: str) -> None:
    (words,) = command_lines(f"`extend-connector {line}`")
    with pytest.raises(Exception, match=r"No such option|pause"):
        parse(words)


def test_commands_are_found_on_the_pages() -> None:
    assert {str(line.id).split(": ")[0] for line in COMMAND_LINES} >= {"README.md", "docs/operations.md"}
    assert len(COMMAND_LINES) > 10


def test_the_page_for_operators_lists_every_command_and_its_exit_code_1() -> None:
    page = section(text_of("docs", "operations.md"), "## Commands")
    listed, _, codes = page.partition("### Exit codes")
    assert first_cells(listed) == [[f"`extend-connector {name}`", each.summary] for name, each in COMMANDS.items()]
    assert [row[0] for row in first_cells(codes.partition("What 1 means")[2])] == [f"`{name}`" for name in COMMANDS]


# Metrics and log events on the page for operators.


def test_the_page_for_operators_names_metrics_and_log_events_that_exist() -> None:
    rows = first_cells(section(text_of("docs", "operations.md"), "## What metrics and log lines say"))
    metrics = {name for row in rows for name in re.findall(r"`([a-z_]+)", row[0])}
    events = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row[1])}
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "connector").rglob("*.py"))
    assert len(metrics) > 5
    assert metrics <= {metric.name for metric in Metrics().definitions}
    assert len(events) > 5
    assert [event for event in events if not re.search(rf"\.(?:error|warning)\(\s*\"{event}\"", source)] == []


# Results.


def test_the_page_about_results_lists_every_reason_that_is_ours() -> None:
    rows = first_cells(section(text_of("docs", "results.md"), "## Ends that are the connector's own"))
    assert [row[0] for row in rows] == [f"`{reason}`" for reason in OWN_REASONS]


# What the README promises.


def test_every_guarantee_names_tests() -> None:
    bullets = re.split(r"^\* ", section(text_of("README.md"), "## What you can rely on"), flags=re.MULTILINE)[1:]
    assert len(bullets) >= 7
    for bullet in bullets:
        tests = re.findall(r"\]\((tests/[\w/]+/?test_\w+\.py)\)", bullet)
        assert tests, bullet
        for test in tests:
            assert re.search(r"^(?:async )?def test_", text_of(test), re.MULTILINE), test


def test_the_pace_of_each_plan_is_what_the_configuration_makes_of_it() -> None:
    share = Extend().budget_share
    rows: Mapping[str, list[str]] = {
        row[0]: row[1:] for row in first_cells(section(text_of("README.md"), "### How fast"))
    }
    expected = {
        f"`{name}`": [f"{limits.run:g}", f"{limits.files_per_minute:g}", f"{limits.files_per_minute * share / 60:.3g}"]
        for name, limits in PLANS.items()
        if limits.run is not None and limits.files_per_minute is not None
    }
    assert rows == expected
    assert f"{share:.0%}".replace("%", " %") in section(text_of("README.md"), "### How fast")


def test_no_page_speaks_of_a_document_that_is_not_in_the_repository() -> None:
    files = [*PAGES, *(path for name in ("connector", "tests") for path in (ROOT / name).rglob("*.py"))]
    pattern = re.compile(r"\b[Dd]esign (?:\d|sketches|section)|\bdesign[.]md")
    assert [os.fspath(path) for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_the_tests_that_the_page_about_reliability_names_exist() -> None:
    rows = first_cells(section(text_of("docs", "reliability.md"), "## Faults, and the test that covers each"))
    assert len(rows) > 30
    for fault, _, where in rows:
        file, *names = re.findall(r"`([^`]+)`", where)
        source = text_of("tests", file)
        for name in names:
            assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{fault}: {file} has no {name}"
