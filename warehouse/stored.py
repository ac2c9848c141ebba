"""Raw rows as they stand, and what is put into them outside of any read: from what had been put aside, or under another map.

Not here: what a read brings (`load`), or how a row that changed takes the place of another (`merge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from warehouse.engine import Bulk, Warehouse
from warehouse.merge import TableReport, merge, quoted
from warehouse.rejects import Arrived, Listed, keep_rejects, record_id, settle
from warehouse.schema import RawTable


def rows_of(warehouse: Warehouse, table: RawTable, record_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as they stand, by the ids under which rejects list them."""
    with warehouse.loading(f"look at {table.full_name}") as bulk:
        bulk.stage("_wanted", pa.table({"record_id": pa.array(record_ids, pa.string())}))
        return _stored(bulk, table, f"where {record_id(table)} in (select record_id from _wanted)", [])


def mend(warehouse: Warehouse, table: RawTable, rows: pa.Table, settled: Iterable[Listed]) -> TableReport:
    """Loads rows outside of any read, made of what had been put aside, and takes that from the list."""
    counts = TableReport()
    with warehouse.loading(f"mend {table.full_name}") as bulk:
        if rows.num_rows:
            merge(bulk, table, rows, datetime.now(UTC), counts)
        settle(bulk, table.schema, settled)
    return counts


def chunks(warehouse: Warehouse, table: RawTable, size: int) -> Iterator[list[dict[str, Any]]]:
    """All rows of a table, by key, so many at a time; nothing is held between."""
    key = ", ".join(map(quoted, table.key))
    places = ", ".join(f"${number}" for number in range(1, len(table.key) + 1))
    after: list[Any] = []
    while True:
        further = f"where ({key}) > ({places}) " if after else ""
        with warehouse.loading(f"go through {table.full_name}") as bulk:
            rows = _stored(bulk, table, f"{further}order by {key} limit {size}", after)
        if not rows:
            return
        yield rows
        after = [rows[-1][name] for name in table.key]


def _stored(bulk: Bulk, table: RawTable, which: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    names = [*(column.name for column in table.columns), "extra", "_deleted_at"]
    decimals = [column.name for column in table.columns if column.type == "decimal"]
    found = bulk.fetch(f"select {', '.join(map(quoted, names))} from {table.full_name} {which}", parameters)
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for row in rows:  # one of the drivers gives them as texts
        row.update({name: Decimal(row[name]) for name in decimals if row[name] is not None})
    return rows


def refill(
    warehouse: Warehouse,
    table: RawTable,
    run_id: str,
    rows: Sequence[Mapping[str, Any]],
    opened: Arrived,
    columns: Sequence[str],
) -> None:
    """Writes into stored rows what `opened` holds of some columns, and lists what did not fit."""
    arrived = opened.rows[table.name]
    filled = {tuple(row[name] for name in table.key): row for row in arrived.select([*table.key, *columns]).to_pylist()}
    whole = [{**row, **filled.get(tuple(row[name] for name in table.key), {})} for row in rows]
    with warehouse.loading(f"fill {table.full_name} anew") as bulk:
        merge(bulk, table, pa.Table.from_pylist(whole, schema=arrived.schema), datetime.now(UTC), TableReport())
        keep_rejects(bulk, table.schema, run_id, {table.name: table}, [opened])
