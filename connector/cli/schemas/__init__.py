"""`extend-connector schemas`: the schemas of the result topics, here and in the schema registry. One file each."""

from __future__ import annotations

import typer

from connector.cli.schemas.check import check
from connector.cli.schemas.generate import generate
from connector.cli.schemas.list_ import list_
from connector.cli.schemas.register import register
from connector.cli.schemas.show import show

schemas = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""The schemas that results are written with, and what the schema registry has of them.

    Example: extend-connector schemas list

    Example: extend-connector schemas check --config connector.yaml

    Example: extend-connector schemas generate --route invoices
    """,
)
schemas.command("list")(list_)
schemas.command("show")(show)
schemas.command("check")(check)
schemas.command("register")(register)
schemas.command("generate")(generate)
