"""Jobs that a person waits for: run with their progress shown, and what came of them.

Here belongs the way from a command to a job and back to the terminal. Not here: any command, or what a job does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from orchestration import progress, settings
from orchestration.terminal import complain, out, spinner, table_of

if TYPE_CHECKING:
    from orchestration.runs import Outcome


def run_sync(names: Sequence[str], *, tables: Sequence[str] = (), verbose: bool = False) -> list[Outcome]:
    """Reads these tools, or only those tables of the one."""
    outcomes = [
        _execute(f"sync_{name}", f"Reading {name}", tables=[f"{name}/{table}" for table in tables], verbose=verbose)
        for name in names
    ]
    table = table_of("table", "rows", "new", "changed", "deleted", "put aside", title="Read")
    for made in (made for outcome in outcomes for made in outcome.tables):
        if "unavailable" in made.metadata:
            table.add_row(made.name, "not there")
            continue
        counts = (made.metadata[name] for name in ("dagster/row_count", "inserted", "updated", "deleted", "rejected"))
        table.add_row(made.name, *(f"{count:,}" for count in counts))
    if table.row_count:
        out.print(table)
    return outcomes


def run_refresh(accept: Sequence[str] = (), *, verbose: bool = False) -> Outcome:
    config = {"resources": {"refresh": {"config": {"accept": [name.removeprefix("unified.") for name in accept]}}}}
    outcome = _execute("refresh", "Refreshing", config, verbose=verbose)
    table = table_of("table", "rows", title="Rebuilt")
    for made in outcome.tables:
        if "dagster/row_count" in made.metadata:
            table.add_row(made.name, f"{made.metadata['dagster/row_count']:,}")
    if table.row_count:
        out.print(table)
    return outcome


def finish(outcomes: Sequence[Outcome]) -> None:
    """Says what failed, one line each, and ends with a code that says whether anything did."""
    for outcome in outcomes:
        reasons: dict[str, list[str]] = {}
        for name, reason in outcome.failures.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            complain(f"{', '.join(names)}: {reason}")
        if outcome.skipped:
            complain(f"Not rebuilt, since they build on it: {', '.join(outcome.skipped)}")
    if not all(outcome.succeeded for outcome in outcomes):
        raise typer.Exit(1)


def _execute(
    job: str, title: str, config: dict[str, Any] | None = None, *, tables: Sequence[str] = (), verbose: bool
) -> Outcome:
    with spinner(f"{title}: starting", quiet=verbose) as show:
        from orchestration import runs

        home = runs.prepare_home(settings.load())
        total, done = len(tables) or runs.steps(job), 0
        last = ""

        def listen(work: str, rows: int | None) -> None:
            nonlocal done, last
            done, last = min(done + (work != last), total), work  # waiting is told too, and is no step
            show(f"{title}: {work} ({done} of {total})" + (f", {rows:,} rows" if rows else ""))

        with progress.listening(listen):
            outcome = runs.execute(job, home, config=config, tables=tables, verbose=verbose)
    state = "done" if outcome.succeeded else "[red]failed[/red]"
    out.print(f"{title}: {state} in {outcome.seconds:.1f} s", highlight=False)
    return outcome
