"""One step of a large company's life, in a process of its own: it is founded, a night passes, or all tables are refreshed.

A refresh prints the seconds from its first step to its last, Dagster's start left out, and how many tables were built anew.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta

from orchestration import runs, settings
from tests.benchmarks import large


def main(what: str, home: str, share: str, nights: str) -> None:
    now = large.NOW + timedelta(days=int(nights))
    os.environ.update(FULLPICTURE_HOME=home, FULLPICTURE_NOW=now.isoformat())
    current = settings.load()
    if what == "found":
        large.found(current.warehouse(), float(share))
    elif what == "night":
        large.night(current.warehouse(), int(nights), float(share))
    else:
        home = runs.prepare_home(current)
        outcome = runs.execute("refresh", home)
        assert outcome.succeeded, outcome.failures
        built = [table.name for table in outcome.tables if "dagster/column_lineage" in table.metadata]
        unchanged = [table.name for table in outcome.tables if table.metadata.get("unchanged")]
        print(json.dumps({"seconds": outcome.seconds, "models": len(built), "unchanged": len(unchanged)}))


main(*sys.argv[1:])
