"""How many requests each read sends, in full and on the night after, against the least that the vendors' limits allow.

The tools are the stand-ins of the invented company, with page sizes lowered so that most reads have several pages; the
least is a formula for each read (`least`), of the vendor's page size and the rows that had to come: those that are new or
changed, those that the look-back brings again, and the completeness proof. Logins are not counted. That what came had to
come is held by its stamps: a night brings nothing that is older than the look-back, unless it has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Batch, Connector, Read, Stream, Unavailable
from connectors.sandbox.world import World
from orchestration.declared import raw_table
from orchestration.synced import raw_tables
from tests.benchmarks.least import LEAST, Facts, Row
from tests.night import Company, company
from warehouse import load, migrate
from warehouse.load import LoadReport

pytestmark = pytest.mark.bench
Key = tuple[Any, ...]
PAGE = 50
TOKENS = re.compile(r"/oauth2?/tokens?$")
LOOK_BACK = {"salesforce": 15 * 60, "jira": 15 * 60, "zendesk": 5 * 60, "zendesk/ticket_metric_events": 60 * 60}  # seconds
ROUNDED = 120  # seconds by which a read begins earlier still: stamps to the minute, and what is not settled yet
STAMPS = {  # of what has no version: it never changes
    "salesforce/opportunity_history": "created_date",
    "salesforce/opportunity_field_history": "created_date",
    "zendesk/ticket_events": "created_at",
    "zendesk/ticket_metric_events": "time",
}


def read(at: Company, tool: str, connector: Connector, read: Read, night: str) -> tuple[int, Facts, LoadReport]:
    """Reads once, and says how many requests that took and what came of it."""
    log = getattr(at.running, tool).log
    before = len(log)
    cursor = load.cursor(at.warehouse, tool, read.name, connector.host)
    arrived: dict[str, list[Row]] = {stream.name: [] for stream in read.streams}

    def noted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            for name, table in batch.rows.items():
                arrived[name] += table.to_pylist()
            yield batch

    report = load.load(
        at.warehouse,
        tool=tool,
        read=read.name,
        host=connector.host,
        run_id=night,
        tables={stream.name: raw_table(stream) for stream in read.streams},
        batches=noted(connector.batches(read, cursor)),
        again=partial(connector.again, read, cursor),
        doubted=False,
    )
    sent = [entry for entry in log[before:] if not TOKENS.search(entry.target)]
    return len(sent), Facts(PAGE, cursor is None, arrived, lambda stream: at.rows(f"{tool}.{stream}")), report


def stamp_of(tool: str, stream: Stream) -> str | None:
    """The column that tells what a night has to bring. None for what is read by other ways: lists, days, what hangs on an
    issue, ratings, which change in silence."""
    by_stamp = stream.write == "merge" and stream.deletes in ("flag", "never", "sweep")
    return STAMPS.get(f"{tool}/{stream.name}", stream.version) if by_stamp else None


def needless(tool: str, stream: Stream, came: Sequence[Row], written: Collection[Key], last: datetime) -> int:
    """How many rows came that were not written, older than what the night has to look back to from the `last` that was
    known. Without those in the vendor's bin: what has no stamp that moves is asked for while it lies there."""
    name, stamp = f"{tool}/{stream.name}", stamp_of(tool, stream)
    begin = last - timedelta(seconds=LOOK_BACK.get(name, LOOK_BACK[tool]) + ROUNDED)
    old = (row for row in came if moment(row[stamp]) < begin and row["_deleted_at"] is None)
    return sum(key(stream, row) not in written for row in old)


def key(stream: Stream, row: Row) -> Key:
    return tuple(row[name] for name in stream.key)


def moment(stamp: Any) -> datetime:
    return stamp if isinstance(stamp, datetime) else datetime.fromtimestamp(stamp, UTC)


def test_no_request_is_sent_for_nothing(tmp_path: Path, keep: Callable[[str, dict[str, dict[str, object]]], None]) -> None:
    figures: dict[str, dict[str, object]] = {}
    last: dict[str, datetime] = {}  # what a table knew of last
    known: dict[str, dict[Key, datetime]] = {}  # when each row was last written
    old: dict[str, int] = {}
    with company(World(size="demo"), tmp_path) as at:
        for server in at.running.servers:
            server.page_size = PAGE
        at.running.zendesk.empty_pages = False
        migrate.prepare(at.warehouse, raw_tables(at.settings().config))
        for night in ("full", "night"):
            for tool in ("salesforce", "jira", "zendesk", "pendo"):
                connector = at.connector(tool)
                for each in at.settings().tool(tool).section.reads():
                    name = f"{tool}/{each.name}"
                    figures.setdefault(name, {})
                    try:
                        sent, facts, report = read(at, tool, connector, each, night)
                    except Unavailable:
                        continue
                    for stream in each.streams:
                        table, stamp = f"{tool}.{stream.name}", stamp_of(tool, stream)
                        rows = at.rows(table)
                        written = {key(stream, row): row["_synced_at"] for row in rows}
                        if stamp and table in last:
                            new = {one for one, when in written.items() if known[table].get(one) != when}
                            old[table] = needless(tool, stream, facts.tables[stream.name], new, last[table])
                        if stamp and report.covered_until:
                            last[table] = min([report.covered_until, *sorted(moment(row[stamp]) for row in rows)[-1:]])
                        known[table] = written
                    least = LEAST[name](facts) if name in LEAST else None
                    figures[name] |= {night: sent, f"{night}, least": least if least is not None else "no formula"}
            at.world.advance(1)
            at.world.tick(3600)
    keep("requests", figures)
    wasted = {
        f"{name}, {night}": row
        for name, row in figures.items()
        for night in ("full", "night")
        if isinstance(least := row.get(f"{night}, least"), int) and int(str(row[night])) > 1.05 * least
    }
    assert wasted == {}
    assert {name for name, row in figures.items() if "no formula" in row.values()} == set()
    assert len(old) >= 20
    assert {name: rows for name, rows in old.items() if rows} == {}
