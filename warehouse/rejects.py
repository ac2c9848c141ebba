"""What could not be loaded is listed, with the reason, until a good version arrives.

Here belongs the only writer of `sync.rejects`. Not here: what makes a record a reject, which connectors decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from warehouse.engine import Bulk, Warehouse
from warehouse.merge import moment, quoted
from warehouse.schema import RawTable


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


class Arrived(Protocol):
    """The part of a batch that matters here."""

    @property
    def rows(self) -> Mapping[str, pa.Table]: ...
    @property
    def rejects(self) -> Sequence[RejectLike]: ...
    @property
    def covered_until(self) -> datetime | None: ...


def keep_rejects(bulk: Bulk, tool: str, run_id: str, tables: Mapping[str, RawTable], group: Sequence[Arrived]) -> int:
    """Lists what was put aside, in place of what was known of the same records."""
    at = moment(max((b.covered_until for b in group if b.covered_until), default=datetime.now(UTC)))
    if bulk.fetch("select 1 from sync.rejects where tool = $1 limit 1", [tool]):
        for stream, table in tables.items():
            arrived = [batch.rows[stream].select(list(table.key)) for batch in group if stream in batch.rows]
            if arrived:
                bulk.stage("_arrived", pa.concat_tables(arrived))
                arrived_ids = f"select {record_id(table)} from _arrived"
                bulk.execute(
                    f"delete from sync.rejects where tool = $1 and stream = $2 and record_id in ({arrived_ids})", [tool, stream]
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


def record_id(table: RawTable) -> str:
    """A row's key as rejects name it, in SQL."""
    return " || '/' || ".join(f"cast({quoted(name)} as text)" for name in table.key)


@dataclass(frozen=True)
class Listed:
    """A reject as it is listed."""

    stream: str
    record_id: str | None
    column: str | None
    reason: str
    original: str


def listed(warehouse: Warehouse, tool: str) -> list[Listed]:
    with warehouse.loading(f"list the rejects of {tool}") as bulk:
        rows = bulk.fetch(
            "select stream, record_id, column_name, reason, original from sync.rejects where tool = $1 order by 1, 2, 3", [tool]
        )
    return [Listed(*row) for row in rows]


def settle(bulk: Bulk, tool: str, rejects: Iterable[Listed]) -> None:
    """Takes from the list what was loaded after all."""
    for reject in rejects:
        bulk.execute(
            "delete from sync.rejects where tool = $1 and stream = $2 and coalesce(record_id, '') = $3 "
            "and coalesce(column_name, '') = $4 and original = $5",
            [tool, reject.stream, reject.record_id or "", reject.column or "", reject.original],
        )


def _unmended(
    tables: Mapping[str, RawTable], group: Sequence[Arrived]
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
