"""How arrived rows and raw tables become one: what is new, changed, older or gone, and whether the counts agree.

Here belong the statements on one raw table, inside a transaction that somebody else holds. Not here: what commits
together, cursors or the records of runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from warehouse.engine import Bulk, WarehouseError
from warehouse.schema import ARROW, RawTable
from warehouse.versions import moved

FEW = 100  # rows that may vanish at once without a doubt
# A deleted record that comes again, deleted still, keeps the moment that was first seen.
_GONE = "case when s._deleted_at is null then null else coalesce(t._deleted_at, s._deleted_at) end"


class SpanLike(Protocol):
    """A stretch of a table: rows whose `column` is at or after `start` and before `end`."""

    @property
    def column(self) -> str: ...
    @property
    def start(self) -> Any: ...
    @property
    def end(self) -> Any: ...


class PresentLike(Protocol):
    """All that exists of one table, or of the part of it that `within` or `span` name."""

    @property
    def keys(self) -> pa.Table: ...
    @property
    def within(self) -> pa.Table | None: ...
    @property
    def span(self) -> SpanLike | None: ...


class CountLike(Protocol):
    """The vendor's count of living records, of those from `since` and before `before` where a column is named. What was
    deleted since `late` may be counted still."""

    @property
    def rows(self) -> int: ...
    @property
    def column(self) -> str | None: ...
    @property
    def since(self) -> Any: ...
    @property
    def before(self) -> Any: ...
    @property
    def late(self) -> datetime | None: ...


@dataclass
class TableReport:
    """What a run did to one table. `unchanged`: rows that came as they already stood, or older."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rows_total: int = 0


@dataclass
class Proof:
    """What the vendor has and what the table has, of the same part of it. `missing`: keys that only the vendor has."""

    counted_by: str  # count, ids or parts
    source_rows: int = 0
    stored_rows: int = 0
    missing: pa.Table | None = None
    doubtful: int = 0  # rows that the vendor may count still though they are gone

    @property
    def reconciled(self) -> bool:
        return 0 <= self.source_rows - self.stored_rows <= self.doubtful and not self.missing


def append(bulk: Bulk, table: RawTable, rows: pa.Table, at: datetime, counts: TableReport) -> None:
    """Adds rows of which no key stands in the table, each once, without a look at it."""
    whole = rows.select([*_arriving(table), "_deleted_at"]).append_column(
        "_synced_at", pa.repeat(pa.scalar(at, ARROW["timestamp"]), len(rows))
    )
    bulk.append(table.schema, table.name, whole)
    moved(bulk, table.full_name)
    counts.inserted += len(rows)


def merge(bulk: Bulk, table: RawTable, rows: pa.Table, at: datetime, counts: TableReport, *, once: bool = False) -> None:
    """New rows are added, changed ones replaced, unchanged and older ones left alone. `once`: no key comes twice."""
    looked_up = once and bulk.indexed and bool(table.index)
    bulk.stage("_incoming", rows.append_column("_position", pa.array(range(rows.num_rows), pa.int64())), analyzed=not looked_up)
    kinds = _looked_up(bulk, table, at) if looked_up else _joined(bulk, table, at, once=once)
    if kinds:
        moved(bulk, table.full_name)
    counts.inserted += kinds.get("insert", 0)
    counts.updated += kinds.get("update", 0)
    counts.unchanged += rows.num_rows - sum(kinds.values())


def _looked_up(bulk: Bulk, table: RawTable, at: datetime) -> dict[str, int]:
    """Merges `_incoming`, where no key comes twice, in one pass: finds each row by the index and writes it at once. Returns
    how many rows were an insert, and how many an update."""
    written = {name: f"s.{quoted(name)}" for name in (*_arriving(table), "_deleted_at")} | {"_synced_at": moment(at)}
    # A row is replaced as a whole: nothing old stays in a column that is declared no more.
    standing = bulk.fetch(
        "select cast(column_name as text) from information_schema.columns where table_schema = $1 and table_name = $2",
        [table.schema, table.name],
    )
    replaced = {**{name: "null" for (name,) in standing}, **written, "_deleted_at": _GONE}
    kinds = bulk.look_up(
        f"with made as (merge into {table.full_name} as t using _incoming as s on {_same(table.key, 't', 's')} "
        f"when matched and {_changed(table)} then update set {', '.join(f'{quoted(n)} = {v}' for n, v in replaced.items())} "
        f"when not matched then insert ({', '.join(map(quoted, written))}) values ({', '.join(written.values())}) "
        "returning lower(merge_action()) as _kind) select _kind, count(*) from made group by _kind"
    )
    return dict(kinds)


def _joined(bulk: Bulk, table: RawTable, at: datetime, *, once: bool) -> dict[str, int]:
    """Merges `_incoming` by a join with the whole table. Returns how many rows were an insert, and how many an update."""
    bulk.execute(f"create temporary table _fate as {_fates(table, bulk.place, once=once)}")
    kinds = dict(bulk.fetch("select _kind, count(*) from _fate group by _kind"))
    if kinds.get("update"):
        bulk.remove(table.full_name, "select _stands from _fate where _kind = 'update'")
    if kinds:
        columns = [quoted(name) for name in _arriving(table)]
        bulk.execute(
            f"insert into {table.full_name} ({', '.join(columns)}, _deleted_at, _synced_at) "
            f"select {', '.join(f's.{name}' for name in columns)}, f._gone, {moment(at)} "
            "from _incoming as s join _fate as f on f._place = s._position"
        )
    bulk.execute("drop table _fate")
    return kinds


def _fates(table: RawTable, place: str, *, once: bool) -> str:
    """Of each key the newest version that arrived, the last one where versions are equal; of those the ones that are new
    or changed against what stands, with what to do with them.

    A row without a version cannot be told to be older than another: it counts as newer than all that came before it, and
    as older than all that comes after it, so that no change is lost, however rows are cut into batches.
    """
    key = ", ".join(quoted(name) for name in table.key)
    arrived, order = "_incoming", ""
    if table.version:
        name = quoted(table.version)
        unknown = f"max(case when {name} is null then _position end) over (partition by {key})"
        arrived = f"(select *, coalesce({unknown}, 0) as _unknown from _incoming) as arrived"
        order = f"(_position >= _unknown) desc, {name} desc nulls last, "
    newest = (
        f"select _position as _place from (select _position, "
        f"row_number() over (partition by {key} order by {order}_position desc) as _rank from {arrived}) as ranked "
        "where _rank = 1"
    )
    new = f"t.{quoted(table.key[0])} is null"
    return (
        f"select t.{place} as _stands, s._position as _place, {_GONE} as _gone, "
        f"case when {new} then 'insert' else 'update' end as _kind "
        f"from _incoming as s {'' if once else f'join ({newest}) as f on f._place = s._position '}"
        f"left join {table.full_name} as t on {_same(table.key, 't', 's')} where {new} or {_changed(table)}"
    )


def _changed(table: RawTable) -> str:
    """Whether the row `s` that arrived is to replace `t`, which stands: it is not older, and not the same."""
    name = quoted(table.version)
    not_older = f"(t.{name} is null or s.{name} is null or s.{name} >= t.{name}) and " if table.version else ""
    compared = (quoted(name) for name in _arriving(table) if name not in table.volatile)
    differs = " or ".join(f"s.{name} is distinct from t.{name}" for name in compared)
    return f"({not_older}({differs} or (s._deleted_at is null) is distinct from (t._deleted_at is null)))"


def _arriving(table: RawTable) -> list[str]:
    return [*(column.name for column in table.columns), "extra"]


def sweep(bulk: Bulk, table: RawTable, present: PresentLike, at: datetime, counts: TableReport, *, doubted: bool) -> None:
    """Marks what has gone. What is there after all is not revived: it may have changed meanwhile, and is read again.

    `doubted`: nearly all of a table, or of what it has since a moment, is not believed to be gone. Raises WarehouseError then.
    """
    bulk.stage("_present", present.keys)
    judged = f"t._deleted_at is null and {_scope(bulk, present)}"
    gone = f"{judged} and not {_among('_present', present.keys)}"
    to_the_end = present.within is None and (present.span is None or present.span.end is None)
    if doubted and to_the_end and set(present.keys.column_names) == set(table.key):
        _doubt(bulk, table, judged, gone)
    deleted = bulk.execute(
        f"update {table.full_name} as t set _synced_at = {moment(at)}, _deleted_at = {moment(at)} where {gone}"
    )
    if deleted:
        moved(bulk, table.full_name)
    counts.deleted += deleted


def _doubt(bulk: Bulk, table: RawTable, judged: str, gone: str) -> None:
    alive, lost = bulk.fetch(
        f"select count(*), coalesce(sum(case when {gone} then 1 else 0 end), 0) from {table.full_name} as t where {judged}"
    )[0]
    if alive and (lost == alive or (lost > FEW and 2 * lost > alive)):
        raise WarehouseError(
            f"{table.full_name}: {lost} of {alive} records are not shown any more, and nothing is marked as deleted: probably "
            f"a permission was lost. Let the user of the connection see them again. If they are gone for good: "
            f"fullpicture resync {table.full_name}"
        )


def prove_part(bulk: Bulk, table: RawTable, present: PresentLike, proof: Proof) -> None:
    """Adds a part that was read anew: what was shown of it against what stands of it."""
    proof.source_rows += present.keys.group_by(present.keys.column_names).aggregate([]).num_rows
    where = f"t._deleted_at is null and {_scope(bulk, present)}"
    proof.stored_rows += int(bulk.fetch(f"select count(*) from {table.full_name} as t where {where}")[0][0])


def prove_ids(bulk: Bulk, table: RawTable, keys: pa.Table) -> Proof:
    """A sweep of all ids against the living rows of a table."""
    keys = keys.group_by(keys.column_names).aggregate([])
    bulk.stage("_present", keys)
    alive = f"select 1 from {table.full_name} as t where t._deleted_at is null and {_same(table.key, 't', 'p')}"
    names = ", ".join(f"p.{quoted(name)}" for name in table.key)
    missing = bulk.fetch(f"select {names} from _present as p where not exists ({alive})")
    stored = int(bulk.fetch(f"select count(*) from {table.full_name} where _deleted_at is null")[0][0])
    columns = zip(*missing, strict=True) if missing else ([] for _ in table.key)
    arrays = {
        name: pa.array(list(values), keys.schema.field(name).type) for name, values in zip(table.key, columns, strict=True)
    }
    return Proof("ids", keys.num_rows, stored, pa.table(arrays) if missing else None)


def prove_count(bulk: Bulk, table: RawTable, count: CountLike) -> Proof:
    """The vendor's own count against the living rows of the same part of a table."""
    within = _between(count.column, count.since, count.before)
    gone = f"_deleted_at >= {moment(count.late)}" if count.late else "false"
    ((stored, doubtful),) = bulk.fetch(
        "select coalesce(sum(case when _deleted_at is null then 1 else 0 end), 0), "
        f"coalesce(sum(case when {gone} then 1 else 0 end), 0) from {table.full_name} as t where true{within}"
    )
    return Proof("count", count.rows, int(stored), doubtful=int(doubtful))


def living(bulk: Bulk, table: RawTable) -> int:
    return int(bulk.fetch(f"select count(*) from {table.full_name} where _deleted_at is null")[0][0])


def _scope(bulk: Bulk, present: PresentLike) -> str:
    """Which rows of the table `t` are judged."""
    scope = "true"
    if present.within is not None:
        bulk.stage("_within", present.within)
        scope += f" and {_among('_within', present.within)}"
    if present.span is not None:
        scope += _between(present.span.column, present.span.start, present.span.end)
    return scope


def _among(name: str, values: pa.Table) -> str:
    return f"exists (select 1 from {name} as p where {_same(values.column_names, 't', 'p')})"


def _between(column: str | None, start: Any, end: Any) -> str:
    """The end of a condition on the table `t`."""
    bounds = ((">=", start), ("<", end))
    return "".join(
        f" and t.{quoted(column)} {sign} {_literal(value)}" for sign, value in bounds if column and value is not None
    )


def _literal(value: Any) -> str:
    """A moment, a day or a number as SQL; nothing else, so nothing from outside can stand in it."""
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, int) else f"date '{value.isoformat()}'"


def _same(names: Iterable[str], left: str, right: str) -> str:
    return " and ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in names)


def quoted(name: str | None) -> str:
    return f'"{name}"'


def moment(at: datetime) -> str:
    """A moment as SQL; made from a datetime, so nothing from outside can stand in it."""
    return f"timestamptz '{at.astimezone(UTC).isoformat()}'"
