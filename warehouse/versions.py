"""In which state the tables are that a model reads, so that it is not built again from what has not changed.

Here belongs what a state is made of, by kind of table. Not here: what is done when one has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from warehouse.engine import verbatim

UNIFIED_OR_OURS = ("unified", "sync", "settings")  # every other schema holds raw tables
REDACTED = "redacted"  # counts up, like a table, whenever people were taken out of the warehouse


class Executes(Protocol):
    def execute(self, sql: str, /) -> int: ...


def moved(bulk: Executes, table: str) -> None:
    """Notes that rows of a raw table were written, in the transaction that writes them."""
    bulk.execute(f"insert into sync.versions select '{table}', 0 where not exists ({_known(table)})")
    bulk.execute(f"update sync.versions set version = version + 1 where table_name = '{table}'")


def _known(table: str) -> str:
    return f"select 1 from sync.versions where table_name = '{table}'"


def redactions(connection: sa.Connection) -> int:
    """How often people were taken out."""
    found = connection.execute(sa.text("select version from sync.versions where table_name = :name"), {"name": REDACTED})
    return int(found.scalar() or 0)


def states(connection: sa.Connection, reads: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The state of each table, by the columns that are read of it: equal states, equal rows.

    Raw tables count their writes, derived ones are as old as their build. All others are small: of those it is the rows
    themselves, as far as they are read, so that what moves beside does not matter.
    """
    written: dict[str, int] = dict(connection.execute(sa.text("select table_name, version from sync.versions")).all())
    built: dict[str, datetime] = dict(connection.execute(sa.text("select table_name, built_at from sync.builds")).all())
    found = {}
    for table, columns in sorted(reads.items()):
        if table.partition(".")[0] not in UNIFIED_OR_OURS:
            found[table] = f"{written.get(table, 0)} writes"
        elif table in built:
            found[table] = f"built {built[table].isoformat()}"
        else:
            found[table] = fingerprint(connection, table, sorted(columns))
    return found


def fingerprint(connection: sa.Connection, table: str, columns: Sequence[str], where: str = "") -> str:
    """Of rows, by some of their columns: equal ones, equal rows in whatever order."""
    return str(connection.execute(verbatim(f"select {state_of(connection, columns)} from {table} {where}")).scalar_one())


def state_of(connection: sa.Connection, columns: Sequence[str]) -> str:
    """The aggregate that makes a fingerprint of the rows of a table, or of each group of them."""
    values = ", ".join(f'"{name}"' for name in columns)
    if not columns:
        value = "0"
    elif connection.dialect.name == "duckdb":
        value = f"hash({values})"
    else:
        value = f"hashtextextended(row({values})::text, 0)"
    return f"count(*) || ' rows, ' || coalesce(sum({value}), 0)"


@dataclass(frozen=True)
class Statements:
    """SQLAlchemy's connection, for whoever runs statements on a driver's."""

    connection: sa.Connection

    def execute(self, sql: str, /) -> int:
        return int(self.connection.execute(verbatim(sql)).rowcount)
