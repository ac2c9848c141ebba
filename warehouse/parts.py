"""Which parts of a large table, such as the days of usage, are made of something that has changed since its last build.

A model that says `by: day` promises that a row of it is made only of rows of the same day, of every input that has such a
column. Here belongs what the state of a part is, and how two are compared. Not here: the building.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import cast

import sqlalchemy as sa
from sqlglot import exp

from warehouse import versions
from warehouse.engine import verbatim

By = Mapping[str, Mapping[str, Iterable[str]]]  # column that makes parts → the inputs that have it → what is read of them
_NOW = "_parts_now"


def changed(
    connection: sa.Connection, table: str, by: By, types: Mapping[str, str], rest: str
) -> dict[str, tuple[int, int]] | None:
    """By column, how many parts of a table are to be built anew, and of how many. None if it has to be the whole: nothing is
    known of its last build, or most parts are to be.

    `types`: of these columns, as the database writes them. `rest`: the state of all else that it is made of. The parts
    stand in temporary tables then, for `of` and `note`.
    """
    connection.execute(verbatim(f"drop table if exists {_NOW}"))
    connection.execute(verbatim(f"create temporary table {_NOW} as {' union all '.join(_states(connection, by, rest))}"))
    counts = {}
    for column in by:
        there, where = _changed(column), f"where column_name = '{column}'"
        connection.execute(verbatim(f"drop table if exists {there}"))
        connection.execute(
            verbatim(
                f"create temporary table {there} as select cast(coalesce(n.part, k.part) as {types[column]}) as part"
                f" from (select part, state from {_NOW} {where}) as n"
                f" full join (select part, state from sync.parts {where} and table_name = '{table}') as k on k.part = n.part"
                " where n.state is distinct from k.state"
            )
        )
        parts, anew = (
            int(connection.execute(verbatim(f"select count(*) from {rows}")).scalar_one())
            for rows in (f"{_NOW} {where}", there)
        )
        counts[column] = (anew, parts)
    known = _count(connection, f"sync.parts where table_name = '{table}'")
    return counts if known and all(2 * anew <= parts for anew, parts in counts.values()) else None


def note(connection: sa.Connection, table: str) -> None:
    """Remembers the states that `changed` found: the table is as they are now."""
    connection.execute(verbatim(f"delete from sync.parts where table_name = '{table}'"))
    connection.execute(
        verbatim(
            "insert into sync.parts (table_name, column_name, part, state)"
            f" select '{table}', column_name, part, state from {_NOW}"
        )
    )


def of(column: str) -> str:
    """The condition that a row belongs to a part that is to be built anew."""
    return f'"{column}" in (select part from {_changed(column)})'


def only(tree: exp.Query, column: str, inputs: Iterable[str]) -> exp.Query:
    """A model's SELECT, made only of those rows of these inputs that belong to such a part."""

    def narrowed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Table) and f"{node.db}.{node.name}" in inputs:
            rows = exp.select("*").from_(exp.table_(node.name, db=node.db)).where(of(column), dialect="duckdb")
            return rows.subquery(node.alias_or_name)
        return node

    return cast(exp.Query, tree.transform(narrowed))


def _count(connection: sa.Connection, rows: str) -> int:
    return int(connection.execute(verbatim(f"select count(*) from {rows}")).scalar_one())


def _changed(column: str) -> str:
    return f"_changed_{column}"


def _states(connection: sa.Connection, by: By, rest: str) -> Iterator[str]:
    """SELECTs of column_name, part and state."""
    known = set(connection.execute(verbatim("select distinct table_name from sync.parts")).scalars())
    mark = sha256(rest.encode()).hexdigest()[:16]
    for column, inputs in by.items():
        rows = []
        for table, read in sorted(inputs.items()):
            if table in known:
                # What changes other parts of it than these, such as those of customers, may change any of these.
                others = f"where table_name = '{table}' and column_name <> '{column}'"
                beside = versions.fingerprint(connection, "sync.parts", ["part", "state"], others)
                state, source = f"'{beside} ' || state", f"sync.parts where table_name = '{table}' and column_name = '{column}'"
            else:
                state, source = versions.state_of(connection, sorted(read)), f"{table} group by 1"
            part = "part" if table in known else f'cast("{column}" as text)'
            rows.append(f"select {part} as part, '{table} ' || {state} as state from {source}")
        yield (
            f"select '{column}' as column_name, part, '{mark} ' || string_agg(state, ' ' order by state) as state"
            f" from ({' union all '.join(rows)}) as states where part is not null group by part"
        )
