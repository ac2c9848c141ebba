"""How many requests each read sends, in full and on the night after, against the least that the vendors' limits allow.

The tools are the stand-ins of the invented company, with page sizes lowered so that most reads have several pages; the
least is a formula for each read (`least`), of the vendor's page size and the rows that had to come: those that are new or
changed, those that the look-back brings again, and the completeness proof. Logins are not counted. That what came had to
come is held by its stamps: a night brings nothing that is older than the look-back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
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
from warehouse import load, schema
from warehouse.load import LoadReport

pytestmark = pytest.mark.bench
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


def needless(tool: str, streams: Sequence[Stream], facts: Facts, before: LoadReport) -> dict[str, int]:
    """Rows by stream that are older than what the night has to look back to. What is read by other ways than its stamp
    (lists, days, what hangs on an issue, ratings, which change in silence) is left out."""
    found = {}
    for stream in streams:
        name = f"{tool}/{stream.name}"
        stamp = STAMPS.get(name, stream.version)
        if stream.write == "merge" and stream.deletes in ("flag", "never", "sweep") and stamp and before.covered_until:
            begin = before.covered_until - timedelta(seconds=LOOK_BACK.get(name, LOOK_BACK[tool]) + ROUNDED)
            found[name] = sum(moment(row[stamp]) < begin for row in facts.tables[stream.name])
    return found


def moment(stamp: Any) -> datetime:
    return stamp if isinstance(stamp, datetime) else datetime.fromtimestamp(stamp, UTC)


def test_no_request_is_sent_for_nothing(tmp_path: Path, keep: Callable[[str, dict[str, dict[str, object]]], None]) -> None:
    figures: dict[str, dict[str, object]] = {}
    reports: dict[str, LoadReport] = {}
    old: dict[str, int] = {}
    with company(World(size="demo"), tmp_path) as at:
        for server in at.running.servers:
            server.page_size = PAGE
        at.running.zendesk.empty_pages = False
        schema.prepare(at.warehouse, raw_tables(at.settings().config))
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
                    if name in reports:
                        old |= needless(tool, each.streams, facts, reports[name])
                    reports[name] = report
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
