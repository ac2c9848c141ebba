"""Forgets what runs did long ago, but nothing that a gap, a model or the next run still looks at.

Here belongs what may go by age. Not here: ledgers, which never go, or rejects whose record lives, whose only copy they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from warehouse.rejects import record_id
from warehouse.schema import RawTable

# Of each read stay, whatever their age, per status the last run and the one that covers most: by those freshness, late
# sources and links are told.
_RUNS = """
delete from sync.runs where (run_id, tool, read) in (
    select run_id, tool, read
    from (
        select
            run_id,
            tool,
            read,
            started_at,
            row_number() over (partition by tool, read, status order by started_at desc, ended_at desc nulls last) as last,
            row_number() over (
                partition by tool, read, status order by coalesce(covered_until, ended_at) desc nulls last
            ) as furthest
        from sync.runs
    ) as ranked
    where started_at < :before and last > 1 and furthest > 1
)
"""
# Of each table stays the last count, which tells whether it is complete.
_COUNTS = """
delete from sync.counts where (run_id, tool, read, stream) in (
    select run_id, tool, read, stream
    from (
        select
            run_id,
            tool,
            read,
            stream,
            counted_at,
            row_number() over (partition by tool, read, stream order by counted_at desc) as last
        from sync.counts
    ) as ranked
    where counted_at < :before and last > 1
)
"""


def prune(connection: sa.Connection, raw: Sequence[RawTable], before: datetime) -> Mapping[str, int]:
    """Deletes what is from before a moment, and says how many rows of which table: runs, counts, and rejects of records that
    are gone from their tool since."""
    values = {"before": before}
    gone = {"sync.runs": connection.execute(sa.text(_RUNS), values).rowcount}
    gone["sync.counts"] = connection.execute(sa.text(_COUNTS), values).rowcount
    gone["sync.rejects"] = 0
    listed = connection.execute(sa.text("select distinct tool, stream from sync.rejects where rejected_at < :before"), values)
    tables = {(table.schema, table.name): table for table in raw}
    for table in [tables[tool, stream] for tool, stream in listed.all() if (tool, stream) in tables]:
        dead = f"select {record_id(table)} from {table.full_name} where _deleted_at < :before"
        gone["sync.rejects"] += connection.execute(
            sa.text(
                "delete from sync.rejects where tool = :tool and stream = :stream and rejected_at < :before"
                f" and record_id in ({dead})"
            ),
            {**values, "tool": table.schema, "stream": table.name},
        ).rowcount
    return gone
