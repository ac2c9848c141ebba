"""How many requests each read sends, in full and on the night after, against the least that the vendors' limits allow.

The tools are the stand-ins of the invented company, with page sizes lowered so that most reads have several pages; the
least is a formula for each read (`least`), of the vendor's page size and the rows that had to come: those that are new or
changed, those that the look-back brings again, and the completeness proof. Logins are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from connectors.base import Batch, Connector, Read, Unavailable
from connectors.sandbox.world import World
from orchestration.synced import raw_table, raw_tables
from tests.benchmarks.least import LEAST, Facts, Row
from tests.night import Company, company
from warehouse import load, schema

pytestmark = pytest.mark.bench
PAGE = 50
TOKENS = re.compile(r"/oauth2?/tokens?$")


def read(at: Company, tool: str, connector: Connector, read: Read, night: str) -> tuple[int, Facts]:
    """Reads once, and says how many requests that took and what came."""
    log = getattr(at.running, tool).log
    before = len(log)
    cursor = load.cursor(at.warehouse, tool, read.name, connector.host)
    arrived: dict[str, list[Row]] = {stream.name: [] for stream in read.streams}

    def noted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            for name, table in batch.rows.items():
                arrived[name] += table.to_pylist()
            yield batch

    load.load(
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
    return len(sent), Facts(PAGE, cursor is None, arrived, lambda stream: at.rows(f"{tool}.{stream}"))


def test_no_request_is_sent_for_nothing(tmp_path: Path, keep: Callable[[str, dict[str, dict[str, object]]], None]) -> None:
    figures: dict[str, dict[str, object]] = {}
    with company(World(size="demo"), tmp_path) as at:
        for server in at.running.servers:
            server.page_size = PAGE
        at.running.zendesk.empty_pages = False
        schema.prepare(at.warehouse, raw_tables())
        for night in ("full", "night"):
            for tool in ("salesforce", "jira", "zendesk", "pendo"):
                connector = at.connector(tool)
                for each in connector.reads:
                    name = f"{tool}/{each.name}"
                    figures.setdefault(name, {})
                    try:
                        sent, facts = read(at, tool, connector, each, night)
                    except Unavailable:
                        continue
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
