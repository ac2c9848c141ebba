"""How the figures that come with exported tickets become rows of their own.

Here belongs the metric set within a ticket. Not here: the ticket's own columns, or how an export is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from connectors import rows
from connectors.base import ARROW, Column, Type
from connectors.zendesk_asking import STREAMS

_STREAM = STREAMS["ticket_metrics"]
_OF_THE_TICKET = {  # column → the ticket's column that fills it
    "ticket_id": "id",
    "ticket_status": "status",
    "ticket_created_at": "created_at",
    "generated_timestamp": "generated_timestamp",
    "_deleted_at": "_deleted_at",
}
_OWN = [column for column in _STREAM.columns if column.name not in _OF_THE_TICKET]
_SHAPES: Mapping[Type, Any] = {"integer": int | None, "text": str | None, "timestamp": str | None}
_NULL = Raw(b"null")


def _shape() -> type[Any]:
    """A metric set as it is declared; anything else in it is an error."""
    fields: dict[str, tuple[Any, Any]] = {"url": (str | None, None), "ticket_id": (int | None, None)}
    inner: dict[str, list[Any]] = {}
    for column in _OWN:
        name, _, below = column.source.partition(".")
        fields[name] = (_SHAPES[column.type], None)
        if below:
            inner.setdefault(name, []).append((below, _SHAPES[column.type], None))
    for name, parts in inner.items():
        part = msgspec.defstruct(name, parts, forbid_unknown_fields=True, gc=False)
        fields[name] = (part, msgspec.field(default_factory=part))
    declared = [(name, kind, default) for name, (kind, default) in fields.items()]
    return msgspec.defstruct("MetricSet", declared, forbid_unknown_fields=True, gc=False)


_MetricSet = _shape()
_NONE = _MetricSet()
_figures = attrgetter(*(column.source for column in _OWN))


_ids = msgspec.json.Decoder(list[int]).decode
_sets = msgspec.json.Decoder(list[_MetricSet | None]).decode  # type: ignore[valid-type]
_fields = msgspec.json.Decoder(rows.Record).decode


def page(decoder: rows.Decoder, records: Iterable[rows.Item], tickets: pa.Table, *, all_wanted: bool) -> rows.Page:
    """The figures of a page of exported tickets, one row for each of the rows `tickets` of that page.

    A page whose metric sets are just what is declared, as nearly all are, is taken whole, in a third of the time that the
    decoder needs, which can put a value or a record aside.
    """
    told = [(each["id"], each.get("metric_set", _NULL)) for each in records if isinstance(each, dict) and "id" in each]
    found = _at_once(told) if all_wanted else None
    page = rows.Page(found, ()) if found is not None else decoder.page(_metric_set(*each) for each in told)
    table = page.table.filter(pc.is_in(page.table["ticket_id"], tickets["id"]))
    place = pc.index_in(table["ticket_id"], tickets["id"])
    table = filled(table, {name: tickets[column].take(place) for name, column in _OF_THE_TICKET.items()})
    return rows.Page(table, tuple(each for each in page.rejects if each.record_id))


def _at_once(told: Sequence[tuple[Raw, Raw]]) -> pa.Table | None:
    try:
        sets = [each or _NONE for each in _sets(rows.joined(each for _, each in told))]
        columns = zip(*map(_figures, sets), strict=True) if sets else ([] for _ in _OWN)
        arrays = {column.name: _array(column, values) for column, values in zip(_OWN, columns, strict=True)}
        arrays["ticket_id"] = pa.array(_ids(rows.joined(each for each, _ in told)), pa.int64())
    except (msgspec.ValidationError, pa.ArrowInvalid, OverflowError):
        return None
    types = {column.name: ARROW[column.type] for column in _STREAM.columns}
    types |= {"extra": pa.string(), "_deleted_at": ARROW["timestamp"]}
    missing = {name: pa.nulls(len(sets), kind) for name, kind in types.items() if name not in arrays}
    return pa.table({name: (arrays | missing)[name] for name in types})


def _array(column: Column, values: Sequence[Any]) -> pa.Array:
    if column.type == "timestamp":
        return pa.array(values, pa.string()).cast(ARROW["timestamp"])
    return pa.array(values, ARROW[column.type])


def _metric_set(ticket: Raw, metric_set: Raw) -> rows.Record:
    """One that tells whose it is; empty where there is none."""
    return {"ticket_id": ticket, **(_fields(metric_set) if bytes(metric_set).startswith(b"{") else {})}


def filled(table: pa.Table, values: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """The table with other values in some of its columns."""
    for name, column in values.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return table
