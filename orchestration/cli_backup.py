"""The commands that copy what no tool can give again, and bring it back.

Here belong arguments and what is printed. Not here: what a backup holds, or when one is made by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration import settings
from orchestration.terminal import out, spinner


def backup(
    everything: Annotated[bool, typer.Option("--all", help="The tools' raw tables too, as they are.")] = False,
) -> None:
    """Copy what no tool can give again (customer ids, links, gaps, decisions, history, cursors) to files. Syncs may run."""
    from orchestration.synced import prepared, raw_tables
    from warehouse import backup

    current = settings.load()
    with spinner("Waiting for the warehouse"):
        path = backup.make(
            prepared(current),
            current.backups,
            raw_tables(current.config),
            everything=everything,
            keep=current.config.warehouse.keep_backups,
        )
    out.print(str(path), highlight=False, soft_wrap=True)


def restore(
    folder: Annotated[Path, typer.Argument(help="What fullpicture backup printed.")],
    replace: Annotated[bool, typer.Option("--replace", help="In the place of the rows that the warehouse has.")] = False,
) -> None:
    """Put a backup into a new warehouse, on DuckDB or PostgreSQL, whichever it was made on."""
    from orchestration.synced import raw_tables
    from warehouse import backup

    current = settings.load()
    with spinner("Waiting for the warehouse"):
        manifest = backup.restore(current.warehouse(), folder, raw_tables(current.config), current.privacy_key, replace=replace)
    rows = sum(file.rows for file in manifest.tables.values())
    out.print(f"{rows:,} rows of {manifest.made_at:%Y-%m-%d %H:%M} UTC are back.", highlight=False)
    out.print("Next: fullpicture refresh" if manifest.everything else "Next: fullpicture sync, then fullpicture refresh")
