"""The commands about one person: everything that is known under an address, and forgetting it.

Here belong arguments, the question whether it is meant, and what is printed. Not here: where a person stands (warehouse).
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from orchestration import settings
from orchestration.terminal import out, spinner
from orchestration.watched import finish, run_refresh

app = typer.Typer(no_args_is_help=True, help="Give out, or forget, what is known of a person, by e-mail address.")
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An e-mail address.")]


@app.command()
def export(address: Address) -> None:
    """Print every row of every table that holds an address, as JSON."""
    from orchestration.synced import prepared, raw_tables
    from warehouse import privacy

    current = settings.load()
    with spinner("Waiting for the warehouse"), prepared(current).begin("find a person") as connection:
        found = privacy.find(connection, raw_tables(current.config), address)
    json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


@app.command()
def erase(
    address: Address, yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False
) -> None:
    """Redact whoever has an address in every table, for good: no sync brings it back. Then rebuild the tables."""
    from orchestration.synced import prepared, raw_tables
    from warehouse import privacy

    if not yes:
        typer.confirm("Redact this person in every table? It cannot be undone.", abort=True)
    current = settings.load()
    warehouse = prepared(current)
    with spinner("Waiting for the warehouse"), warehouse.begin("erase a person") as connection:
        known = privacy.erased(connection, current.privacy_key)
        standing = privacy.erase(connection, raw_tables(current.config), known, address)
    for table, rows in standing.items():
        out.print(f"{table}: {rows:,} rows held it", highlight=False)
    outcome = run_refresh()
    for path in sorted(current.backups.glob("*")):
        out.print(f"Still holds what it was made from, until you remove it: {path}", highlight=False, soft_wrap=True)
    finish([outcome])
