"""The commands about the tools: whether they can be read, what that will cost, and reading some of it again.

Here belong arguments and what is printed. Not here: how a tool is asked, or how rows are written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.markup import escape

from connectors.base import Estimate, Read, SourceError
from orchestration import query, settings
from orchestration.settings import SettingsError, Tool, nearest
from orchestration.terminal import Verbose, out, show, spinner, table_of, verdict
from orchestration.watched import finish, run_sync
from warehouse import load
from warehouse.engine import WarehouseError


def check() -> None:
    """Try the settings, the warehouse, and every tool's credentials and permissions; see limits and what is left."""
    current = settings.load()
    verdict(True, "settings", "valid")
    well = [_check_warehouse(current), *[_check_tool(tool) for tool in current.tools.values()]]
    if not all(well):
        raise typer.Exit(1)


def _check_warehouse(current: settings.Settings) -> bool:
    """Makes and drops, in one transaction, what every sync makes first: a schema with a table."""
    try:
        warehouse = current.warehouse()
        with spinner("Writing to the warehouse"), warehouse.begin("check") as connection:
            for statement in (
                "create schema fullpicture_check",
                "create table fullpicture_check.tried (answer integer)",
                "insert into fullpicture_check.tried values (42)",
                "drop table fullpicture_check.tried",
                "drop schema fullpicture_check",
            ):
                connection.execute(sa.text(statement))
    except WarehouseError as error:
        verdict(False, "warehouse", str(error))
        return False
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).splitlines()[0].rstrip(".")
        verdict(False, "warehouse", f"{warehouse!r} cannot be written: {reason}. Let its user create schemas and tables.")
        return False
    verdict(True, "warehouse", f"{warehouse!r} can be written")
    return True


def _check_tool(tool: Tool) -> bool:
    if tool.off:
        out.print(f"[dim]-[/dim] {tool.name}: off, none of its variables are set")
        return True
    well = True
    try:
        with spinner(f"Asking {tool.name}"):
            findings = list(tool.connector().check())
    except (SettingsError, SourceError) as error:
        verdict(False, tool.name, str(error))
        return False
    for finding in findings:
        verdict(finding.ok, f"{tool.name}: {finding.subject}", finding.message)
        well = well and finding.ok
    return well


def estimate(tools: Annotated[list[str] | None, typer.Argument(metavar="[TOOL]...")] = None) -> None:
    """Say what a first read will take, before it starts: records, requests, minutes, share of the day's quota."""
    for tool in settings.load().chosen(tools or []):
        with spinner(f"Asking {tool.name}"):
            found = list(tool.connector().estimate(tool.section.reads()))
        _show_estimate(tool, found)


def _show_estimate(tool: Tool, found: Sequence[Estimate]) -> None:
    table = table_of(
        "read", "records", "requests", "minutes", "of the day's quota", title=f"A first read of {tool.section.label}"
    )
    for each in found:
        share = "" if each.share is None else f"{each.share:.1%}"
        table.add_row(each.read, f"{each.records:,}", f"{each.requests:,}", f"{each.seconds / 60:,.1f}", share)
    shares = [each.share for each in found if each.share is not None]
    requests, seconds = sum(each.requests for each in found), sum(each.seconds for each in found)
    table.add_row("all", "", f"{requests:,}", f"{seconds / 60:,.1f}", f"{sum(shares):.1%}" if shares else "")
    out.print(table)
    for each in found:
        if each.note:
            out.print(f"{each.read}: {escape(each.note)}", highlight=False, soft_wrap=True)


def resync(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A raw table, such as zendesk.tickets.")],
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Read again what changed since this day.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Read a table again, wholly or since a day, with the tables that come with it. What is gone from the tool, however
    much, is then marked as deleted."""
    from orchestration.synced import prepared

    current = settings.load()
    tool, read = _read_of(current, table)
    connector = tool.connector()
    cursor = connector.at(read, since.replace(tzinfo=UTC)) if since else None
    if since and cursor is None:
        out.print(f"{table} is always read as a whole.", highlight=False)
    with spinner("Waiting for the warehouse"):
        warehouse = prepared(current)
        with warehouse.tool_lock(tool.name):
            load.rewind(warehouse, tool.name, read.name, cursor, kept=connector.kept)
    finish(run_sync([tool.name], tables=[stream.name for stream in read.streams], verbose=verbose))


def _read_of(current: settings.Settings, table: str) -> tuple[Tool, Read]:
    """The read that fills a table, by the table's name with a dot or a slash."""
    reads = {
        f"{tool.name}.{stream.name}": (tool, read)
        for tool in current.tools.values()
        for read in tool.section.reads()
        for stream in read.streams
    }
    name = table.replace("/", ".")
    if name not in reads:
        raise SettingsError(f"{table} is not a table that is read from a tool{nearest(name, reads)}")
    return reads[name]


rejects = typer.Typer(invoke_without_command=True)


@rejects.callback()
def list_rejects(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List what could not be loaded, and why; load it from the originals after an update."""
    if ctx.invoked_subcommand:
        return
    answer = query.ask(
        settings.load(),
        "select tool || '.' || stream as table_name, record_id, column_name, reason, rejected_at from sync.rejects"
        " order by 1, 2, 3",
        ours=True,
    )
    if as_json:
        answer.write_json(sys.stdout)
        return
    if answer.rows:
        show(answer)
    out.print(f"{len(answer.rows)} put aside", highlight=False)


@rejects.command("replay")
def replay_rejects(tools: Annotated[list[str] | None, typer.Argument(metavar="[TOOL]...")] = None) -> None:
    """Try what was put aside once more, without asking the tools for it again."""
    from orchestration.replay import replay
    from orchestration.synced import prepared

    current = settings.load()
    warehouse = prepared(current)
    for tool in current.chosen(tools or []):
        streams = [stream for read in tool.section.reads() for stream in read.streams]
        with spinner(f"Replaying {tool.name}"), warehouse.tool_lock(tool.name):
            done = replay(warehouse, tool.connector(), streams)
        for table in done:
            out.print(f"{table.table}: {table.loaded} loaded, {table.left} still put aside", highlight=False)
        if not done:
            out.print(f"{tool.name}: nothing is put aside", highlight=False)
