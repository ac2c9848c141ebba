"""The copy that readers open: a DuckDB file of the unified tables, and of what the syncs did, put in place by one rename.

DuckDB lets one process write a file or some read it, so nobody but fullpicture opens the working one. PostgreSQL needs no copy:
there readers have the views.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from warehouse import versions
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.publish import pieces

FILE = "fullpicture.duckdb"
OWN = ("unified", "settings", "sync", "build")  # every other schema holds the raw tables of a tool
_FORM = 1  # counts up when the copy comes to hold other things
_MAIN = "current_database()"


def publish(warehouse: Warehouse, folder: Path, *, include_raw: bool = False) -> Path | None:
    """Writes the copy aside and renames it in; a reader that has the old one open keeps it. None on PostgreSQL.

    It begins as the last one, of which only what has changed is written again: not when people were taken out since then, or
    are hidden now, who would stay in the parts of the file that are free.
    """
    if warehouse.dialect != "duckdb":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FILE
    aside = folder / f".{FILE}.new"
    _remove(aside)
    try:
        with warehouse.hold("publish the copy"):
            with warehouse.begin("look who is not to be in it") as connection:
                began = {"": f"form {_FORM}, {versions.redactions(connection)} redactions, people {_people(connection)}"}
            now = pieces.states(warehouse)
            known = _attach(warehouse, target, aside, began)
            try:
                with warehouse.begin("write the copy") as connection:
                    _write_machinery(connection)
                    _write_unified(connection, now, known)
                    _write_raw(connection, _raw(connection) if include_raw else ())
                    _keep(connection, now | began)
            finally:
                _statement(warehouse, "detach published")
        os.replace(aside, target)
    finally:
        _remove(aside)
    return target


def _people(connection: sa.Connection) -> str | None:
    """How customers' people are shown."""
    return connection.execute(verbatim("select people from settings.options")).scalar()


def _remove(path: Path) -> None:
    for file in (path, path.with_name(f"{path.name}.wal")):  # the other is left if a process was killed
        file.unlink(missing_ok=True)


def _attach(warehouse: Warehouse, target: Path, aside: Path, began: pieces.States) -> pieces.States:
    """Attaches what becomes the copy; returns what stands in it already."""
    attach = "attach '{}' as published".format(str(aside).replace("'", "''"))
    if target.exists():
        shutil.copyfile(target, aside)
        with suppress(sa.exc.DBAPIError, WarehouseError):  # whatever is wrong with it, a new one is right
            _statement(warehouse, attach)
            with warehouse.begin("look what was published") as connection, suppress(sa.exc.DBAPIError):
                known: pieces.States = dict(
                    connection.execute(verbatim("select piece, state from published.sync.pieces")).tuples().all()
                )
                if known.items() >= began.items():
                    return known
        with suppress(sa.exc.DBAPIError, WarehouseError):
            _statement(warehouse, "detach published")
        _remove(aside)
    _statement(warehouse, attach)
    return {}


def _statement(warehouse: Warehouse, sql: str) -> None:
    with warehouse.begin(sql.split(" ", 1)[0]) as connection:
        connection.execute(verbatim(sql))


def _write_machinery(connection: sa.Connection) -> None:
    """What runs did and what they put aside; without what the vendor had sent, which may be anything."""
    connection.execute(verbatim("create schema if not exists published.sync"))
    connection.execute(verbatim("create or replace table published.sync.runs as from sync.runs"))
    connection.execute(
        verbatim(
            # An id may be an address.
            "create or replace table published.sync.rejects as select * exclude (original)"
            " replace (case when record_id not like '%@%' then record_id end as record_id) from sync.rejects"
        )
    )
    for table in ("runs", "rejects"):
        _comment(connection, "sync", table, None)


def _keep(connection: sa.Connection, now: pieces.States) -> None:
    connection.execute(verbatim("create or replace table published.sync.pieces (piece text, state text)"))
    connection.execute(
        sa.text("insert into published.sync.pieces values (:piece, :state)"),
        [{"piece": piece, "state": state} for piece, state in sorted(now.items())],
    )


def _write_unified(connection: sa.Connection, now: pieces.States, known: pieces.States) -> None:
    """Brings the unified tables of the copy from the pieces that are known to stand in it to what they are now."""
    connection.execute(verbatim("create schema if not exists published.unified"))
    ours, theirs = _tables(connection, "unified"), _tables(connection, "unified", "'published'")
    for table in theirs.keys() - ours.keys():
        connection.execute(verbatim(f'drop table published.unified."{table}"'))
    for change in pieces.changes(ours, now, known):
        _write(connection, "unified", change.table, change.months if ours[change.table] == theirs.get(change.table) else None)


def _write_raw(connection: sa.Connection, schemas: Iterable[str]) -> None:
    """The raw tables of these schemas, whole; none of others, which somebody had asked for before."""
    for schema in _raw(connection, "'published'"):
        connection.execute(verbatim(f"drop schema published.{schema} cascade"))
    for schema in schemas:
        connection.execute(verbatim(f"create schema published.{schema}"))
        for table in _tables(connection, schema):
            _write(connection, schema, table)


def _write(connection: sa.Connection, schema: str, table: str, months: Sequence[str] | None = None) -> None:
    """Writes a table, or only these months of it, with its comments."""
    place = f'{schema}."{table}"'
    if months is None:
        connection.execute(verbatim(f"create or replace table published.{place} as from {place}"))
    elif months:
        among = ", ".join(f"'{month}'" for month in months)
        connection.execute(verbatim(f"delete from published.{place} where {pieces.MONTH} in ({among})"))
        connection.execute(
            verbatim(f"insert into published.{place} by name select * from {place} where {pieces.MONTH} in ({among})")
        )
    comment = connection.execute(
        sa.text(
            "select comment from duckdb_tables()"
            " where schema_name = :schema and table_name = :table and database_name = current_database()"
        ),
        {"schema": schema, "table": table},
    )
    _comment(connection, schema, table, comment.scalar_one())


def _raw(connection: sa.Connection, database: str = _MAIN) -> list[str]:
    found = connection.execute(
        verbatim(f"select distinct schema_name from duckdb_tables() where database_name = {database} order by 1")
    )
    return [name for name in found.scalars() if name not in OWN]


def _tables(connection: sa.Connection, schema: str, database: str = _MAIN) -> dict[str, dict[str, str]]:
    """The tables of a schema: their columns and types, in order."""
    rows = connection.execute(
        sa.text(
            "select table_name, column_name, data_type from duckdb_columns()"
            f" where schema_name = :schema and database_name = {database} order by table_name, column_index"
        ),
        {"schema": schema},
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


def _comment(connection: sa.Connection, schema: str, table: str, comment: str | None) -> None:
    columns = connection.execute(
        sa.text(
            "select column_name, comment from duckdb_columns() where schema_name = :schema and table_name = :table"
            " and database_name = current_database() and comment is not null and column_name <> 'original'"
        ),
        {"schema": schema, "table": table},
    ).all()
    texts = [(f'table published.{schema}."{table}"', comment)] if comment else []
    texts += [(f'column published.{schema}."{table}"."{name}"', text) for name, text in columns]
    for target, text in texts:
        escaped = text.replace("'", "''")
        connection.execute(verbatim(f"comment on {target} is '{escaped}'"))
