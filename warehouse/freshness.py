"""Which reads are stale at the moment that the tables speak of, and how fresh each unified table therefore is.

A read is fresh if its last run succeeded, or found that the account has no such thing, and covers all but the last
`fresh_hours`. What follows from it is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from warehouse.engine import verbatim

_STALE = """
with last_runs as (
    select
        tool,
        read,
        status,
        coalesce(covered_until, case when status = 'unavailable' then ended_at end) as covered_until,
        row_number() over (partition by tool, read order by started_at desc, ended_at desc nulls last) as place
    from sync.runs
)

select reads.tool || '/' || reads.read
from settings.reads as reads
left join last_runs as run on run.tool = reads.tool and run.read = reads.read and run.place = 1
cross join settings.clock as clock
cross join settings.options as options
where
    reads.connected
    and (
        run.status is null
        or run.status not in ('succeeded', 'unavailable')
        or run.covered_until is null
        or run.covered_until < clock.as_of - options.fresh_hours * interval '1 hour'
    )
"""


def stale(connection: sa.Connection) -> set[str]:
    """Reads of connected tools that cannot be relied on, as tool/read."""
    return set(connection.execute(verbatim(_STALE)).scalars())


def connected(connection: sa.Connection) -> set[str]:
    """Reads of the tools that are on, as tool/read."""
    rows = connection.execute(verbatim("select tool || '/' || read from settings.reads where connected"))
    return set(rows.scalars())


def confirm(connection: sa.Connection, table: str, reads: Iterable[str]) -> None:
    """Says that a table, as it was built, holds at the moment of this refresh as well."""
    connection.execute(
        sa.text(
            "update unified.tables set inputs_fresh = :fresh, as_of = (select as_of from settings.clock),"
            " today = (select today from settings.clock) where table_name = :table"
        ),
        {"table": table, "fresh": _fresh(connection, reads)},
    )


def note(connection: sa.Connection, table: str, rows: int, reads: Iterable[str]) -> None:
    """Writes a table's line in unified.tables: fresh if every connected read it rests on is; null if none is connected."""
    values = {
        "table": table,
        "built_at": datetime.now(UTC),
        "rows": rows,
        "fresh": _fresh(connection, reads),
    }
    connection.execute(sa.text("delete from unified.tables where table_name = :table"), values)
    connection.execute(
        sa.text(
            "insert into unified.tables (table_name, as_of, today, built_at, rows, inputs_fresh)"
            " select :table, as_of, today, :built_at, :rows, :fresh from settings.clock"
        ),
        values,
    )


def _fresh(connection: sa.Connection, reads: Iterable[str]) -> bool | None:
    return not (set(reads) & stale(connection)) if set(reads) & connected(connection) else None
