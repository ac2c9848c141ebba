"""What has changed since it was last published, so that nothing else is written again.

A table is one piece; one that is built anew by day is a piece a month beside. Here belong the states of the pieces. Not here:
how they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from warehouse import models, versions
from warehouse.engine import Warehouse, verbatim

MONTH = 'left(cast("day" as text), 7)'
States = dict[str, str]  # table, or table/month → state


@dataclass(frozen=True)
class Change:
    """What is to be written of a table: these months of it, or the whole where there are none to tell."""

    table: str
    months: Sequence[str] | None


def states(warehouse: Warehouse) -> States:
    """The pieces of all tables of schema `unified`, as they stand."""
    by_day = {model.full_name for model in models.library() if "day" in model.by}
    now: States = {}
    with warehouse.begin("look what is to be published") as connection:
        tables = _tables(connection)
        for table, state in versions.states(connection, tables).items():
            name = table.removeprefix("unified.")
            now[name] = state
            if table in by_day:
                months = _months(connection, table, tables[table], state)
                now |= {f"{name}/{month}": kept for month, kept in months.items()}
    return now


def _tables(connection: sa.Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        verbatim(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'unified' and table_catalog = current_catalog order by table_name, ordinal_position"
        )
    )
    for table, column in rows:
        found.setdefault(f"unified.{table}", []).append(str(column))
    return found


def _months(connection: sa.Connection, table: str, columns: Sequence[str], version: str) -> dict[str, str]:
    """The state of each month of a table; told once of each version of it, which takes seconds."""
    values = {"table": table, "version": version}
    known = sa.text("select month, state from sync.months where table_name = :table and version = :version")
    if found := connection.execute(known, values).tuples().all():
        return dict(found)
    state = versions.state_of(connection, columns)
    months = connection.execute(verbatim(f"select {MONTH}, {state} from {table} group by 1"))
    now: dict[str, str] = dict(months.tuples().all())
    connection.execute(sa.text("delete from sync.months where table_name = :table"), values)
    if now:
        connection.execute(
            sa.text("insert into sync.months (table_name, month, state, version) values (:table, :month, :state, :version)"),
            [{**values, "month": month, "state": state} for month, state in now.items()],
        )
    return now


def changes(tables: Iterable[str], now: Mapping[str, str], known: Mapping[str, str]) -> list[Change]:
    """What differs from what was published."""
    found = []
    for table in (table for table in tables if now[table] != known.get(table)):
        there = {*months(table, now), *months(table, known)}
        different = sorted(month for month in there if now.get(f"{table}/{month}") != known.get(f"{table}/{month}"))
        found.append(Change(table, different if months(table, known) else None))
    return found


def months(table: str, states: Iterable[str]) -> list[str]:
    """Of a table that is built anew by day, the months that have a piece."""
    return sorted(piece.partition("/")[2] for piece in states if piece.startswith(f"{table}/"))
