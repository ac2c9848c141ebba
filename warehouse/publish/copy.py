"""The copy that readers open: a DuckDB file of the unified tables, and of what the syncs did, put in place by one rename.

DuckDB lets one process write a file or some read it, so nobody but fullpicture opens the working one. PostgreSQL needs no copy:
there readers have the views.
"""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from warehouse.engine import Warehouse, verbatim

FILE = "fullpicture.duckdb"
OWN = ("unified", "settings", "sync", "build")  # every other schema holds the raw tables of a tool


def publish(warehouse: Warehouse, folder: Path, *, include_raw: bool = False) -> Path | None:
    """Writes the copy aside and renames it in; a reader that has the old one open keeps it. None on PostgreSQL."""
    if warehouse.dialect != "duckdb":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FILE
    aside = folder / f".{FILE}.new"
    aside.unlink(missing_ok=True)
    try:
        with warehouse.hold("publish the copy"):
            _statement(warehouse, "attach '{}' as published".format(str(aside).replace("'", "''")))
            try:
                with warehouse.begin("write the copy") as connection:
                    _write_machinery(connection)
                    _write(connection, ("unified", *(_raw(connection) if include_raw else ())))
            finally:
                _statement(warehouse, "detach published")
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def _statement(warehouse: Warehouse, sql: str) -> None:
    with warehouse.begin(sql.split(" ", 1)[0]) as connection:
        connection.execute(verbatim(sql))


def _write_machinery(connection: sa.Connection) -> None:
    """What runs did and what they put aside; without what the vendor had sent, which may be anything."""
    connection.execute(verbatim("create schema published.sync"))
    connection.execute(verbatim("create table published.sync.runs as from sync.runs"))
    connection.execute(verbatim("create table published.sync.rejects as select * exclude (original) from sync.rejects"))
    for table in ("runs", "rejects"):
        _comment(connection, "sync", table, None)


def _raw(connection: sa.Connection) -> list[str]:
    found = connection.execute(
        verbatim("select distinct schema_name from duckdb_tables() where database_name = current_database() order by 1")
    )
    return [name for name in found.scalars() if name not in OWN]


def _write(connection: sa.Connection, schemas: tuple[str, ...]) -> None:
    for schema in schemas:
        tables = connection.execute(
            sa.text(
                "select table_name, comment from duckdb_tables()"
                " where schema_name = :schema and database_name = current_database() order by table_name"
            ),
            {"schema": schema},
        ).all()
        connection.execute(verbatim(f"create schema if not exists published.{schema}"))
        for table, comment in tables:
            connection.execute(verbatim(f'create table published.{schema}."{table}" as from {schema}."{table}"'))
            _comment(connection, schema, table, comment)


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
