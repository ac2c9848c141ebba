"""How the figures that come with exported tickets become rows of their own.

Here belongs the metric set within a ticket. Not here: the ticket's own columns, or how an export is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    fields: dict[str, Any] = {"url": str | None, "ticket_id": int | None}
    inner: dict[str, list[Column]] = {}
    for column in _OWN:
        name, _, below = column.source.partition(".")
        fields[name] = _SHAPES[column.type]
        if below:
            inner.setdefault(name, []).append(column)
    for name, columns in inner.items():
        parts = [(each.source.partition(".")[2], _SHAPES[each.type], None) for each in columns]
        fields[name] = msgspec.defstruct(name, parts, forbid_unknown_fields=True, gc=False) | None
    declared = [(name, kind, None) for name, kind in fields.items()]
    return msgspec.defstruct("MetricSet", declared, forbid_unknown_fields=True, gc=False)


_MetricSet = _shape()
_NONE = _MetricSet()


class _Loose(msgspec.Struct):
    id: Raw = _NULL
    metric_set: Raw = _NULL


_Measured: Any = msgspec.defstruct("Measured", [("id", int), ("metric_set", _MetricSet | None, None)], gc=False)
_as_declared = msgspec.json.Decoder(list[_Measured])
_all_loose = msgspec.json.Decoder(list[_Loose])
_one_loose = msgspec.json.Decoder(_Loose)
_items = msgspec.json.Decoder(list[Raw])


def page(decoder: rows.Decoder, records: Raw, tickets: pa.Table, *, all_wanted: bool) -> rows.Page:
    """The figures of a page of exported tickets, one row for each of the rows `tickets` of that page.

    A page whose metric sets are just what is declared, as nearly all are, is taken whole, in a third of the time that the
    decoder needs, which can put a value or a record aside.
    """
    found = _at_once(records) if all_wanted else None
    page = rows.Page(found, ()) if found is not None else decoder.page(_metric_sets(records))
    table = page.table.filter(pc.is_in(page.table["ticket_id"], tickets["id"]))
    place = pc.index_in(table["ticket_id"], tickets["id"])
    table = filled(table, {name: tickets[column].take(place) for name, column in _OF_THE_TICKET.items()})
    return rows.Page(table, tuple(each for each in page.rejects if each.record_id))


def _at_once(records: Raw) -> pa.Table | None:
    try:
        measured = _as_declared.decode(records)
        sets = [each.metric_set or _NONE for each in measured]
        arrays = {column.name: _array(column, sets) for column in _OWN}
        arrays["ticket_id"] = pa.array([each.id for each in measured], pa.int64())
    except (msgspec.ValidationError, pa.ArrowInvalid, OverflowError):
        return None
    types = {column.name: ARROW[column.type] for column in _STREAM.columns}
    types |= {"extra": pa.string(), "_deleted_at": ARROW["timestamp"]}
    missing = {name: pa.nulls(len(sets), kind) for name, kind in types.items() if name not in arrays}
    return pa.table({name: (arrays | missing)[name] for name in types})


def _array(column: Column, sets: list[Any]) -> pa.Array:
    name, _, below = column.source.partition(".")
    values = list(map(attrgetter(name), sets))
    if below:
        values = [value and getattr(value, below) for value in values]
    if column.type == "timestamp":
        return pa.array(values, pa.string()).cast(ARROW["timestamp"])
    return pa.array(values, ARROW[column.type])


def _metric_sets(records: Raw) -> bytes:
    """The metric sets of tickets as a JSON array of objects that tell whose they are; empty where there are none."""
    found = []
    for ticket in _loose(records):
        if ticket.id != _NULL:
            rest = bytes(ticket.metric_set)[1:] if bytes(ticket.metric_set).startswith(b"{") else b"}"
            found.append(b'{"ticket_id":' + bytes(ticket.id) + (b"," if len(rest) > 1 else b"") + rest)
    return b"[" + b",".join(found) + b"]"


def _loose(records: Raw) -> Iterator[_Loose]:
    try:
        yield from _all_loose.decode(records)
    except msgspec.ValidationError:  # one of a wrong shape must not cost the page
        yield from (_one_loose.decode(item) for item in _items.decode(records) if bytes(item).startswith(b"{"))


def filled(table: pa.Table, values: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """The table with other values in some of its columns."""
    for name, column in values.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return table
