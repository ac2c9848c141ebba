"""What the command line draws: lines, tables, a spinner, errors in one line.

Here belongs how something looks in a terminal. Not here: what is shown, or any work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperGroup

from connectors.base import SourceError
from orchestration.query import Answer, QueryError
from orchestration.settings import SettingsError
from warehouse.engine import WarehouseError

out = Console()
err = Console(stderr=True)
Verbose = Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log as well.")]


class Commands(TyperGroup):
    """What is wrong with the input, a tool or the warehouse is one line on stderr, never a stack trace."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, WarehouseError, QueryError, SourceError) as error:
            complain(str(error))
            raise typer.Exit(1) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            place = error.filename or "A file"
            complain(f"{place} cannot be used: {error.strerror or error}. Make room, or set FULLPICTURE_HOME to another place.")
            raise typer.Exit(1) from None


def complain(message: str) -> None:
    err.print(escape(message), style="red", highlight=False, soft_wrap=True)


@contextmanager
def spinner(title: str, *, quiet: bool = False) -> Iterator[Any]:
    if quiet or not err.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        task = shown.add_task(escape(title))
        yield lambda text: shown.update(task, description=escape(text))


def table_of(first: str, *others: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def show(answer: Answer, title: str | None = None) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(answer.columns):
        numeric = any(isinstance(row[at], int | float) or hasattr(row[at], "as_tuple") for row in answer.rows)
        table.add_column(escape(name), justify="right" if numeric else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*("" if value is None else escape(_cell(value)) for value in row))
    out.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not (isinstance(value, int | float) or hasattr(value, "as_tuple")):
        return str(value)
    return f"{value:,}"


def verdict(well: bool, subject: str, message: str) -> None:
    out.print(
        f"{'[green]✓[/green]' if well else '[red]✗[/red]'} {escape(f'{subject}: {message}')}",
        highlight=False,
        soft_wrap=True,
    )
