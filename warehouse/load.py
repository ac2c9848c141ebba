"""A batch becomes rows, once: the only writer of raw tables, of cursors, rejects and runs.

Here belongs how rows are merged and what commits together. Not here: where they come from, or what is made of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from warehouse.engine import Bulk, Warehouse, WarehouseError
from warehouse.schema import RawTable

# What makes one transaction: few large ones are several times cheaper than one a page, but what is not committed is
# read again after a kill.
GROUP_ROWS = 50_000
GROUP_BYTES = 128 << 20
GROUP_SECONDS = 60.0


class RejectLike(Protocol):
    """A record, or one value of it, that could not be loaded."""

    @property
    def stream(self) -> str: ...
    @property
    def record_id(self) -> str | None: ...
    @property
    def column(self) -> str | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def original(self) -> str: ...


class BatchLike(Protocol):
    """Some rows of a read, by stream, and the cursor that is true once they are committed."""

    @property
    def cursor(self) -> Mapping[str, Any]: ...
    @property
    def rows(self) -> Mapping[str, pa.Table]: ...
    @property
    def rejects(self) -> Sequence[RejectLike]: ...
    @property
    def present(self) -> Mapping[str, pa.Table]: ...
    @property
    def covered_until(self) -> datetime | None: ...


@dataclass
class TableReport:
    """What a run did to one table. `unchanged`: rows that came as they already stood, or older."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rows_total: int = 0


@dataclass
class LoadReport:
    tables: dict[str, TableReport] = field(default_factory=dict)
    rejected: int = 0
    covered_until: datetime | None = None

    @property
    def written(self) -> int:
        return sum(t.inserted + t.updated + t.deleted for t in self.tables.values())


def cursor(
    warehouse: Warehouse, tool: str, read: str, host: str, *, mapped: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any] | None:
    """Where the last run of a read came to; None before the first, and when `mapped` is not what that run was given.

    `mapped` names the vendor's fields by stream and column: rows read under another map lack what this one asks for, so
    everything is read once more. Refuses rows of another host than the known one.
    """
    with warehouse.loading(f"look where {tool}/{read} stands") as bulk:
        hosts = {row[0] for row in bulk.fetch("select distinct host from sync.cursors where tool = $1", [tool])}
        if hosts - {host}:
            raise WarehouseError(
                f"This warehouse holds {tool} rows of {', '.join(sorted(hosts))}, and the settings now name {host}. Two worlds "
                f"must not mix: set {tool.upper()}_URL back, or use another warehouse (FULLPICTURE_HOME or WAREHOUSE_URL)."
            )
        found = bulk.fetch("select cursor, mapped from sync.cursors where tool = $1 and read = $2", [tool, read])
    if not found or (found[0][1] or "{}") != _json(mapped or {}):
        return None
    return dict(json.loads(found[0][0]))


def load(
    warehouse: Warehouse,
    *,
    tool: str,
    read: str,
    host: str,
    run_id: str,
    tables: Mapping[str, RawTable],
    batches: Iterable[BatchLike],
    mapped: Mapping[str, Mapping[str, str]] | None = None,
    requests: Callable[[], int] = lambda: 0,
    progress: Callable[[int], None] = lambda _: None,
) -> LoadReport:
    """Loads a read's batches; `tables` by stream name. `progress` hears how many rows have arrived so far.

    Rows, deletes, rejects, cursor and the run's record commit together, some batches at a time: a kill at any moment
    loses nothing and doubles nothing, and a read that breaks keeps what it had read. The database is open only while a
    group of batches commits.
    """
    run = _Run(warehouse, tool, read, host, run_id, tables, _json(mapped or {}), requests)
    arriving = iter(batches)
    while True:
        try:
            batch = next(arriving, None)
        except Exception:
            run.commit("running")
            raise
        if batch is None:
            run.commit("succeeded")
            return run.report
        run.add(batch)
        progress(run.arrived)


@dataclass
class _Run:
    """One run of a read: the batches that wait to be committed, and what became of those that were."""

    warehouse: Warehouse
    tool: str
    read: str
    host: str
    run_id: str
    tables: Mapping[str, RawTable]
    mapped: str
    requests: Callable[[], int]
    arrived: int = 0

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.report = LoadReport(tables={stream: TableReport() for stream in self.tables})
        self._begin_group()

    def _begin_group(self) -> None:
        self.group: list[BatchLike] = []
        self.rows = self.size = 0
        self.opened = time.monotonic()

    def add(self, batch: BatchLike) -> None:
        self.group.append(batch)
        self.report.covered_until = batch.covered_until or self.report.covered_until
        rows = sum(table.num_rows for table in batch.rows.values())
        self.arrived += rows
        self.rows += rows
        self.size += sum(table.nbytes for table in batch.rows.values())
        if self.rows >= GROUP_ROWS or self.size >= GROUP_BYTES or time.monotonic() - self.opened > GROUP_SECONDS:
            self.commit("running")

    def commit(self, status: str) -> None:
        with self.warehouse.loading(f"load {self.tool}/{self.read}") as bulk:
            for stream, table in self.tables.items():
                _load_stream(bulk, stream, table, self.group, self.report)
            self.report.rejected += _keep_rejects(bulk, self.tool, self.run_id, self.tables, self.group)
            if self.group:
                self._move_cursor(bulk, self.group[-1])
            self._record(bulk, status)
        self._begin_group()

    def _move_cursor(self, bulk: Bulk, batch: BatchLike) -> None:
        bulk.execute("delete from sync.cursors where tool = $1 and read = $2", [self.tool, self.read])
        at = _timestamp(batch.covered_until or datetime.now(UTC))
        bulk.execute(
            f"insert into sync.cursors (tool, read, host, cursor, mapped, updated_at) values ($1, $2, $3, $4, $5, {at})",
            [self.tool, self.read, self.host, _json(batch.cursor), self.mapped],
        )

    def _record(self, bulk: Bulk, status: str) -> None:
        ended = _timestamp(datetime.now(UTC)) if status == "succeeded" else "null"
        covered = _timestamp(self.report.covered_until) if self.report.covered_until else "null"
        made = self.report.tables.values()
        counts = [sum(t.inserted for t in made), sum(t.updated for t in made), sum(t.deleted for t in made)]
        counts += [self.report.rejected, self.requests()]
        key = [self.run_id, self.tool, self.read]
        bulk.execute("delete from sync.runs where run_id = $1 and tool = $2 and read = $3", key)
        bulk.execute(
            "insert into sync.runs (run_id, tool, read, started_at, ended_at, covered_until, status, rows_inserted, "
            f"rows_updated, rows_deleted, rows_rejected, requests) values ($1, $2, $3, {_timestamp(self.started)}, "
            f"{ended}, {covered}, $4, {', '.join(str(int(count)) for count in counts)})",
            [*key, status],
        )


def record_failure(
    warehouse: Warehouse, *, tool: str, read: str, run_id: str, started_at: datetime, error: str, requests: int = 0
) -> None:
    """Keeps the record of a run that ended badly, with the counts of what it had committed, which stays."""
    key = [run_id, tool, read]
    now = _timestamp(datetime.now(UTC))
    with warehouse.loading(f"record the failure of {tool}/{read}") as bulk:
        known = bulk.fetch("select 1 from sync.runs where run_id = $1 and tool = $2 and read = $3", key)
        if not known:
            bulk.execute(
                "insert into sync.runs (run_id, tool, read, started_at, rows_inserted, rows_updated, rows_deleted, "
                f"rows_rejected) values ($1, $2, $3, {_timestamp(started_at)}, 0, 0, 0, 0)",
                key,
            )
        bulk.execute(
            f"update sync.runs set status = 'failed', ended_at = {now}, error = $4, requests = {int(requests)} "
            "where run_id = $1 and tool = $2 and read = $3",
            [*key, error],
        )


def _load_stream(bulk: Bulk, stream: str, table: RawTable, group: Sequence[BatchLike], report: LoadReport) -> None:
    counts = report.tables[stream]
    at = report.covered_until or datetime.now(UTC)
    arrived = [batch.rows[stream] for batch in group if stream in batch.rows and batch.rows[stream].num_rows]
    if arrived:
        _merge(bulk, table, pa.concat_tables(arrived), at, counts)
    for batch in group:
        if stream in batch.present:
            _sweep(bulk, table, batch.present[stream], at, counts)
    counts.rows_total = int(bulk.fetch(f"select count(*) from {table.full_name} where _deleted_at is null")[0][0])


def _merge(bulk: Bulk, table: RawTable, rows: pa.Table, at: datetime, counts: TableReport) -> None:
    """New rows are added, changed ones replaced, unchanged and older ones left alone."""
    incoming, fate = "_incoming", "_fate"
    position = pa.array(range(rows.num_rows), pa.int64())
    bulk.stage(incoming, rows.append_column("_position", position))
    empty = not bulk.fetch(f"select 1 from {table.full_name} limit 1")
    bulk.execute(f"drop table if exists {fate}")
    bulk.execute(f"create temporary table {fate} as {_newest(table) if empty else _compared(table)}")
    kinds = dict(bulk.fetch(f"select kind, count(*) from {fate} group by kind"))
    columns = [column.name for column in table.columns] + ["extra"]
    names = ", ".join(f'"{name}"' for name in columns)
    if kinds.get("update"):
        bulk.execute(
            f"delete from {table.full_name} as t using {fate} as f where f.kind = 'update' and {_same_key(table, 't', 'f')}"
        )
    bulk.execute(
        f"insert into {table.full_name} ({names}, _deleted_at, _synced_at) "
        f"select {', '.join(f's.{_quoted(name)}' for name in columns)}, f.deleted_at, {_timestamp(at)} "
        f"from {incoming} s join {fate} f on f.position = s._position"
    )
    bulk.execute(f"drop table {fate}")
    counts.inserted += kinds.get("insert", 0)
    counts.updated += kinds.get("update", 0)
    counts.unchanged += rows.num_rows - sum(kinds.values())


def _newest(table: RawTable) -> str:
    """Of each key, the newest version that arrived: the last one where versions are equal."""
    version = f"{_quoted(table.version)} desc nulls last, " if table.version else ""
    key = ", ".join(_quoted(name) for name in table.key)
    return (
        f"select {key}, _position as position, _deleted_at as deleted_at, 'insert' as kind from ("
        f"select {key}, _position, _deleted_at, row_number() over (partition by {key} order by {version}_position desc) "
        f"as rank from _incoming) as ranked where rank = 1"
    )


def _compared(table: RawTable) -> str:
    """The newest versions that arrived and are new or changed against what stands, with what to do with them."""
    compared = [column.name for column in table.columns if column.name not in table.volatile] + ["extra"]
    changed = " or ".join(f"s.{_quoted(name)} is distinct from t.{_quoted(name)}" for name in compared)
    not_older = "true"
    if table.version:
        version = _quoted(table.version)
        not_older = f"(t.{version} is null or s.{version} >= t.{version})"
    key = ", ".join(f"f.{_quoted(name)}" for name in table.key)
    first = f"t.{_quoted(table.key[0])}"
    return (
        f"select {key}, f.position, "
        # A deleted record that comes again, deleted still, keeps the moment that was first seen.
        "case when f.deleted_at is null then null else coalesce(t._deleted_at, f.deleted_at) end as deleted_at, "
        f"case when {first} is null then 'insert' else 'update' end as kind "
        f"from ({_newest(table)}) as f join _incoming as s on s._position = f.position "
        f"left join {table.full_name} as t on {_same_key(table, 't', 'f')} "
        f"where {first} is null or ({not_older} and "
        f"({changed} or (s._deleted_at is null) is distinct from (t._deleted_at is null)))"
    )


def _sweep(bulk: Bulk, table: RawTable, present: pa.Table, at: datetime, counts: TableReport) -> None:
    """Marks what has gone, and revives what is there after all."""
    bulk.stage("_present", present)
    there = f"exists (select 1 from _present as p where {_same_key(table, 't', 'p')})"
    mark = f"update {table.full_name} as t set _synced_at = {_timestamp(at)}, _deleted_at = "
    counts.deleted += bulk.execute(f"{mark}{_timestamp(at)} where t._deleted_at is null and not {there}")
    counts.updated += bulk.execute(f"{mark}null where t._deleted_at is not null and {there}")


def _keep_rejects(bulk: Bulk, tool: str, run_id: str, tables: Mapping[str, RawTable], group: Sequence[BatchLike]) -> int:
    """Lists what was put aside, in place of what was known of the same records."""
    at = _timestamp(max((b.covered_until for b in group if b.covered_until), default=datetime.now(UTC)))
    if bulk.fetch("select 1 from sync.rejects where tool = $1 limit 1", [tool]):
        for stream, table in tables.items():
            arrived = [batch.rows[stream].select(list(table.key)) for batch in group if stream in batch.rows]
            if arrived:
                bulk.stage("_arrived", pa.concat_tables(arrived))
                key = " || '/' || ".join(f"cast({_quoted(name)} as text)" for name in table.key)
                bulk.execute(
                    f"delete from sync.rejects where tool = $1 and stream = $2 and record_id in (select {key} from _arrived)",
                    [tool, stream],
                )
    rejects = _unmended(tables, group)
    if rejects:
        bulk.stage(
            "_rejects",
            pa.table(
                {
                    "stream": pa.array([r.stream for r in rejects.values()], pa.string()),
                    "record_id": pa.array([r.record_id for r in rejects.values()], pa.string()),
                    "column_name": pa.array([r.column for r in rejects.values()], pa.string()),
                    "reason": pa.array([r.reason for r in rejects.values()], pa.string()),
                    "original": pa.array([r.original for r in rejects.values()], pa.string()),
                }
            ),
        )
        same = "coalesce(r.record_id, r.original) = coalesce(n.record_id, n.original)"
        bulk.execute(
            f"delete from sync.rejects as r using _rejects as n where r.tool = $1 and r.stream = n.stream and {same}", [tool]
        )
        bulk.execute(
            "insert into sync.rejects (tool, stream, record_id, column_name, reason, original, run_id, rejected_at) "
            f"select $1, stream, record_id, column_name, reason, original, $2, {at} from _rejects",
            [tool, run_id],
        )
    return len(rejects)


def _unmended(
    tables: Mapping[str, RawTable], group: Sequence[BatchLike]
) -> dict[tuple[str, str | None, str | None, str], RejectLike]:
    """What was put aside and did not come again whole in a later batch of the same group."""
    rejects: dict[tuple[str, str | None, str | None, str], RejectLike] = {}
    for batch in group:
        if rejects:
            again = {
                (stream, "/".join(str(part) for part in key.values()))
                for stream, rows in batch.rows.items()
                for key in rows.select(list(tables[stream].key)).to_pylist()
            }
            rejects = {known: reject for known, reject in rejects.items() if known[:2] not in again}
        rejects |= {(r.stream, r.record_id, r.column, r.original): r for r in batch.rejects}
    return rejects


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _same_key(table: RawTable, left: str, right: str) -> str:
    return " and ".join(f"{left}.{_quoted(name)} = {right}.{_quoted(name)}" for name in table.key)


def _quoted(name: str | None) -> str:
    return f'"{name}"'


def _timestamp(at: datetime) -> str:
    """A moment as SQL; made from a datetime, so nothing from outside can stand in it."""
    return f"timestamptz '{at.astimezone(UTC).isoformat()}'"
