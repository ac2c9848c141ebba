"""Fills mapped columns anew when the settings name other fields for them: from `extra`, asking no vendor for the records.

Here belongs how a stored row becomes the vendor's record again. Not here: which field fills a column, which the connector
knows, or how rows are merged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.base import Connector, Read, Stream
from orchestration.declared import raw_table
from warehouse import stored
from warehouse.engine import Warehouse

ROWS = 20_000  # of a transaction
_encode = msgspec.json.Encoder(decimal_format="number").encode


def refill(
    warehouse: Warehouse, connector: Connector, read: Read, run_id: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Makes the rows that a read has loaded under one map (stream → column → field) what they would be under another."""
    for stream in read.streams:
        if before.get(stream.name, {}) == after.get(stream.name, {}):
            continue
        table = raw_table(stream)
        for rows in stored.chunks(warehouse, table, ROWS):
            batch = connector.opened(stream, b"[" + b",".join(_record(stream, row) for row in rows) + b"]")
            stored.refill(warehouse, table, run_id, rows, batch, [column.name for column in stream.columns if column.mapped])


def _record(stream: Stream, row: Mapping[str, Any]) -> bytes:
    """The vendor's record, as far as it is needed: what columns hold that stand at one place, and all that none does."""
    record: dict[str, Any] = {}
    for column in stream.columns:
        value = row[column.name]
        if column.source and value is not None:
            _put(record, column.source.split("."), json.loads(value) if column.type == "json" else value)
    _over(record, json.loads(row["extra"] or "{}"))
    return _encode(record)


def _put(record: dict[str, Any], path: list[str], value: Any) -> None:
    *above, last = path
    for name in above:
        inner = record.setdefault(name, {})
        if not isinstance(inner, dict):  # a column of its own, which holds the whole
            return
        record = inner
    record.setdefault(last, value)


def _over(record: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Lays what came undeclared over the rest: it is the original of what did not fit as well."""
    for name, value in extra.items():
        if isinstance(value, dict) and isinstance(record.get(name), dict):
            _over(record[name], value)
        else:
            record[name] = value
