"""A made-up raw table, and batches for it in the connectors' own form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.base import ARROW, Batch, Count, Present, Reject, Span
from warehouse import load
from warehouse.engine import Warehouse
from warehouse.merge import TableReport
from warehouse.schema import Column, RawTable

RUNS = count(1)
START = datetime(2026, 3, 1, 2, tzinfo=UTC)

THINGS = RawTable(
    schema="zendesk",
    name="things",
    description="Things that 100 % of the tests' customers have.",
    columns=(
        Column("id", "integer", "The thing's number."),
        Column("name", "text", "What it's called."),
        Column("amount", "decimal", "What it costs."),
        Column("at", "timestamp", "When it happened."),
        Column("version", "integer", "Which version of it this is."),
        Column("touched", "integer", "Moves without a change."),
    ),
    version="version",
    volatile=frozenset({"touched"}),
)


def row(id_: int, name: str | None = "a", version: int | None = 1, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": name, "version": version, "amount": Decimal("1.50"), "at": START, "touched": 0, **more}


def batch(
    rows: Iterable[Mapping[str, Any]] = (),
    *,
    night: int = 1,
    present: Sequence[int] | None = None,
    within: Sequence[str] | None = None,
    span: Span | None = None,
    counted: Count | None = None,
    rejects: Sequence[Reject] = (),
    table: RawTable = THINGS,
) -> Batch:
    rows = list(rows)
    columns: dict[str, pa.DataType] = {column.name: ARROW[column.type] for column in table.columns}
    columns |= {"extra": pa.string(), "_deleted_at": ARROW["timestamp"]}
    return Batch(
        cursor={"night": night},
        rows={table.name: pa.table({n: pa.array([r.get(n) for r in rows], t) for n, t in columns.items()})},
        rejects=tuple(rejects),
        present={} if present is None else {table.name: Present(keys(present), within and pa.table({"name": within}), span)},
        counted={table.name: counted} if counted else {},
        covered_until=START + timedelta(days=night),
    )


def keys(ids: Sequence[int]) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64())})


def loaded(warehouse: Warehouse, *batches: Batch, table: RawTable = THINGS, **more: Any) -> TableReport:
    return ran(warehouse, *batches, table=table, **more).tables[table.name]


def ran(warehouse: Warehouse, *batches: Batch, table: RawTable = THINGS, **more: Any) -> load.LoadReport:
    return load.load(
        warehouse,
        tool="zendesk",
        read=table.name,
        host="x.example",
        run_id=f"run {next(RUNS):03}",
        tables={table.name: table},
        batches=batches,
        **more,
    )


def rows_of(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.begin("look") as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]
