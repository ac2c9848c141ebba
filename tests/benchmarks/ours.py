"""One read of one of our connectors into a fresh DuckDB file, by the calls that the jobs make, without Dagster.

Here belongs our side of the benchmarks. Not here: what it is compared with.
"""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from orchestration.declared import raw_table
from warehouse import load, migrate
from warehouse.engine import Warehouse


def main(tool: str, name: str, url: str, home: str, options: str) -> None:
    gc.freeze()  # as a run of a job begins
    connector: Any = getattr(import_module(f"connectors.{tool}"), tool.capitalize())(url, **json.loads(options))
    read = next(read for read in connector.reads if any(stream.name == name for stream in read.streams))
    tables = {stream.name: raw_table(stream) for stream in read.streams}
    warehouse = Warehouse(f"duckdb:///{home}/warehouse.duckdb", Path(home))
    migrate.prepare(warehouse, list(tables.values()))
    cursor = load.cursor(warehouse, tool, read.name, connector.host)
    report = load.load(
        warehouse,
        tool=tool,
        read=read.name,
        host=connector.host,
        run_id="bench",
        tables=tables,
        batches=connector.batches(read, cursor),
        again=partial(connector.again, read, cursor),
        doubted=False,
    )
    gc.unfreeze()
    assert not report.differing, report.proofs
    print(report.tables[name].rows_total, report.rejected)


if __name__ == "__main__":
    main(*sys.argv[1:])
