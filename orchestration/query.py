"""Answers one SELECT from the tables that were published, and is able to do nothing else.

Here belongs what keeps somebody's SQL from writing, reading files, reaching the network or taking the whole machine.
Not here: any particular question.
"""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import duckdb
import sqlalchemy as sa
import sqlglot
from sqlglot import exp

from orchestration.settings import Settings
from warehouse.publish import copy

SECONDS = 60
LOCKED: Mapping[str, Any] = {"enable_external_access": False, "memory_limit": "2GB"}
# A read-only transaction stops writes, not what a function does beside: locks, signals, files, connections, settings,
# and SQL that is handed over as text. Of PostgreSQL's own machinery only what tells of types, sizes and definitions stays.
HARMLESS = re.compile(r"pg_(typeof|size_pretty|get_\w+|\w+_size)")
BARRED = re.compile(
    r"pg_\w+|set_config|setval|nextval|lo_\w+|loread|lowrite|dblink\w*|postgres_fdw\w*|\w+_to_xml\w*|ts_stat|ts_rewrite|"
    r"crosstab\w*|connectby|xpath_table"
)
NO_TABLES = "There are no tables yet: run fullpicture sync and fullpicture refresh first."
TOO_LONG = "There is no answer within {} s: ask for less, or narrow it down."
NO_ROLE = (
    "The role {0}, which reads and does nothing else, is missing, or not this user's to take: after fullpicture refresh the "
    "asset publish/copy says how an administrator makes it. Or name another under publish.role."
)
MAY_SET_ROLE = "select 1 from pg_roles where rolname = %(role)s and pg_has_role(oid, 'set')"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell


class QueryError(Exception):
    """Why there is no answer, in one line."""


@dataclass(frozen=True)
class Answer:
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def write_csv(self, file: TextIO) -> None:
        """As CSV whose texts no spreadsheet takes for formulas."""
        writer = csv.writer(file)
        writer.writerow(self.columns)
        writer.writerows([_defused(value) for value in row] for row in self.rows)

    def write_json(self, file: TextIO) -> None:
        json.dump([dict(zip(self.columns, row, strict=True)) for row in self.rows], file, default=str, indent=2)
        file.write("\n")


def ask(settings: Settings, sql: str, parameters: Mapping[str, Any] | None = None, *, ours: bool = False) -> Answer:
    """Runs one SELECT. `parameters` are named `$name` in it. `ours`: it is fullpicture's own, which on PostgreSQL needs no
    role and may look into the machinery."""
    warehouse = settings.warehouse()
    statement = one_select(sql, "duckdb" if warehouse.dialect == "duckdb" else "postgres")
    if warehouse.dialect == "duckdb":
        return _ask_copy(settings.published / copy.FILE, statement, parameters or {})
    role = "" if ours else settings.config.publish.role
    return _ask_postgres(warehouse.url, role, statement, parameters or {})


def one_select(sql: str, dialect: str) -> str:
    """The statement, if it is one SELECT and nothing else."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"This is not valid SQL: {str(error).splitlines()[0]}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query) or trees[0].find(exp.Into, exp.DML):
        raise QueryError("Give one SELECT: nothing here can be changed.")
    if dialect == "postgres":
        _refuse_side_effects(trees[0])
    return sql


def _refuse_side_effects(tree: exp.Query) -> None:
    for call in tree.find_all(exp.Anonymous):
        name = call.name.lower()
        if not name.isidentifier() or (BARRED.fullmatch(name) and not HARMLESS.fullmatch(name)):
            raise QueryError(f"{name} is not allowed here: it can do more than read tables.")


def _ask_copy(file: Path, statement: str, parameters: Mapping[str, Any]) -> Answer:
    if not file.exists():
        raise QueryError(NO_TABLES)
    try:
        with duckdb.connect(str(file), read_only=True, config=dict(LOCKED)) as connection:
            connection.execute("set timezone = 'UTC'; set lock_configuration = true")
            with _interrupted(connection):
                cursor = connection.execute(statement, dict(parameters))
                return Answer([column[0] for column in cursor.description or []], cursor.fetchall())
    except duckdb.InterruptException:
        raise QueryError(TOO_LONG.format(SECONDS)) from None
    except duckdb.Error as error:
        raise QueryError(_first_line(error)) from None


@contextmanager
def _interrupted(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Stops what runs for too long, which DuckDB has no setting for."""
    timer = threading.Timer(SECONDS, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _ask_postgres(url: sa.URL, role: str, statement: str, parameters: Mapping[str, Any]) -> Answer:
    import psycopg
    import psycopg.sql

    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s -c timezone=UTC"
    for name in parameters:
        statement = statement.replace(f"${name}", f"%({name})s")
    try:
        with psycopg.connect(address, options=options, connect_timeout=10) as connection:
            connection.read_only = True
            if connection.execute("select to_regclass('unified.customers')").fetchone() == (None,):
                raise QueryError(NO_TABLES)
            if role:
                if not connection.execute(MAY_SET_ROLE, {"role": role}).fetchone():
                    raise QueryError(NO_ROLE.format(role))
                connection.execute(psycopg.sql.SQL("set role {}").format(psycopg.sql.Identifier(role)))
            # Prepared, it is one statement for PostgreSQL as well, whatever our parser takes it for.
            cursor = connection.execute(statement.encode(), parameters or None, prepare=True)
            return Answer([column.name for column in cursor.description or []], cursor.fetchall())
    except psycopg.errors.QueryCanceled:
        raise QueryError(TOO_LONG.format(SECONDS)) from None
    except psycopg.Error as error:
        raise QueryError(_first_line(error).replace(str(url.password or "\0"), "***")) from None


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
