"""How a page of a vendor's JSON becomes an Arrow table: typed columns, leftovers in `extra`, rejects.

Here belongs what is true of values of every vendor. Not here: where a page comes from, or what one vendor's field means
(a connector hands that in as a function).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from connectors.base import ARROW, Column, Reject, Stream, Type

Record = dict[str, Raw]
Item = Record | list[Any] | str | int | float | bool | None  # what may stand in a list: a record as a rule
T = TypeVar("T")

_NULL = Raw(b"null")
UNSEEN = b"unseen"  # of a table's metadata: the columns whose field no record of the page has, not even as null
_CENT = Decimal("0.01")
_TOO_LARGE = Decimal(10) ** 16  # decimal(18,2) holds sixteen digits before the point
_UNFIT = (msgspec.DecodeError, pa.ArrowInvalid, OverflowError, ValueError)

_encode = msgspec.json.Encoder(order="sorted").encode
_as_it_came = msgspec.json.Encoder().encode
ANY = msgspec.json.Decoder(Raw)
_one_record = msgspec.json.Decoder(Record)
apart = msgspec.json.Decoder(list[Item]).decode  # a JSON array into its records, field by field
_records_or_nulls = msgspec.json.Decoder(list[Record | None])
_columns: Mapping[Type, msgspec.json.Decoder[Any]] = {
    "text": msgspec.json.Decoder(list[str | None]),
    "integer": msgspec.json.Decoder(list[int | None]),
    "double": msgspec.json.Decoder(list[float | None]),
    "decimal": msgspec.json.Decoder(list[Decimal | None]),
    "boolean": msgspec.json.Decoder(list[bool | None]),
    "timestamp": msgspec.json.Decoder(list[str | None]),
    "date": msgspec.json.Decoder(list[str | None]),
}


def as_it_is(table: pa.Table) -> pa.Table:
    return table


def nothing_deleted(table: pa.Table) -> pa.Array:
    return pa.nulls(len(table), ARROW["timestamp"])


def deleted_where(mask: pa.ChunkedArray, moment: pa.ChunkedArray) -> pa.ChunkedArray:
    """`_deleted_at` from a mark and the moment of the record's last change, as far as that is known."""
    known = pc.coalesce(moment, pa.scalar(datetime(1970, 1, 1, tzinfo=UTC), ARROW["timestamp"]))
    return pc.if_else(mask, known, pa.scalar(None, ARROW["timestamp"]))


class Misfit(ValueError):
    """Why a value does not fit its column, as the end of a sentence that begins with the column's name."""


@dataclass(frozen=True)
class Page:
    """The rows of one page, shaped as `Batch.rows` wants them, and what could not be loaded."""

    table: pa.Table
    rejects: tuple[Reject, ...]


@dataclass
class _Node:
    """One name on the way to declared columns: the columns that take its value, and what lies below it."""

    columns: list[Column] = field(default_factory=list)
    below: dict[str, _Node] = field(default_factory=dict)

    @property
    def kept_whole(self) -> bool:
        return any(column.type == "json" for column in self.columns)

    def leaves(self) -> list[Column]:
        return self.columns + [leaf for node in self.below.values() for leaf in node.leaves()]


@dataclass(frozen=True)
class _Unfit:
    """A value that its column cannot hold as it came. Without a reason it is loaded nevertheless, but not in full."""

    row: int
    column: Column
    reason: str | None
    raw: Raw


@dataclass
class _Taken:
    """What has been taken out of the records of one page."""

    arrays: dict[str, pa.Array] = field(default_factory=dict)
    unfit: list[_Unfit] = field(default_factory=list)
    unseen: dict[str, int] = field(default_factory=dict)  # column → objects that could have held its field, of which none does


class Decoder:
    """Turns pages of one stream into tables.

    `sources`: where the mapped columns stand in the record (dotted path); a mapped column without one is null. They stay
    in `extra` as they came.
    `values`: by column, a function from the decoded JSON value to the column's; it may raise Misfit.
    `drop`: top-level names that are wrapping or a repetition, and no field of the record.
    `without`: columns and top-level names that nobody wants: null, and in no `extra`.
    `finish`: a last hand on the table of the declared columns.
    `deleted`: from that table to when each row was deleted (null: alive).
    """

    def __init__(
        self,
        stream: Stream,
        *,
        sources: Mapping[str, str] | None = None,
        values: Mapping[str, Callable[[Any], Any]] | None = None,
        drop: Iterable[str] = (),
        without: Iterable[str] = (),
        finish: Callable[[pa.Table], pa.Table] = as_it_is,
        deleted: Callable[[pa.Table], pa.Array] = nothing_deleted,
    ) -> None:
        self.stream = stream
        self._values = values or {}
        self._without = frozenset(without)
        self._drop = (*drop, *(self._without - {column.name for column in stream.columns}))
        self._finish = finish
        self._deleted = deleted
        self._root = _Node()
        for column in stream.columns:
            path = column.source or (sources or {}).get(column.name)
            if path:
                node = self._root
                for name in path.split("."):
                    node = node.below.setdefault(name, _Node())
                node.columns.append(column)

    def page(self, records: bytes | Raw | Iterable[Item]) -> Page:
        """The rows of records, or of a JSON array of them. Raises msgspec.DecodeError if it is none."""
        items = apart(records) if isinstance(records, bytes | Raw) else list(records)
        whole = [item for item in items if isinstance(item, dict)]
        # One of a wrong shape must not cost the page.
        strays = [self._reject(None, None, "is not an object", item) for item in items if not isinstance(item, dict)]
        left = [record.copy() for record in whole]  # of each record, what no column has taken
        for record in left:
            for name in self._drop:
                record.pop(name, None)
        taken = _Taken()
        self._take(self._root, left, taken)
        extra = pa.array([_encode(record) if record else None for record in left], pa.string())
        table = self._table(taken, extra).replace_schema_metadata({UNSEEN: _encode(taken.unseen)})
        keys = list(zip(*(table[name].to_pylist() for name in self.stream.key), strict=True))
        keyless = {row for row, key in enumerate(keys) if None in key or "" in key}
        unfit = [
            self._reject("/".join(map(str, keys[each.row])), each.column.name, each.reason, each.raw)
            for each in taken.unfit
            if each.reason and each.row not in keyless
        ]
        if keyless:
            table = table.filter(pa.array([row not in keyless for row in range(len(table))]))
            reason = f"has no usable {' and '.join(self.stream.key)}"
            strays += [self._reject(None, None, reason, whole[row]) for row in sorted(keyless)]
        return Page(table, (*strays, *unfit))

    def _reject(self, record_id: str | None, column: str | None, reason: str, original: Any) -> Reject:
        return Reject(self.stream.name, record_id, column, f"{column or 'the record'} {reason}", _as_it_came(original).decode())

    def _take(self, node: _Node, objects: list[Record], taken: _Taken) -> None:
        """Moves what is declared below `node` out of the objects into arrays; what stays in them belongs to `extra`."""
        holders = sum(map(bool, objects))
        for name, child in node.below.items():
            if not any(name in each for each in objects):
                absent = {each.name: holders for each in child.leaves() if each.name not in self._without}
                taken.unseen = absent | taken.unseen  # what is above is known already, and lacks all that is below
            # What fills a mapped column is left among the undeclared as well: another map fills its column from there.
            left = not child.kept_whole and any(each.mapped and each.name not in self._without for each in child.columns)
            raws = [(each.get if left else each.pop)(name, _NULL) for each in objects]
            unfit: list[_Unfit] = []
            if child.below:
                inner = _objects_in(raws, child, unfit)
                self._take(child, inner, taken)
                if not (child.kept_whole or left):
                    for each, rest in zip(objects, inner, strict=True):
                        if rest:
                            each[name] = Raw(_encode(rest))
            for column in child.columns:
                if column.name in self._without:
                    continue
                taken.arrays[column.name] = _array(column, raws, self._values.get(column.name), unfit)
            if not child.kept_whole:
                for each_unfit in unfit:
                    objects[each_unfit.row][name] = each_unfit.raw
            taken.unfit += unfit

    def _table(self, taken: _Taken, extra: pa.Array) -> pa.Table:
        columns = self.stream.columns
        arrays = [taken.arrays.get(each.name, pa.nulls(len(extra), ARROW[each.type])) for each in columns]
        table = self._finish(pa.Table.from_arrays(arrays, names=[each.name for each in columns]))
        return table.append_column("extra", extra).append_column("_deleted_at", self._deleted(table))


def keys(stream: Stream, columns: Mapping[str, Sequence[Any] | pa.ChunkedArray]) -> pa.Table:
    """The keys of everything that exists, for `Present`."""
    return table_of(stream, {name: columns[name] for name in stream.key})


def table_of(stream: Stream, columns: Mapping[str, Sequence[Any] | pa.ChunkedArray]) -> pa.Table:
    """Some of a stream's columns, in their types, for `Present`."""
    types = {column.name: ARROW[column.type] for column in stream.columns}
    return pa.table(dict(columns), schema=pa.schema([(name, types[name]) for name in columns]))


_NUL = re.compile(rb"\\u0000")  # finds it in a third of the time that `in` takes
_HARD_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def clean(body: bytes) -> bytes:
    """A reply as compact JSON that both databases can hold: U+0000, halves of surrogate pairs and bytes that are not
    UTF-8 become U+FFFD. Raises msgspec.DecodeError if it is no JSON.
    """
    return cleaned(body, ANY)[0]


def cleaned(body: bytes, shape: msgspec.json.Decoder[T]) -> tuple[bytes, T | None]:
    """The same, and what it holds; None if that is not of this shape. It is all gone through only once."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            body = body.decode(errors="replace").encode()
    try:
        found = _shaped(body, shape)
        hard = b"\\" in body and _NUL.search(body) is not None
    except msgspec.DecodeError:  # perhaps only for half a surrogate pair
        hard = True
    if hard:
        body = _HARD_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        found = _shaped(body, shape)
    # Vendors send compact JSON; the look at the first bytes spares every page the rewriting that a pretty one needs.
    if re.search(rb'"\s*:\s|[{\[,]\s+"', body[:2000]):
        body = msgspec.json.format(body, indent=-1)
        found = _shaped(body, shape)
    return body, found


def _shaped(body: bytes, shape: msgspec.json.Decoder[T]) -> T | None:
    try:
        return shape.decode(body)
    except msgspec.ValidationError:
        ANY.decode(body)
        return None


def _is_object(item: Raw) -> bool:
    return bytes(item).startswith(b"{")


def _text(raw: Raw) -> str:
    return bytes(raw).decode()


def joined(raws: Iterable[Raw]) -> bytes:
    """The JSON array of some values."""
    return b"[" + b",".join(raws) + b"]"


def _objects_in(raws: list[Raw], child: _Node, unfit: list[_Unfit]) -> list[Record]:
    """The objects of a nested field, empty where it is null. What is no object fits none of the columns below it."""
    try:
        return [each or {} for each in _records_or_nulls.decode(joined(raws))]
    except msgspec.ValidationError:
        below = [leaf for node in child.below.values() for leaf in node.leaves()]
        strays = [row for row, raw in enumerate(raws) if raw != _NULL and not _is_object(raw)]
        unfit += [_Unfit(row, leaf, "should be inside of an object", raws[row]) for row in strays for leaf in below]
        return [_one_record.decode(raw) if _is_object(raw) else {} for raw in raws]


def _array(column: Column, raws: list[Raw], value: Callable[[Any], Any] | None, unfit: list[_Unfit]) -> pa.Array:
    """One column; what does not fit is null in it, and added to `unfit`."""
    if column.type == "json":
        return pa.array([None if raw == _NULL else bytes(raw) for raw in raws], pa.string())
    given = raws if value is None else _translated(column, raws, value, unfit)
    try:
        return _at_once(column.type, given)
    except _UNFIT:
        return _one_by_one(column, given, unfit)


def _translated(column: Column, raws: list[Raw], value: Callable[[Any], Any], unfit: list[_Unfit]) -> list[Raw]:
    given = []
    for row, raw in enumerate(raws):
        try:
            given.append(raw if raw == _NULL else Raw(_encode(value(msgspec.json.decode(raw)))))
        except (Misfit, RecursionError, msgspec.DecodeError) as error:
            deep = isinstance(error, RecursionError)
            reason = str(error) if isinstance(error, Misfit) else "is nested too deeply" if deep else "is a number too large"
            unfit.append(_Unfit(row, column, reason, raw))
            given.append(_NULL)
    return given


def _at_once(kind: Type, raws: list[Raw]) -> pa.Array:
    """A whole column in a few calls; fails if a single value is not exactly what the type expects."""
    values = _columns[kind].decode(joined(raws))
    if kind in ("timestamp", "date"):
        return pa.array(values, pa.string()).cast(ARROW[kind])
    return pa.array(values, ARROW[kind])


def _one_by_one(column: Column, raws: list[Raw], unfit: list[_Unfit]) -> pa.Array:
    """Value by value, so that each one that does not fit can be named, and what means the same can be let in."""
    values: list[Any] = []
    for row, raw in enumerate(raws):
        value = None
        try:
            value = _ONE[column.type](raw) if raw != _NULL else None
        except Misfit as error:
            unfit.append(_Unfit(row, column, str(error), raw))
        except _UNFIT:
            unfit.append(_Unfit(row, column, f"is no {column.type}", raw))
        if isinstance(value, Decimal) and value != (cents := value.quantize(_CENT, ROUND_HALF_UP)):
            unfit.append(_Unfit(row, column, None, raw))
            value = cents
        values.append(value)
    return pa.array(values, ARROW[column.type])


def _one_text(raw: Raw) -> str:
    value = msgspec.json.decode(raw)
    if isinstance(value, dict | list):
        raise Misfit("is not a text but " + ("an object" if isinstance(value, dict) else "a list"))
    return value if isinstance(value, str) else _text(raw)  # a number or a boolean as it was written


def _one_integer(raw: Raw) -> int:
    value = msgspec.json.decode(raw)
    if isinstance(value, bool | list | dict) or (isinstance(value, str) and not re.fullmatch(r"-?\d{1,19}", value, re.A)):
        raise Misfit("is no integer")
    if isinstance(value, float) and not value.is_integer():
        raise Misfit("is no integer but has decimals")
    if not -(2**63) <= int(value) < 2**63:
        raise Misfit("is larger than 64 bits hold")
    return int(value)


def _one_decimal(raw: Raw) -> Decimal:
    value = msgspec.json.decode(raw, type=Decimal)
    if not value.is_finite() or abs(value) >= _TOO_LARGE:
        raise Misfit("has more than sixteen digits before the point")
    return value


def _one_timestamp(raw: Raw) -> datetime:
    value = datetime.fromisoformat(msgspec.json.decode(raw, type=str))
    if value.tzinfo is None:
        raise Misfit("is a time without a time zone")
    return value.astimezone(UTC)


_ONE: Mapping[Type, Callable[[Raw], Any]] = {
    "text": _one_text,
    "integer": _one_integer,
    "double": lambda raw: msgspec.json.decode(raw, type=float),
    "decimal": _one_decimal,
    "boolean": lambda raw: msgspec.json.decode(raw, type=bool),
    "timestamp": _one_timestamp,
    "date": lambda raw: date.fromisoformat(msgspec.json.decode(raw, type=str)),
}
