"""How Pendo's records become rows: its ways of marking time, and the ids of events, which have none.

Here belongs what tells one row from another. Not here: how Pendo is asked, or how often.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from connectors import rows
from connectors.base import Choices, Stream
from connectors.pendo_days import EAST

_FIGURES = ("num_events", "num_minutes")  # what may grow while a row stays the same


def placed_by(stream: Stream) -> str:
    return "day" if any(column.name == "day" for column in stream.columns) else "browser_time"


def decoder(stream: Stream, choices: Choices) -> rows.Decoder:
    without = choices.without.get(stream.name, frozenset())
    values: dict[str, Any] = {column.name: _timestamp for column in stream.columns if column.type == "timestamp"}
    mapped = choices.fields.get(stream.name, {})
    sources = {column: f"metadata.{path.removeprefix('metadata.')}" for column, path in mapped.items()}
    if stream.write != "replace_window":
        return rows.Decoder(stream, sources=sources, values=values, without=without)
    # An id is made of what tells rows apart, wanted or not; then what is not wanted goes.
    columns = [column for column in stream.columns if column.name not in ("id", placed_by(stream), *_FIGURES)]
    blank = [column.name for column in columns if without & {column.name, column.source}]
    drop = without - {name for column in stream.columns for name in (column.name, column.source)}
    values |= {"day": _date} if placed_by(stream) == "day" else {}
    return rows.Decoder(stream, values=values, drop=drop, finish=partial(_identified, stream, blank))


def _identified(stream: Stream, blank: Sequence[str], table: pa.Table) -> pa.Table:
    names = [column.name for column in stream.columns if column.name not in ("id", *_FIGURES)]
    told = zip(*(_stable(table[name]).to_pylist() for name in names), strict=True)
    ids = [hashlib.sha256(repr(each).encode()).hexdigest()[:32] for each in told]
    table = table.set_column(table.column_names.index("id"), "id", pa.array(ids, pa.string()))
    for name in blank:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.nulls(len(table), table.schema.field(name).type))
    return table


def told_apart(table: pa.Table) -> pa.Table:
    """Rows that are alike in all that is declared are told apart by what nobody declared; if need be by the numbers, too,
    though those may be figures that grow, and the ids change with them. One that came twice stays one."""
    figures = (table[name].to_pylist() for name in _FIGURES if name in table.column_names)
    ids, whole = table["id"].to_pylist(), list(zip(table["extra"].to_pylist(), *figures, strict=True))
    for tell in (_texts, repr):
        kinds = Counter(one for one, _ in set(zip(ids, whole, strict=True)))
        for row, each in enumerate(whole):
            if kinds[ids[row]] > 1:
                ids[row] = hashlib.sha256(repr((ids[row], tell(each))).encode()).hexdigest()[:32]
    return table.set_column(table.column_names.index("id"), "id", pa.array(ids, pa.string()))


def _texts(row: tuple[str | None, *tuple[int, ...]]) -> list[tuple[str, str]]:
    told = msgspec.json.decode(row[0] or "{}")
    return sorted((name, repr(value)) for name, value in told.items() if type(value) not in (int, float))


def _stable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments as numbers: how they are written may change with the library."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _timestamp(stamp: Any) -> str | None:
    """Pendo counts milliseconds since 1970; 0 is never."""
    return _moment(stamp).isoformat() if stamp != 0 else None


def _date(start: Any) -> str:
    return (_moment(start) + EAST).date().isoformat()


def _moment(stamp: Any) -> datetime:
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise rows.Misfit("is no number of milliseconds since 1970")
    try:
        return datetime.fromtimestamp(stamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise rows.Misfit("is no moment between the years 1 and 9999") from None
