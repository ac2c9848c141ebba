"""What a vendor gives no more, or in a form that fits no more: the values that stand stay, and since when is noted.

Here belongs the only writer of `sync.lost_columns`. Not here: how a connector learns what is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from warehouse.engine import Bulk
from warehouse.merge import moment, quoted
from warehouse.rejects import RejectLike
from warehouse.schema import ARROW, RawTable

# Values that do not fit, while none does, from which on the column counts as changed, and values that should have come, while
# none did, from which on it counts as gone: fewer may be somebody's mistakes, or chance.
SURE = 10
_UNSEEN = b"unseen"

_encode = msgspec.json.Encoder(order="sorted").encode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass
class Losses:
    """What one run learned of one table. `told`: what the vendor does not show, None if nobody said."""

    told: frozenset[str] | None = None
    changed: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)  # columns with a value that fits
    gone: set[str] = field(default_factory=set)  # columns whose field comes no more, though nobody says that it is hidden
    seen: set[str] = field(default_factory=set)  # columns whose field came
    _standing: dict[str, bool] = field(default_factory=dict)
    _shares: dict[str, float] = field(default_factory=dict)

    def keep(self, bulk: Bulk, table: RawTable, arrived: Sequence[pa.Table], rejects: Iterable[RejectLike]) -> pa.Table:
        """Arrived rows, with what stands in the place of what is lost."""
        rows = pa.concat_tables(arrived)
        unfit = _unfit(table, rows, rejects)
        self.changed |= unfit.keys()
        self.filled |= {column.name for column in table.columns if rows[column.name].null_count < len(rows)}
        lost = self._with_values(bulk, table) | self._gone(bulk, table, arrived, rows)
        return _kept(bulk, table, rows, lost, unfit) if lost or unfit else rows

    def _gone(self, bulk: Bulk, table: RawTable, arrived: Sequence[pa.Table], rows: pa.Table) -> set[str]:
        """The columns of which no arrived record has the field, though by what stands enough of them should."""
        unseen = _unseen(arrived)
        if unseen is None:
            return set()
        unseen = {name: holders for name, holders in unseen.items() if rows[name].null_count == len(rows)}
        self.seen |= {column.name for column in table.columns} - unseen.keys()
        new = sorted(unseen.keys() - self._shares.keys() - set(table.key))
        if new:
            values = ", ".join(f"count({quoted(name)})" for name in new)
            (total, *filled), *_ = bulk.fetch(f"select count(*), {values} from {table.full_name}")
            self._shares |= {name: count / max(total, 1) for name, count in zip(new, filled, strict=True)}
            noted = "select column_name from sync.lost_columns where tool = $1 and stream = $2 and change = 'gone'"
            self.gone |= {name for (name,) in bulk.fetch(noted, [table.schema, table.name])}
        sure = {name for name, holders in unseen.items() if holders * self._shares.get(name, 0) >= SURE}
        self.gone |= sure
        return unseen.keys() & self.gone

    def _with_values(self, bulk: Bulk, table: RawTable) -> set[str]:
        """Of what is not shown that of which the table holds a value: the rest was never there. Looked up once a run."""
        new = sorted((self.told or frozenset()) - self._standing.keys())
        if new:
            columns = {column.name for column in table.columns}
            held = (f"{quoted(name)} is not null" if name in columns else f"extra like '%\"{_like(name)}\":%'" for name in new)
            tests = ", ".join(f"coalesce(max(case when {test} then 1 else 0 end), 0)" for test in held)
            (found,) = bulk.fetch(f"select {tests} from {table.full_name}")
            self._standing |= {name: bool(there) for name, there in zip(new, found, strict=True)}
        return {name for name in self.told or () if self._standing[name]}

    def note(self, bulk: Bulk, table: RawTable) -> None:
        """Writes down what is lost since this run, and takes out what is there again."""
        if self.told is None and not (self.changed or self.filled or self.seen):
            return
        now = dict.fromkeys(self.gone - self.seen, "gone")
        now |= {**dict.fromkeys(self.changed - self.filled, "changed"), **dict.fromkeys(self._with_values(bulk, table), "lost")}
        place = [table.schema, table.name]
        known = dict(bulk.fetch("select column_name, change from sync.lost_columns where tool = $1 and stream = $2", place))
        misfits = "select distinct column_name from sync.rejects where tool = $1 and stream = $2"
        unfit = {name for (name,) in bulk.fetch(misfits, place)} if "changed" in known.values() else set()
        for name, change in known.items():
            if change == "changed":
                back = name in self.filled or name not in unfit
            elif change == "gone":
                back = name in self.seen
            else:
                back = self.told is not None and name not in self.told
            if back or now.get(name, change) != change:
                bulk.execute(
                    "delete from sync.lost_columns where tool = $1 and stream = $2 and column_name = $3", [*place, name]
                )
        for name, change in now.items():
            if known.get(name) != change:
                bulk.execute(
                    "insert into sync.lost_columns (tool, stream, column_name, change, since) "
                    f"values ($1, $2, $3, $4, {moment(datetime.now(UTC))})",
                    [*place, name, change],
                )


def _unseen(arrived: Sequence[pa.Table]) -> dict[str, int] | None:
    """The columns whose field no arrived record has, with how many could have had it; None if that was not told of all."""
    told = [table.schema.metadata.get(_UNSEEN) if table.schema.metadata else None for table in arrived]
    found: dict[str, int] | None = None
    for each in told:
        if each is None:
            return None
        page: dict[str, int] = msgspec.json.decode(each)
        found = page if found is None else {name: count + page[name] for name, count in found.items() if name in page}
    return found


def _unfit(table: RawTable, rows: pa.Table, rejects: Iterable[RejectLike]) -> dict[str, set[str]]:
    """By column of which many values did not fit, and none did: the records that these were of."""
    records: dict[str, set[str]] = {}
    for reject in rejects:
        if reject.stream == table.name and reject.column and reject.record_id:
            records.setdefault(reject.column, set()).add(reject.record_id)
    return {name: ids for name, ids in records.items() if len(ids) >= SURE and rows[name].null_count == len(rows)}


def _kept(bulk: Bulk, table: RawTable, rows: pa.Table, lost: Collection[str], unfit: Mapping[str, Collection[str]]) -> pa.Table:
    columns = [column for column in table.columns if column.name in lost or column.name in unfit]
    fields = sorted(set(lost) - {column.name for column in columns})
    wanted = [*(column.name for column in columns), "extra"]
    keys = list(zip(*(rows[name].to_pylist() for name in table.key), strict=True))
    before = _before(bulk, table, rows, wanted)
    for place, column in enumerate(columns):
        ids = unfit.get(column.name)
        values = [
            before[key][place] if key in before and (column.name in lost or "/".join(map(str, key)) in (ids or ())) else None
            for key in keys
        ]
        if column.type == "decimal":  # one of the drivers gives them as texts
            values = [None if value is None else Decimal(value) for value in values]
        rows = rows.set_column(rows.column_names.index(column.name), column.name, pa.array(values, ARROW[column.type]))
    if fields:
        extra = [
            _with(arrived, before[key][-1], fields) if key in before else arrived
            for key, arrived in zip(keys, rows["extra"].to_pylist(), strict=True)
        ]
        rows = rows.set_column(rows.column_names.index("extra"), "extra", pa.array(extra, pa.string()))
    return rows


def _before(bulk: Bulk, table: RawTable, rows: pa.Table, names: Sequence[str]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What stands of the arrived rows, by key."""
    bulk.stage("_arrived", rows.select(list(table.key)))
    same = " and ".join(f"a.{quoted(name)} = t.{quoted(name)}" for name in table.key)
    found = bulk.fetch(
        f"select {', '.join(f't.{quoted(name)}' for name in (*table.key, *names))} from {table.full_name} as t "
        f"where exists (select 1 from _arrived as a where {same})"
    )
    return {tuple(row[: len(table.key)]): tuple(row[len(table.key) :]) for row in found}


def _with(arrived: str | None, before: str | None, names: Sequence[str]) -> str | None:
    """The undeclared fields that arrived, and of those that stand these."""
    known = _fields(before) if before else {}
    lost = {name: known[name] for name in names if name in known}
    return _encode({**lost, **(_fields(arrived) if arrived else {})}).decode() if lost else arrived


def _like(name: str) -> str:
    """A name as a part of a pattern; one of Salesforce's holds letters, digits and `_` alone."""
    return "".join(sign for sign in name if sign.isalnum() or sign == "_")
