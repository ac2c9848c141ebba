"""Brings the declared tables of a database to what this version declares: made, grown, widened, and never narrowed.

Here belongs what happens to a table that stands already. Not here: what is declared (`schema`), or any row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from warehouse import history
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.schema import DECLARED, Column, RawTable, Table, Type, created, described, raw_tables, type_of

# Counts up whenever what stands in the tables comes to mean something else, so that an older fullpicture must not write them.
VERSION = 1
_OLDEST_POSTGRESQL = 17  # the first with the collation of our texts
_TYPES: Mapping[str, Type] = {  # as information_schema names them
    "varchar": "text",
    "text": "text",
    "bigint": "integer",
    "double": "double",
    "double precision": "double",
    "decimal": "decimal",
    "numeric": "decimal",
    "boolean": "boolean",
    "timestamp with time zone": "timestamp",
    "date": "date",
}
# What each type can become without a loss. Texts and JSON are kept alike.
_WIDER: Mapping[Type, frozenset[Type]] = {
    "integer": frozenset({"double", "decimal", "text"}),
    "decimal": frozenset({"double", "text"}),
    "double": frozenset({"text"}),
    "boolean": frozenset({"text"}),
    "date": frozenset({"timestamp", "text"}),
    "timestamp": frozenset({"text"}),
}

STANDING = """
select cast(table_schema as text), cast(table_name as text), cast(column_name as text), cast(data_type as text)
from information_schema.columns
where table_catalog = current_catalog
"""

Found = Mapping[str, Mapping[str, str]]  # table → column → type, as the database names it


def prepare(warehouse: Warehouse, raw: Sequence[RawTable]) -> None:
    """Makes every declared table and column that the database lacks, and widens what is declared wider than it stands. A
    second call finds nothing to do. Raises WarehouseError where a newer fullpicture has been, or where a value could be lost.
    """
    tables = [*raw_tables(raw), *DECLARED, *history.tables()]
    with warehouse.begin("prepare the tables") as connection:
        _refuse_old(connection)
        found = _existing(connection)
        if "sync.version" in found:
            _refuse_newer(connection)
        missing = [table for table in tables if table.full_name not in found]
        if missing:
            _make(connection, tables, missing)
        for table in tables:
            if table.full_name in found:
                _grow(connection, table, found[table.full_name])
        if connection.dialect.name == "postgresql":
            _index(connection, tables)


def standing(rows: Iterable[Any]) -> dict[str, dict[str, Type]]:
    """The columns of every table that stands, by the answer to STANDING; those of types that we never make are left out."""
    return {
        table: {column: _TYPES[kind] for column, kind in columns.items() if kind in _TYPES}
        for table, columns in _named(rows).items()
    }


def extend(connection: sa.Connection, tables: Iterable[Table]) -> None:
    """Makes tables and columns that once were declared and are no more, where something of theirs is to be kept."""
    found = _existing(connection)
    for table in tables:
        lacking = tuple(column for column in table.columns if column.name not in found.get(table.full_name, {}))
        if table.full_name not in found:
            _make(connection, [table], [table])
        elif lacking:
            _grow(connection, replace(table, columns=lacking), {})


def _make(connection: sa.Connection, tables: Sequence[Table], missing: Sequence[Table]) -> None:
    statements = [f"create schema if not exists {name}" for name in sorted({table.schema for table in tables} | {"build"})]
    for table in missing:
        statements.append(created(connection, table.schema, table.name, table.columns))
        statements += described(table.schema, table.name, table.description, table.columns, "table")
    if any(table.full_name == "sync.version" for table in missing):
        statements.append(f"insert into sync.version (version) values ({VERSION})")
    connection.execute(verbatim("; ".join(statements)))  # at once: one by one they would be most of a first start


def _index(connection: sa.Connection, tables: Sequence[Table]) -> None:
    """DuckDB has none: it reads the few columns of a key faster than it would keep them in order."""
    indexes = connection.execute(sa.text("select schemaname || '.' || indexname from pg_indexes")).scalars().all()
    wanted = [table for table in tables if table.index and f"{table.full_name}_by_key" not in indexes]
    if wanted:
        made = (f'create index "{table.name}_by_key" on {table.full_name} using {table.index}' for table in wanted)
        connection.execute(verbatim("; ".join(made)))


def _grow(connection: sa.Connection, table: Table, found: Mapping[str, str]) -> None:
    for column in table.columns:
        if column.name not in found:
            _alter(connection, table, column, f'add column "{column.name}" {type_of(connection, column)}', "added")
            connection.execute(verbatim("; ".join(described(table.schema, table.name, None, [column], "table"))))
            continue
        stands, wanted = _TYPES.get(found[column.name]), "text" if column.type == "json" else column.type
        if stands == wanted:
            continue
        if stands is None or wanted not in _WIDER.get(stands, ()):
            raise WarehouseError(
                f"{table.full_name}.{column.name} is {found[column.name]} in this warehouse and would become {column.type}, by "
                "which values could be lost. Use the version of fullpicture that wrote it, or a new warehouse."
            )
        how = f'alter column "{column.name}" type {type_of(connection, column)}{_converted(connection, column, stands)}'
        _alter(connection, table, column, how, f"{stands} became {wanted}")


def _converted(connection: sa.Connection, column: Column, stands: Type) -> str:
    """What a wider type needs to be told; all else the databases convert alike."""
    if (stands, column.type) != ("timestamp", "text"):
        return ""
    if connection.dialect.name == "duckdb":
        return f""" using strftime("{column.name}", '%Y-%m-%dT%H:%M:%S.%fZ')"""
    return f""" using to_char("{column.name}", 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""  # the connection is in UTC


def _alter(connection: sa.Connection, table: Table, column: Column, how: str, change: str) -> None:
    try:
        connection.execute(verbatim(f"alter table {table.full_name} {how}"))
    except sa.exc.DBAPIError as error:
        said = str(error.orig).strip().splitlines()
        raise WarehouseError(
            f"{table.full_name}.{column.name}: {change.replace('became', 'cannot become')}: {' '.join(said[:2])}. "
            "Remove what stands in the way (a view of somebody's), and run this again."
        ) from None
    connection.execute(
        sa.text("insert into sync.schema_changes values (:table, :column, :change, :at)"),
        {"table": table.full_name, "column": column.name, "change": change, "at": datetime.now(UTC)},
    )


def _refuse_old(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        version = int(connection.execute(sa.text("show server_version_num")).scalar_one()) // 10000
        if version < _OLDEST_POSTGRESQL:
            raise WarehouseError(f"This is PostgreSQL {version}: use version {_OLDEST_POSTGRESQL} or newer.")


def _refuse_newer(connection: sa.Connection) -> None:
    found = connection.execute(sa.text("select max(version) from sync.version")).scalar() or 0
    if found > VERSION:
        raise WarehouseError(
            f"A newer fullpicture has written this warehouse (form {found}; this one knows {VERSION}). Install that version, "
            "or use a warehouse of its own."
        )


def _existing(connection: sa.Connection) -> Found:
    return _named(connection.execute(sa.text(STANDING)))


def _named(rows: Iterable[Any]) -> Found:
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in rows:
        found.setdefault(f"{schema}.{table}", {})[column] = kind.lower().partition("(")[0]
    return found
