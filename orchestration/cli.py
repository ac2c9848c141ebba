"""The command line: what people type, and what they see.

Here belong arguments, progress, tables and exit codes. Not here: any work; and Dagster, which costs seconds to
import, is imported by the commands that need it.
"""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from orchestration import cli_backup, cli_customers, cli_privacy, cli_readers, cli_tools, query, settings
from orchestration.config import TOOLS
from orchestration.query import Answer
from orchestration.settings import SettingsError
from orchestration.terminal import Commands, Verbose, err, out, show, spinner
from orchestration.watched import finish, run_refresh, run_sync

GRAVEST = 8  # how many gaps the demo shows
ROOT = Path(__file__).parent.parent

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Salesforce, Jira and Zendesk in one warehouse: unified customers and features, and every gap in the picture.",
)


@app.command()
def sync(
    tools: Annotated[
        list[str] | None, typer.Argument(metavar="[TOOL]...", help=f"{', '.join(TOOLS)}; all that are set")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Read what changed in the tools."""
    names = [tool.name for tool in settings.load().chosen(tools or [])]
    finish(run_sync(names, verbose=verbose))


app.command()(cli_tools.check)
app.command()(cli_tools.estimate)
app.command()(cli_tools.resync)
app.add_typer(cli_tools.rejects, name="rejects")
app.command()(cli_backup.backup)
app.command()(cli_backup.restore)
app.add_typer(cli_privacy.app, name="privacy")
app.add_typer(cli_customers.app, name="customers")
app.command("try")(cli_readers.try_file)


@app.command()
def refresh(
    accept: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Accept that this table lost over half its rows.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Rebuild the unified tables from what has been read, review the gaps, publish the copy."""
    finish([run_refresh(accept or [], verbose=verbose)])


AsCsv = Annotated[bool, typer.Option("--csv", help="As CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


gaps_app = typer.Typer(invoke_without_command=True)
app.add_typer(gaps_app, name="gaps")


@gaps_app.callback()
def gaps(
    ctx: typer.Context,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    severity: Annotated[str | None, typer.Option(help="critical, high, medium or low")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what this owner can close.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what keeps the picture from being complete, the gravest first; snooze or acknowledge one of them."""
    if ctx.invoked_subcommand:
        return
    wanted = {"rule": rule, "severity": severity, "owner": owner}
    given = {name: value for name, value in wanted.items() if value is not None}
    answer = query.ask(settings.load(), open_gaps(list(given)), given, ours=True)
    if as_json:
        answer.write_json(sys.stdout)
        return
    draw_gaps(answer, ids=True)
    out.print(f"{len(answer.rows)} open gaps", highlight=False)


@gaps_app.command()
def snooze(
    gap_id: str,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it is left out.")],
) -> None:
    """Leave a gap out of the list until a day has passed."""
    _decide(gap_id, "snoozed", until.date())


@gaps_app.command()
def acknowledge(gap_id: str) -> None:
    """Leave a gap out of the list for good: it is known, and stays as it is."""
    _decide(gap_id, "acknowledged", None)


def _decide(gap_id: str, decision: str, until: date | None) -> None:
    from orchestration import published
    from orchestration.synced import prepared
    from warehouse import gaps as ledger

    current = settings.load()
    warehouse = prepared(current)
    with spinner("Waiting for the warehouse"), warehouse.hold(f"{decision} {gap_id}"):
        with warehouse.begin("decide about a gap") as connection:
            ledger.decide(connection, gap_id, decision, until, getpass.getuser())
        published.publish(current, warehouse)
    out.print(f"{gap_id} is {decision}" + (f" until {until}" if until else ""), highlight=False)


def draw_gaps(answer: Answer, title: str | None = None, *, ids: bool = False) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("severity", no_wrap=True)
    table.add_column("gap", overflow="fold")
    table.add_column("stake", justify="right", no_wrap=True)
    table.add_column("owner", overflow="fold")
    if ids:
        table.add_column("id", no_wrap=True)
    for row in (dict(zip(answer.columns, row, strict=True)) for row in answer.rows):
        table.add_row(
            row["severity"], escape(row["title"]), stake(row), escape(row["owner"] or ""), *([row["gap_id"]] if ids else [])
        )
    out.print(table)


def open_gaps(filters: Sequence[str] = ()) -> str:
    """The open gaps, gravest first; `filters`: columns that equal a parameter of the same name."""
    conditions = "".join(f" and lower({name}) = lower(${name})" for name in filters)
    return (
        "select severity, title, stake_amount, stake_kind, owner, rule, category, detail, fix, url, entity_type,"
        " entity_id, customer_id, feature_id, first_seen_at, gap_id from unified.gaps"
        f" where status = 'open' and suppressed_by is null{conditions}"
        " order by case severity when 'critical' then 1 when 'high' then 2 when 'medium' then 3 else 4 end,"
        " stake_amount desc nulls last, rule, entity_id"
    )


def stake(row: dict[str, Any]) -> str:
    return "" if row["stake_amount"] is None else f"{row['stake_amount']:,.0f} {row['stake_kind']}"


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(metavar='"SELECT …"')], as_csv: AsCsv = False, as_json: AsJson = False
) -> None:
    """Answer one SELECT from the published tables, read-only."""
    answer = query.ask(settings.load(), statement)
    if as_csv:
        answer.write_csv(sys.stdout)
    elif as_json:
        answer.write_json(sys.stdout)
    else:
        show(answer)


DemoWarehouse = Annotated[
    str | None, typer.Option("--warehouse", metavar="URL", help="A database for the demo, in place of a file in data/demo.")
]


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Go on from the last demo instead of starting anew.")] = False,
    warehouse: DemoWarehouse = None,
    verbose: Verbose = False,
) -> None:
    """See it work on an invented company: stand-ins of the tools, read over HTTP, joined, gaps flagged."""
    from orchestration import demo as invented

    what_next = invented.what_next(warehouse)
    with invented.started(fresh=not keep, warehouse=warehouse) as tools:
        finish(run_sync(tools, verbose=verbose))
        finish([run_refresh(verbose=verbose)])
        for title, question in invented.PICTURE.items():
            out.print()
            show(query.ask(settings.load(), question, ours=True), title)
        out.print()
        draw_gaps(query.ask(settings.load(), f"{open_gaps()} limit {GRAVEST}", ours=True), "The gravest")
    out.print()
    out.print(what_next, highlight=False, soft_wrap=True)


@app.command()
def sandbox() -> None:
    """Run the stand-ins of the tools, to try fullpicture against."""
    from orchestration import demo as invented

    with invented.stand_ins() as running:
        for name, value in running.environment.items():
            out.print(f"export {name}={value}", highlight=False, soft_wrap=True)
        err.print("The stand-ins run until Ctrl-C.")
        _wait()


@app.command()
def dev(
    invented: Annotated[bool, typer.Option("--demo", help="On the demo's data, with the stand-ins running.")] = False,
    port: Annotated[int, typer.Option(help="Port of the UI on 127.0.0.1.")] = 3000,
    warehouse: DemoWarehouse = None,
) -> None:
    """Run the Dagster UI and its daemon, for this machine only, until Ctrl-C."""
    if warehouse and not invented:
        raise SettingsError("--warehouse goes with --demo; your own warehouse is what WAREHOUSE_URL names")
    if invented:
        from orchestration import demo

        world: Any = demo.started(fresh=False, warehouse=warehouse)
    else:
        world = nullcontext()
    with world:
        from orchestration import runs

        runs.prepare_home(settings.load())
        webserver = ["-h", "127.0.0.1", "-p", str(port)]
        raise typer.Exit(_dagster("dev", "-w", str(ROOT / "workspace.yaml"), *webserver))


def _dagster(*arguments: str) -> int:
    """Runs Dagster until Ctrl-C or a plain kill, by which it ends its webserver and daemon itself."""
    # A shell that starts us in the background lets us ignore Ctrl-C, and what we start would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([sys.executable, "-W", "ignore::FutureWarning", "-m", "dagster", *arguments], cwd=ROOT)  # noqa: S603
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    return process.wait()


def _wait() -> None:
    with suppress(KeyboardInterrupt):
        signal.pause()


def main() -> None:
    """The command. A pipe that is closed early (`fullpicture gaps | head`) ends it without a word."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it ends
        sys.exit(1)
