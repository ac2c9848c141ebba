"""Loads what was put aside, after fullpicture learnt to read it: from the originals in `sync.rejects`, asking no vendor
for the records again.

Here belongs how an original becomes a row. Not here: why it was put aside, or how rows are merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.base import ARROW, Batch, Connector, Stream
from orchestration.declared import raw_table
from warehouse import rejects, stored
from warehouse.engine import Warehouse
from warehouse.rejects import Listed


@dataclass(frozen=True)
class Replayed:
    """Of one table: how many of its rejects were loaded, and how many still cannot be."""

    table: str
    loaded: int
    left: int


def replay(warehouse: Warehouse, connector: Connector, streams: Iterable[Stream]) -> list[Replayed]:
    """Tries every reject of these streams once more. A value of a mapped column waits for its record to be read again."""
    listed = rejects.listed(warehouse, connector.tool)
    found = {stream: [reject for reject in listed if reject.stream == stream.name] for stream in streams}
    return [_stream(warehouse, connector, stream, waiting) for stream, waiting in found.items() if waiting]


def _stream(warehouse: Warehouse, connector: Connector, stream: Stream, waiting: Sequence[Listed]) -> Replayed:
    records = [reject for reject in waiting if reject.column is None]
    values = [reject for reject in waiting if reject.column is not None]
    table, settled = _records(connector, stream, records)
    patched, filled = _values(warehouse, connector, stream, values)
    settled += filled
    stored.mend(warehouse, raw_table(stream), pa.concat_tables([table, patched]), settled)
    return Replayed(f"{stream.tool}.{stream.name}", len(settled), len(waiting) - len(settled))


def _records(connector: Connector, stream: Stream, waiting: Sequence[Listed]) -> tuple[pa.Table, list[Listed]]:
    """Whole records. Who brings a row and is put aside for nothing is settled."""
    opened = [(reject, _opened(connector, stream, reject.original)) for reject in waiting]
    good = [
        (reject, batch.rows[stream.name]) for reject, batch in opened if not batch.rejects and batch.rows[stream.name].num_rows
    ]
    return pa.concat_tables([_none(stream), *(table for _, table in good)]), [reject for reject, _ in good]


def _values(
    warehouse: Warehouse, connector: Connector, stream: Stream, waiting: Sequence[Listed]
) -> tuple[pa.Table, list[Listed]]:
    """Single values, set in the rows as they stand and taken out of their `extra`."""
    by_record: dict[str, list[Listed]] = {}
    for reject in waiting:
        by_record.setdefault(reject.record_id or "", []).append(reject)
    rows, settled = [], []
    for row in stored.rows_of(warehouse, raw_table(stream), list(by_record)):
        name = "/".join(str(row[key]) for key in stream.key)
        filled = [reject for reject in by_record[name] if _fill(connector, stream, row, reject)]
        settled += filled
        rows += [row] if filled else []
    schema = _none(stream).schema
    return pa.Table.from_pylist(rows, schema=schema), settled


def _fill(connector: Connector, stream: Stream, row: dict[str, Any], reject: Listed) -> bool:
    """Whether the value fits its column now, which then has it."""
    sources = {column.name: column.source for column in stream.columns}
    path = sources.get(reject.column or "", "")
    if not path:
        return False
    record: dict[str, Any] = {}
    for key in stream.key:
        _put(record, sources[key], row[key])
    _put(record, path, json.loads(reject.original))
    batch = _opened(connector, stream, json.dumps(record))
    found = batch.rows[stream.name].to_pylist()
    if len(found) != 1 or any(still.column == reject.column for still in batch.rejects):
        return False
    row[str(reject.column)] = found[0][str(reject.column)]
    extra = json.loads(row["extra"] or "{}")
    _take(extra, path.split("."))
    row["extra"] = json.dumps(extra, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if extra else None
    return True


def _opened(connector: Connector, stream: Stream, record: str) -> Batch:
    return connector.opened(stream, f"[{record}]".encode())


def _none(stream: Stream) -> pa.Table:
    fields = [(column.name, ARROW[column.type]) for column in stream.columns]
    return pa.schema([*fields, ("extra", ARROW["json"]), ("_deleted_at", ARROW["timestamp"])]).empty_table()


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        record = record.setdefault(name, {})
    record[last] = value


def _take(record: Any, path: Sequence[str]) -> None:
    """Removes a value, and the objects that are empty without it."""
    if isinstance(record, Mapping) and path[0] in record:
        inner: Any = record
        if len(path) > 1:
            _take(inner[path[0]], path[1:])
        if len(path) == 1 or inner[path[0]] == {}:
            del inner[path[0]]
